/** Success rates over a real ledger in made-up time: intervals, limits, events, the floor of healthy endpoints. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutlierConfig } from '../../src/config/index.ts';
import { type HealthEvent, OutlierWatch } from '../../src/controlplane/health/index.ts';
import { attachLedger, createLedger, FAILED, RESULT } from '../../src/ledger/index.ts';
import { FakeTimers, OUTLIER, service } from './kit.ts';

function setup(parts: Partial<OutlierConfig> = {}, hosts = 6, workers = 2) {
  const timers = new FakeTimers();
  const ledger = createLedger({ workers, maxServices: 4, maxEndpoints: 32 });
  const cart = ledger.allocateService('cart');
  const ports = Array.from({ length: hosts }, (_, i) => i + 1);
  const slots = ports.map((port) => ledger.endpoints.allocate(cart, `cart|127.0.0.1:${port}`));
  const tables = Array.from({ length: workers }, (_, i) => attachLedger(ledger.buffers, i).endpoints);
  const events: HealthEvent[] = [];
  const watch = new OutlierWatch({
    clock: timers.clock,
    timers,
    ledger: ledger.endpoints,
    onEvent: (event) => void events.push(event),
  });
  const policy: OutlierConfig = { ...OUTLIER, ...parts };
  watch.update({ services: [service('cart', ports, { outlierDetection: policy, slot: cart }, slots[0])] });
  watch.start();
  /** Requests to each endpoint, so many of them failures; spread over the workers. */
  const serve = (failures: readonly number[], of = 100): void => {
    failures.forEach((failed, i) => {
      for (let request = 0; request < of; request++)
        tables[request % workers].count(slots[i], request < failed ? RESULT.serverError : RESULT.success);
    });
  };
  const ejected = (): number[] =>
    ports.filter((_, i) => ledger.endpoints.read(slots[i], timers.clock.nowMs()).state !== 'healthy');
  return { timers, ledger, cart, slots, tables, events, watch, policy, serve, ejected };
}

test('the endpoint far below the others is ejected at the end of the interval, with what was seen', async () => {
  const { timers, events, watch, cart, slots, serve, ejected } = setup();
  await timers.advance(9_000);
  serve([60, 0, 0, 0, 0, 0]);
  assert.deepEqual(ejected(), []);
  await timers.advance(1_000);
  assert.deepEqual(ejected(), [1]);
  assert.deepEqual(events, [
    {
      type: 'ejected',
      service: 'cart',
      endpoint: '127.0.0.1:1',
      ejections: 1,
      forMs: 30_000,
      detector: 'SUCCESS_RATE',
      observed: 40,
      // Average 90, deviation sqrt(500).
      threshold: 47.51,
    },
  ]);
  const reading = watch.read(cart);
  assert.equal(reading?.statistics.external?.average, 90);
  assert.deepEqual(reading?.rates.get(slots[0]), { external: 40, localOrigin: 100 });
  watch.stop();
  assert.equal(timers.armed, 0);
});

test('requests of two intervals are not added up, and none is in both', async () => {
  const { timers, serve, ejected } = setup();
  serve([30, 0, 0, 0, 0, 0], 50);
  await timers.advance(10_000);
  serve([30, 0, 0, 0, 0, 0], 50);
  await timers.advance(10_000);
  assert.deepEqual(ejected(), []);
  serve([60, 0, 0, 0, 0, 0]);
  await timers.advance(10_000);
  assert.deepEqual(ejected(), [1]);
});

test('what ended before a service had outlier detection is not judged', async () => {
  const { timers, ledger, cart, slots, serve, ejected, watch, policy } = setup();
  watch.update({ services: [] });
  serve([100, 0, 0, 0, 0, 0]);
  const ports = [1, 2, 3, 4, 5, 6];
  watch.update({ services: [service('cart', ports, { outlierDetection: policy, slot: cart }, slots[0])] });
  await timers.advance(20_000);
  assert.deepEqual(ejected(), []);
  assert.equal(
    ledger.readDetections(cart).some(({ detected }) => detected > 0),
    false,
  );
});

test('an endpoint that is out is not judged, and neither lowers the average nor is ejected twice', async () => {
  const { timers, ledger, cart, serve, ejected } = setup({}, 7);
  serve([60, 0, 0, 0, 0, 0, 0]);
  await timers.advance(10_000);
  serve([100, 60, 0, 0, 0, 0, 0]);
  await timers.advance(10_000);
  assert.deepEqual(ejected(), [1, 2]);
  assert.equal(ledger.readEjections(cart).ejections, 2);
});

test('the limit lets the worst be ejected, and counts the rest as overflow', async () => {
  const { timers, ledger, cart, serve, ejected } = setup(
    {
      failurePercentageThreshold: 50,
      enforcingFailurePercentage: 100,
      enforcingSuccessRate: 0,
      maxEjectionPercent: 30,
    },
    7,
  );
  serve([60, 90, 70, 80, 0, 0, 0]);
  await timers.advance(10_000);
  assert.deepEqual(ejected(), [2, 4]);
  assert.equal(ledger.readEjections(cart).overflow, 2);
});

test('a detector that is not enforced is told and changes nothing', async () => {
  const { timers, events, serve, ejected } = setup({ enforcingSuccessRate: 0 });
  serve([60, 0, 0, 0, 0, 0]);
  await timers.advance(10_000);
  assert.deepEqual(ejected(), []);
  assert.deepEqual(
    events.map((event) => [event.type, 'detector' in event && event.detector]),
    [['detected', 'SUCCESS_RATE']],
  );
});

test('connections that fail are rated apart from answers', async () => {
  const { timers, slots, tables, serve, events, ejected } = setup();
  serve([0, 0, 0, 0, 0, 0], 50);
  for (let count = 0; count < 50; count++)
    slots.forEach((slot, i) => {
      tables[0].count(slot, i === 3 ? RESULT.localOrigin : RESULT.success);
    });
  await timers.advance(10_000);
  assert.deepEqual(ejected(), [4]);
  assert.equal((events[0] as { detector: string }).detector, 'SUCCESS_RATE_LOCAL_ORIGIN');
});

test('an interval shorter than a second is kept', async () => {
  const { timers, serve, ejected } = setup({ intervalMs: 50 });
  await timers.advance(100);
  serve([60, 0, 0, 0, 0, 0]);
  await timers.advance(60);
  assert.deepEqual(ejected(), [1]);
});

test('when active checks leave fewer than minHealthPercent, ejections end and no others begin', async () => {
  const { timers, ledger, slots, tables, policy, events, ejected } = setup({ minHealthPercent: 50 }, 6);
  const fail = (i: number): void => {
    for (let count = 0; count < 5; count++) {
      const now = timers.clock.nowMs();
      const ticket = tables[0].admit(slots[i], now);
      const split = { ...policy, splitExternalLocalOriginErrors: true };
      tables[0].reportFailure(slots[i], ticket, FAILED.serverError, now, 6, split);
    }
  };
  fail(0);
  fail(1);
  await timers.advance(1_000);
  assert.deepEqual(ejected(), [1, 2]);
  ledger.endpoints.setHealth(slots[5], false);
  await timers.advance(1_000);
  assert.deepEqual(ejected(), [1, 2], 'three of six are healthy');
  ledger.endpoints.setHealth(slots[4], false);
  await timers.advance(1_000);
  assert.deepEqual(ejected(), []);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['ejected', 'ejected', 'returned', 'returned'],
  );
  fail(2);
  assert.deepEqual(ejected(), [3], 'four are healthy again: there is room for one');
  fail(3);
  assert.deepEqual(ejected(), [3]);
});
