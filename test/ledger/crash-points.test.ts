// A worker may end between any two instructions. Here every atomic step of every operation is such a
// point, once right before it and once right after, and giveBack must restore the exact state.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  attachLedger,
  FAILED,
  GAUGE,
  type Ledger,
  NOT_ADMITTED,
  type WorkerLedger,
} from '../../src/ledger/index.ts';
import { dieAt } from './death.ts';
import { makeLedger, OUTLIER_POLICY } from './kit.ts';

const LIMIT = 4;
const POLICY = { ...OUTLIER_POLICY, consecutive5xxErrors: 1 };
const LATER_MS = 1_000_000;

interface Scene {
  readonly ledger: Ledger;
  readonly victim: WorkerLedger;
  readonly survivor: WorkerLedger;
  readonly service: number;
  readonly endpoints: number[];
}

/** Two workers with something held by both; the second endpoint is ejected and due for a probe. */
function makeScene(): Scene {
  const ledger = makeLedger(3, { services: 2, endpoints: 4 });
  const service = ledger.allocateService('cart');
  const endpoints = ['a', 'b', 'c', 'd'].map((key) => ledger.endpoints.allocate(service, key));
  ledger.workerStarting(0, 0);
  ledger.workerStarting(1, 0);
  const victim = attachLedger(ledger.buffers, 0);
  const survivor = attachLedger(ledger.buffers, 1);
  for (const worker of [victim, survivor]) {
    worker.gauges.acquire(service, GAUGE.requests, LIMIT);
    worker.endpoints.acquire(endpoints[0], Number.POSITIVE_INFINITY);
  }
  fail(victim, endpoints[1], 0);
  return { ledger, victim, survivor, service, endpoints };
}

function fail(worker: WorkerLedger, endpoint: number, nowMs: number): void {
  const ticket = worker.endpoints.admit(endpoint, nowMs);
  worker.endpoints.reportFailure(endpoint, ticket, FAILED.serverError, nowMs, 4, POLICY);
}

const operations: Record<string, (scene: Scene) => void> = {
  acquire: ({ victim, service }) => victim.gauges.acquire(service, GAUGE.requests, LIMIT),
  release: ({ victim, service }) => victim.gauges.release(service, GAUGE.requests),
  'endpoint acquire': ({ victim, endpoints }) => victim.endpoints.acquire(endpoints[0], LIMIT),
  'endpoint release': ({ victim, endpoints }) => victim.endpoints.release(endpoints[0]),
  ejection: ({ victim, endpoints }) => fail(victim, endpoints[0], 0),
  'refused ejection': ({ victim, endpoints }) => {
    for (const endpoint of endpoints) fail(victim, endpoint, 0);
  },
  'failed probe': ({ victim, endpoints }) => fail(victim, endpoints[1], LATER_MS),
  'successful probe': ({ victim, endpoints }) => {
    const ticket = victim.endpoints.admit(endpoints[1], LATER_MS);
    victim.endpoints.reportSuccess(endpoints[1], ticket, LATER_MS);
  },
  'abandoned probe': ({ victim, endpoints }) => {
    victim.endpoints.abandon(endpoints[1], victim.endpoints.admit(endpoints[1], LATER_MS));
  },
};

for (const [name, operation] of Object.entries(operations)) {
  test(`a worker that ends at any point of ${name} leaves nothing behind`, () => {
    let points = 0;
    for (let step = 0; ; step++) {
      const outcomes = [false, true].map((isAfter) => {
        const scene = makeScene();
        const hasDied = dieAt(step, isAfter, () => operation(scene));
        if (hasDied) checkGivenBack(scene, `${name}, ${isAfter ? 'after' : 'before'} step ${step}`);
        return hasDied;
      });
      if (!outcomes[0]) break;
      points += 2;
    }
    assert.ok(points >= 4, `${points} points`);
  });
}

test('the first worker to die in an operation is settled even while a second lies dead in the same one', () => {
  const { ledger, victim, survivor, service } = makeScene();
  for (const worker of [victim, survivor]) {
    // Step 1 is the compare-and-swap: the shared word has changed, the own cell says "acquiring".
    assert.ok(dieAt(1, true, () => worker.gauges.acquire(service, GAUGE.requests, LIMIT)));
  }
  assert.equal(ledger.readGauge(service, GAUGE.requests).active, 4);
  assert.equal(ledger.giveBack(0, 0), false, 'the second is not reported dead yet, so a unit is in doubt');
  assert.equal(ledger.readGauge(service, GAUGE.requests).active, 3, 'in doubt errs towards a lower limit');
  assert.equal(ledger.giveBack(1, 0), true);
  assert.equal(ledger.readGauge(service, GAUGE.requests).active, 0);
});

function checkGivenBack({ ledger, survivor, service, endpoints }: Scene, where: string): void {
  assert.equal(ledger.giveBack(0, LATER_MS), true, where);
  assert.equal(ledger.readGauge(service, GAUGE.requests).active, 1, `${where}: gauge`);
  assert.equal(ledger.endpoints.read(endpoints[0], 0).active, 1, `${where}: active requests`);
  const readings = endpoints.map((endpoint) => ledger.endpoints.read(endpoint, LATER_MS));
  const ejected = readings.filter(({ state }) => state !== 'healthy').length;
  assert.equal(ledger.readEjections(service).ejected, ejected, `${where}: ejected endpoints`);
  assert.ok(ejected <= 2, `${where}: ${ejected} ejected of 4 with 50 %`);
  assert.ok(
    readings.every(({ state }) => state !== 'probing'),
    `${where}: a dead worker's probe`,
  );
  for (const endpoint of endpoints) {
    const ticket = survivor.endpoints.admit(endpoint, LATER_MS + 10 * POLICY.maxEjectionMs);
    assert.notEqual(ticket, NOT_ADMITTED, `${where}: endpoint ${endpoint} can be used or probed`);
    survivor.endpoints.abandon(endpoint, ticket);
  }
  for (let unit = 1; unit < LIMIT; unit++) {
    assert.equal(survivor.gauges.acquire(service, GAUGE.requests, LIMIT), true, `${where}: unit ${unit}`);
  }
  assert.equal(survivor.gauges.acquire(service, GAUGE.requests, LIMIT), false, `${where}: beyond the limit`);
}
