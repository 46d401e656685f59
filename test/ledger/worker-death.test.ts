// Real threads that end at seeded random moments: what they held comes back exactly.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachLedger, GAUGE, type Ledger } from '../../src/ledger/index.ts';
import { Agent, CELL, type Control, go, makeControl, makeLedger, reached, seeded, set } from './kit.ts';

const LIMIT = 5;
const WORKERS = 4;

test('workers terminated while they hammer the gauges leave every limit exact', async () => {
  const seed = (Math.random() * 2 ** 31) | 0;
  const random = seeded(seed);
  const ledger = makeLedger(WORKERS + 1);
  const control = makeControl();
  const service = ledger.allocateService('cart');
  const endpoints = [ledger.endpoints.allocate(service, 'a')];
  const data = { job: 'endless', service, endpoints, limit: LIMIT };
  const start = (worker: number): Agent => new Agent(ledger, control, { ...data, worker });
  const agents = Array.from({ length: WORKERS }, (_, worker) => start(worker));
  await go(control, WORKERS);
  for (let round = 0; round < 16; round++) {
    const victim = Math.floor(random() * WORKERS);
    await progress(control, victim, Math.floor(random() * 500));
    await agents[victim].terminate();
    ledger.giveBack(victim, 0);
    const { active } = ledger.readGauge(service, GAUGE.requests);
    assert.ok(active >= 0 && active <= LIMIT, `seed ${seed}, round ${round}: ${active} of ${LIMIT}`);
    agents[victim] = start(victim);
  }
  set(control, CELL.stop, 1);
  await Promise.all(agents.map(({ ended }) => ended));
  assertEmptyAndExact(ledger, service, endpoints[0], `seed ${seed}`);
});

test('a unit in doubt is settled while three other threads go on hammering the same gauge', async () => {
  for (let round = 0; round < 5; round++) {
    const ledger = makeLedger(WORKERS + 1);
    const control = makeControl();
    const service = ledger.allocateService('cart');
    const endpoints = [ledger.endpoints.allocate(service, 'a')];
    const data = { service, endpoints, limit: LIMIT };
    const survivors = [0, 1, 2].map(
      (worker) => new Agent(ledger, control, { ...data, job: 'endless', worker }),
    );
    const victim = new Agent(ledger, control, { ...data, job: 'dieInDoubt', worker: 3 });
    await go(control, WORKERS);
    await reached(control, CELL.parked, 1);
    await victim.terminate();
    ledger.giveBack(3, 0);
    while (!ledger.settle()) await new Promise(setImmediate);
    for (const { worker } of survivors) await progress(control, worker, 50);
    set(control, CELL.stop, 1);
    await Promise.all(survivors.map(({ ended }) => ended));
    assertEmptyAndExact(ledger, service, endpoints[0], `round ${round}`);
  }
});

/** Waits until a thread has gone through `rounds` more rounds. */
async function progress(control: Control, worker: number, rounds: number): Promise<void> {
  const goal = Atomics.load(control, CELL.tally + worker) + rounds;
  while (Atomics.load(control, CELL.tally + worker) < goal) await new Promise(setImmediate);
}

function assertEmptyAndExact(ledger: Ledger, service: number, endpoint: number, where: string): void {
  assert.equal(ledger.settle(), true, where);
  assert.equal(ledger.readGauge(service, GAUGE.requests).active, 0, where);
  assert.equal(ledger.readGauge(service, GAUGE.pending).active, 0, where);
  assert.equal(ledger.endpoints.read(endpoint, 0).active, 0, where);
  assert.ok(ledger.readGauge(service, GAUGE.requests).highWater <= LIMIT, where);
  const { gauges } = attachLedger(ledger.buffers, WORKERS);
  for (let unit = 0; unit < LIMIT; unit++) assert.ok(gauges.acquire(service, GAUGE.requests, LIMIT), where);
  assert.equal(gauges.acquire(service, GAUGE.requests, LIMIT), false, where);
}
