// A limit of N admits N over all threads, whatever they do at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachLedger, createLedger, GAUGE, MAX_WORKERS } from '../../src/ledger/index.ts';
import { Agent, CELL, go, makeControl, makeLedger } from './kit.ts';

for (const limit of [1, 3, 7]) {
  test(`four threads never hold more than ${limit} units together, and the gauge returns to 0`, async () => {
    const ledger = makeLedger(4);
    const control = makeControl();
    const service = ledger.allocateService('cart');
    const data = { job: 'hammer', service, limit, rounds: 10_000 };
    const agents = [0, 1, 2, 3].map((worker) => new Agent(ledger, control, { ...data, worker }));
    await go(control, agents.length);
    await Promise.all(agents.map((agent) => agent.ended));
    const gauge = ledger.readGauge(service, GAUGE.requests);
    assert.equal(gauge.active, 0);
    assert.ok(control[CELL.insideMax] <= limit, `${control[CELL.insideMax]} inside with a limit of ${limit}`);
    assert.ok(gauge.highWater <= limit, `high-water mark ${gauge.highWater}`);
    assert.ok(gauge.opened > 0 && gauge.overflow > 0, 'the limit was reached');
  });
}

test('refusals, openings and the high-water mark are counted beside the gauge', () => {
  const ledger = makeLedger(2);
  const first = attachLedger(ledger.buffers, 0).gauges;
  const second = attachLedger(ledger.buffers, 1).gauges;
  assert.equal(first.acquire(3, GAUGE.retries, 2), true);
  assert.equal(second.acquire(3, GAUGE.retries, 2), true);
  assert.equal(first.acquire(3, GAUGE.retries, 2), false);
  second.release(3, GAUGE.retries);
  assert.equal(first.acquire(3, GAUGE.retries, 2), true);
  first.release(3, GAUGE.retries);
  assert.deepEqual(ledger.readGauge(3, GAUGE.retries), { active: 1, highWater: 2, opened: 2, overflow: 1 });
  assert.equal(second.active(3, GAUGE.retries), 1);
});

test('a limit that falls below what is held refuses until enough has been released', () => {
  const gauges = attachLedger(makeLedger(1).buffers, 0).gauges;
  for (let unit = 0; unit < 5; unit++) gauges.acquire(0, GAUGE.requests, 5);
  assert.equal(gauges.acquire(0, GAUGE.requests, 2), false);
  for (let unit = 0; unit < 4; unit++) gauges.release(0, GAUGE.requests);
  assert.equal(gauges.acquire(0, GAUGE.requests, 2), true);
});

test('a limit of 0 always refuses and the limits of Istio (2^32 - 1) never do', () => {
  const gauges = attachLedger(makeLedger(1).buffers, 0).gauges;
  assert.equal(gauges.acquire(0, GAUGE.requests, 0), false);
  assert.equal(gauges.acquire(0, GAUGE.requests, 2 ** 32 - 1), true);
  assert.equal(gauges.acquire(0, GAUGE.requests, Number.POSITIVE_INFINITY), true);
});

test('releasing what this worker does not hold throws instead of corrupting the limit', () => {
  const ledger = makeLedger(2);
  attachLedger(ledger.buffers, 0).gauges.acquire(0, GAUGE.requests, 10);
  const other = attachLedger(ledger.buffers, 1);
  assert.throws(() => other.gauges.release(0, GAUGE.requests), /release without acquire/);
  assert.throws(() => other.endpoints.release(0), /release without acquire/);
  assert.equal(ledger.readGauge(0, GAUGE.requests).active, 1);
});

test('an impossible shape is refused with its cure', () => {
  const shape = { workers: MAX_WORKERS + 1, maxServices: 1, maxEndpoints: 1 };
  assert.throws(() => createLedger(shape), /set workers to at most 31/);
  assert.throws(() => createLedger({ ...shape, workers: 1, maxServices: 0 }), /maxServices: 0/);
});

test('gauges, services and workers do not share cells', () => {
  const ledger = makeLedger(31, { services: 33, endpoints: 17 });
  const last = attachLedger(ledger.buffers, 30);
  for (let unit = 0; unit < 3; unit++) last.gauges.acquire(32, GAUGE.retries, 10);
  last.endpoints.acquire(16, Number.POSITIVE_INFINITY);
  last.acknowledge(7);
  last.beat(50);
  for (let service = 0; service < 33; service++) {
    for (const gauge of Object.values(GAUGE)) {
      const isUsed = service === 32 && gauge === GAUGE.retries;
      assert.equal(ledger.readGauge(service, gauge).active, isUsed ? 3 : 0);
    }
  }
  assert.equal(ledger.endpoints.read(15, 0).active, 0);
  assert.equal(ledger.endpoints.read(16, 0).active, 1);
  assert.equal(ledger.acknowledged(29), 0);
  assert.equal(ledger.heartbeatAgeMs(30, 60), 10);
});
