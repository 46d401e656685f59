// One thread of a ledger test: attaches to the ledger as a worker and does the job it is told.
import { parentPort, workerData } from 'node:worker_threads';
import {
  attachLedger,
  bucketShape,
  FAILED,
  GAUGE,
  isProbe,
  NOT_ADMITTED,
  OUTLIER,
  type Result,
} from '../../src/ledger/index.ts';
import { type AgentData, CELL, OUTLIER_POLICY, TOKENS } from './kit.ts';

const { job, buffers, worker, control: shared, service, endpoints, limit, rounds } = workerData as AgentData;
const control = new Int32Array(shared);
const ledger = attachLedger(buffers, worker);
const TALLY = CELL.tally + worker;

const jobs: Record<string, () => void> = {
  /** Takes tokens, of `limit` keys in turn, at the test's clock until told to stop; then until there is none left. */
  tokens() {
    const bucket = ledger.rateLimits.open(0, limit > 0 ? 0 : -1, bucketShape(...TOKENS));
    const take = (round: number): boolean => {
      const key = limit > 0 ? (round * 7 + worker) % limit : 0;
      const taken = bucket.take(`10.0.0.${key}`, Atomics.load(control, CELL.clock));
      if (!taken || bucket.overflowed) return taken;
      Atomics.add(control, CELL.tally + key, 1);
      Atomics.notify(control, CELL.tally + key);
      return true;
    };
    let round = 0;
    while (Atomics.load(control, CELL.stop) === 0) take(round++);
    for (let refused = 0; refused <= 2 * limit; round++) refused = take(round) ? 0 : refused + 1;
  },

  /** Takes and returns 1 to limit + 1 units at a time until `rounds` were let in; watches how many are inside. */
  hammer() {
    for (let round = 0; round < rounds; ) {
      const taken = 1 + (round % (limit + 1));
      let held = 0;
      for (let unit = 0; unit < taken; unit++) {
        if (!ledger.gauges.acquire(service, GAUGE.requests, limit)) continue;
        held++;
        enter();
      }
      if (held > 0) round++;
      for (; held > 0; held--) {
        Atomics.sub(control, CELL.inside, 1);
        ledger.gauges.release(service, GAUGE.requests);
      }
    }
  },

  /** Connections of one caller and now and then of another, none for longer than a moment. */
  callers() {
    for (let round = 0; round < rounds; round++) {
      const slot = ledger.callers.enter('10.0.0.1', 64, limit, 0);
      const other = ledger.callers.enter(`10.0.${worker}.${round % 256}`, 64, 1, 0);
      if (other >= 0) ledger.callers.leave(other);
      if (slot < 0) continue;
      enter();
      Atomics.sub(control, CELL.inside, 1);
      ledger.callers.leave(slot);
    }
  },

  /** As hammer, over several gauges and an endpoint, until told to stop; may be terminated anywhere. */
  endless() {
    while (Atomics.load(control, CELL.stop) === 0) {
      if (!ledger.gauges.acquire(service, GAUGE.requests, limit)) continue;
      const isPending = ledger.gauges.acquire(service, GAUGE.pending, limit);
      ledger.endpoints.acquire(endpoints[0], Number.POSITIVE_INFINITY);
      Atomics.add(control, TALLY, 1);
      ledger.endpoints.release(endpoints[0]);
      if (isPending) ledger.gauges.release(service, GAUGE.pending);
      ledger.gauges.release(service, GAUGE.requests);
    }
  },

  /** Acquires, then stops for good right after the shared word has changed and before the own cell has. */
  dieInDoubt() {
    const compareExchange = Atomics.compareExchange;
    Atomics.compareExchange = ((memory: Int32Array, ...rest: [number, number, number]) => {
      const found = compareExchange(memory, ...rest);
      if (found === rest[1]) park();
      return found;
    }) as typeof Atomics.compareExchange;
    while (!ledger.gauges.acquire(service, GAUGE.requests, limit));
  },

  /** Takes a slot, holds it for a turn of the event loop, returns it, again; gives up some of its waits. */
  handover() {
    let left = rounds;
    const done = (): void => {
      ledger.connections.stopWaiting(service);
      Atomics.add(control, CELL.done, 1);
      Atomics.notify(control, CELL.done);
      parentPort?.unref();
    };
    let attempts = 0;
    const attempt = (): void => {
      const mine = ++attempts;
      if (!ledger.connections.acquire(service, limit)) {
        ledger.connections.wait(service, limit, attempt);
        if (left % 7 !== 0) return;
        setImmediate(() => {
          if (attempts !== mine) return;
          ledger.connections.stopWaiting(service);
          attempt();
        });
        return;
      }
      enter();
      setImmediate(() => {
        Atomics.add(control, TALLY, 1);
        Atomics.sub(control, CELL.inside, 1);
        ledger.connections.release(service);
        left--;
        if (left > 0) attempt();
        else done();
      });
    };
    parentPort?.ref();
    ledger.connections.start(() => undefined);
    attempt();
  },

  /** Holds every slot as idle connections and closes one whenever another worker asks for one. */
  idlePool() {
    let idle = 0;
    while (ledger.connections.acquire(service, limit)) idle++;
    parentPort?.ref();
    ledger.connections.start((wanted) => {
      if (wanted !== service || idle === 0) return;
      idle--;
      ledger.connections.release(service);
    });
    Atomics.store(control, TALLY, idle);
    Atomics.store(control, CELL.parked, 1);
    Atomics.notify(control, CELL.parked);
  },

  /** Waits for a slot and then stalls for good: what it is granted it never learns. */
  waitAndStall() {
    ledger.connections.start(() => undefined);
    ledger.connections.wait(service, limit, () => undefined);
    park();
  },

  /** Each step of the shared fake clock asks for `limit` retries per request of this worker. */
  retry() {
    const policy = { percent: 20, intervalMs: 10_000, minCount: 10, minIntervalMs: 1_000 };
    for (let now = 0; ; ) {
      const next = Atomics.load(control, CELL.clock);
      if (next === now) {
        Atomics.wait(control, CELL.clock, now);
        continue;
      }
      if (next < 0) return;
      now = next;
      ledger.budgets.recordRequest(service, now, policy);
      for (let ask = 0; ask < limit; ask++) {
        if (ledger.budgets.tryRetry(service, now, policy)) Atomics.add(control, TALLY, 1);
      }
      Atomics.add(control, CELL.done, 1);
      Atomics.notify(control, CELL.done);
    }
  },

  /** Every round earns `limit` percent of a hedge, and every fifth asks for as many as there are. */
  hedge() {
    for (let round = 0; round < rounds; round++) {
      ledger.hedges.earn(service, limit);
      if (round % 5 > 0) continue;
      while (ledger.hedges.spend(service)) Atomics.add(control, TALLY, 1);
    }
  },

  /** Fails requests on every endpoint; counts the ejections it caused. `limit`: the clock. */
  eject() {
    for (let round = 0; round < rounds; round++) {
      const endpoint = endpoints[(round + worker) % endpoints.length];
      const ticket = ledger.endpoints.admit(endpoint, limit);
      if (ticket === NOT_ADMITTED) continue;
      const outcome = ledger.endpoints.reportFailure(
        endpoint,
        ticket,
        FAILED.serverError,
        limit,
        endpoints.length,
        OUTLIER_POLICY,
      );
      if (outcome === OUTLIER.ejected) Atomics.add(control, TALLY, 1);
    }
  },

  /** Counts results of all kinds at all endpoints in turn, `rounds` of them, 0: until terminated; tells each after it. */
  results() {
    for (let round = 0; rounds === 0 || round < rounds; round++) {
      ledger.endpoints.count(endpoints[round % endpoints.length], (round & 3) as Result);
      Atomics.add(control, TALLY, 1);
    }
  },

  /** Ejects and probes at random on a clock of its own making, watching for two probes at once. */
  probe() {
    const policy = { ...OUTLIER_POLICY, consecutive5xxErrors: 1, baseEjectionMs: 1, maxEjectionMs: 1 };
    for (let round = 0; round < rounds; round++) {
      const endpoint = endpoints[round % endpoints.length];
      const now = Atomics.add(control, CELL.clock, 1);
      const ticket = ledger.endpoints.admit(endpoint, now);
      if (ticket === NOT_ADMITTED) continue;
      const probes = CELL.tally + 64 + endpoint;
      const isOne = isProbe(ticket);
      if (isOne && Atomics.add(control, probes, 1) !== 0) Atomics.add(control, CELL.insideMax, 1);
      if (isOne) Atomics.add(control, TALLY, 1);
      if (isOne) Atomics.sub(control, probes, 1);
      const verdict = (round * 7 + worker) % 4;
      if (verdict === 0) ledger.endpoints.abandon(endpoint, ticket);
      else if (verdict === 1) ledger.endpoints.reportSuccess(endpoint, ticket, now);
      else
        ledger.endpoints.reportFailure(endpoint, ticket, FAILED.gatewayError, now, endpoints.length, policy);
    }
  },
};

function enter(): void {
  const inside = Atomics.add(control, CELL.inside, 1) + 1;
  for (;;) {
    const seen = Atomics.load(control, CELL.insideMax);
    if (inside <= seen || Atomics.compareExchange(control, CELL.insideMax, seen, inside) === seen) return;
  }
}

function park(): void {
  Atomics.store(control, CELL.parked, 1);
  Atomics.notify(control, CELL.parked);
  Atomics.wait(control, 255, 0);
}

Atomics.add(control, CELL.ready, 1);
Atomics.notify(control, CELL.ready);
Atomics.wait(control, CELL.go, 0);
jobs[job]();
