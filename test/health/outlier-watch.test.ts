/** Decay of ejection multipliers and the events of ejections, on a real ledger in made-up time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutlierConfig } from '../../src/config/index.ts';
import { type HealthEvent, OutlierWatch } from '../../src/controlplane/health/index.ts';
import { attachLedger, createLedger, FAILED } from '../../src/ledger/index.ts';
import { FakeTimers, OUTLIER, service } from './kit.ts';

const POLICY: OutlierConfig = {
  ...OUTLIER,
  consecutive5xxErrors: 1,
  consecutiveGatewayErrors: 0,
  consecutiveLocalOriginFailures: 0,
};

function setup() {
  const timers = new FakeTimers();
  const ledger = createLedger({ workers: 1, maxServices: 4, maxEndpoints: 8 });
  ledger.workerStarting(0, timers.clock.nowMs());
  const worker = attachLedger(ledger.buffers, 0).endpoints;
  const cart = ledger.allocateService('cart');
  const slot = ledger.endpoints.allocate(cart, 'cart|127.0.0.1:1');
  ledger.endpoints.allocate(cart, 'cart|127.0.0.1:2');
  const events: HealthEvent[] = [];
  const watch = new OutlierWatch({
    clock: timers.clock,
    timers,
    ledger: ledger.endpoints,
    onEvent: (event) => void events.push(event),
  });
  watch.update({ services: [service('cart', [1, 2], { outlierDetection: POLICY, slot: cart }, slot)] });
  watch.start();
  const policy = { ...POLICY, splitExternalLocalOriginErrors: false };
  const now = (): number => timers.clock.nowMs();
  const fail = (): void => {
    worker.reportFailure(slot, worker.admit(slot, now()), FAILED.serverError, now(), 2, policy);
  };
  const succeed = (): void => worker.reportSuccess(slot, worker.admit(slot, now()), now());
  return { timers, ledger, slot, events, watch, fail, succeed, now };
}

test('an ejection and the return by a probe are told once each', async () => {
  const { timers, events, fail, succeed, watch } = setup();
  await timers.advance(1_000);
  fail();
  await timers.advance(5_000);
  assert.deepEqual(events, [
    {
      type: 'ejected',
      service: 'cart',
      endpoint: '127.0.0.1:1',
      ejections: 1,
      forMs: 29_000,
      detector: 'CONSECUTIVE_5XX',
      observed: 1,
      threshold: 1,
    },
  ]);
  await timers.advance(30_000);
  assert.equal(events.length, 1, 'time alone does not return an endpoint');
  succeed();
  await timers.advance(1_000);
  assert.deepEqual(events.slice(1), [
    { type: 'returned', service: 'cart', endpoint: '127.0.0.1:1', ejections: 1 },
  ]);
  watch.stop();
  assert.equal(timers.armed, 0);
});

test('a failed probe is told as another ejection', async () => {
  const { timers, events, fail } = setup();
  await timers.advance(1_000);
  fail();
  await timers.advance(31_000);
  fail();
  await timers.advance(1_000);
  assert.deepEqual(
    events.map((event) => event.type),
    ['ejected', 'ejected'],
  );
});

test('the multiplier falls by one for each interval spent healthy', async () => {
  const { timers, ledger, slot, fail, succeed, now } = setup();
  const multiplier = (): number => ledger.endpoints.read(slot, now()).ejectionMultiplier;
  await timers.advance(1_000);
  fail();
  await timers.advance(31_000);
  fail();
  assert.equal(multiplier(), 2);
  await timers.advance(61_000);
  assert.equal(multiplier(), 2, 'an ejected endpoint is not forgiven');
  succeed();
  await timers.advance(21_000);
  assert.equal(multiplier(), 1);
  await timers.advance(21_000);
  assert.equal(multiplier(), 0);
});
