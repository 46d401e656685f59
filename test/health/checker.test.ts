/** When checks are made and what their results mean, in made-up time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import { NO_SECRETS } from '../../src/config/index.ts';
import { HealthChecker, type HealthEvent } from '../../src/controlplane/health/index.ts';
import { CHECK, FakeTimers, HealthBits, ScriptedProbe, service, settled } from './kit.ts';

function setup() {
  const timers = new FakeTimers();
  const script = new ScriptedProbe();
  const ledger = new HealthBits();
  const bits = ledger.passes;
  const events: HealthEvent[] = [];
  const traffic = { begun: true };
  const checker = new HealthChecker({
    clock: timers.clock,
    timers,
    probe: script.probe,
    random: () => 0,
    secrets: () => NO_SECRETS,
    ledger,
    hasTraffic: () => traffic.begun,
    onEvent: (event) => void events.push(event),
  });
  return { timers, script, ledger, bits, traffic, events, checker };
}

test('a new endpoint is checked at once, and one result decides', async () => {
  const { script, bits, events, checker } = setup();
  checker.update({ services: [service('cart', [1, 2])] });
  assert.deepEqual(
    [...bits],
    [
      [0, false],
      [1, false],
    ],
  );
  assert.equal(checker.read(0)?.state, 'pending');
  await script.answer(true, '127.0.0.1:1');
  await script.answer(false, '127.0.0.1:2');
  assert.deepEqual(
    [...bits],
    [
      [0, true],
      [1, false],
    ],
  );
  assert.deepEqual(events, [
    {
      type: 'healthy',
      event: 'add_healthy_event',
      service: 'cart',
      endpoint: '127.0.0.1:1',
      healthCheckerType: 'HTTP',
      from: 'pending',
      to: 'healthy',
      reason: 'status 200',
    },
    {
      type: 'unhealthy',
      event: 'eject_unhealthy_event',
      service: 'cart',
      endpoint: '127.0.0.1:2',
      healthCheckerType: 'HTTP',
      from: 'pending',
      to: 'unhealthy',
      reason: 'status 503',
    },
  ]);
});

test('after the first result it takes the thresholds in a row, both ways', async () => {
  const { timers, script, bits, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  const round = async (passed: boolean): Promise<boolean | undefined> => {
    await script.answer(passed);
    await timers.advance(CHECK.intervalMs);
    return bits.get(0);
  };
  assert.equal(await round(true), true);
  assert.equal(await round(false), true);
  assert.equal(await round(false), true);
  assert.equal(await round(true), true, 'a pass in between starts the count again');
  assert.equal(await round(false), true);
  assert.equal(await round(false), true);
  assert.equal(await round(false), false, 'the third failure in a row');
  assert.equal(await round(true), false);
  assert.equal(await round(false), false, 'a failure in between starts the count again');
  assert.equal(await round(true), false);
  assert.equal(await round(true), true, 'the second pass in a row');
});

test('the next check comes an interval after the last one ended, never beside it', async () => {
  const { timers, script, checker } = setup();
  const slow = { ...CHECK, intervalMs: 100, timeoutMs: 60_000 };
  checker.update({ services: [service('cart', [1], { healthCheck: slow })] });
  await timers.advance(1_000);
  assert.equal(script.asked.length, 1, 'the first check is still under way');
  await script.answer(true);
  await timers.advance(99);
  assert.equal(script.asked.length, 1);
  await timers.advance(1);
  assert.equal(script.asked.length, 2);
});

test('a check that takes longer than its timeout is aborted and counts as a failure', async () => {
  const { timers, script, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  await timers.advance(CHECK.timeoutMs);
  assert.deepEqual(script.aborted, ['127.0.0.1:1']);
  assert.deepEqual([checker.read(0)?.state, checker.read(0)?.reason], ['unhealthy', 'timeout after 1000 ms']);
});

test('an endpoint that stays keeps its state; one that goes is checked no more', async () => {
  const { timers, script, bits, checker } = setup();
  checker.update({ services: [service('cart', [1, 2])] });
  await script.answer(true);
  await script.answer(false);
  checker.update({ services: [service('cart', [1])] });
  assert.equal(checker.read(0)?.state, 'healthy');
  assert.equal(checker.read(1), null);
  assert.equal(bits.get(1), true, 'nothing is left behind in the slot');
  await timers.advance(CHECK.intervalMs);
  assert.deepEqual(script.asked, ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:1']);
});

test('a check under way when its endpoint goes is aborted and says nothing', async () => {
  const { script, events, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  checker.update({ services: [] });
  await settled();
  assert.deepEqual(script.aborted, ['127.0.0.1:1']);
  assert.deepEqual(events, []);
});

test('a service that loses its health check gets all its endpoints back', async () => {
  const { script, bits, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  await script.answer(false);
  assert.equal(bits.get(0), false);
  checker.update({ services: [service('cart', [1], { healthCheck: null })] });
  assert.equal(bits.get(0), true);
});

test('another configuration of the check holds at once', async () => {
  const { script, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  await script.answer(true);
  checker.update({ services: [service('cart', [1])] });
  assert.equal(script.asked.length, 1, 'the same configuration changes nothing');
  checker.update({ services: [service('cart', [1], { healthCheck: { ...CHECK, path: '/other' } })] });
  assert.equal(script.asked.length, 2);
});

test('first results are waited for, but not for longer than asked', async () => {
  const { timers, script, checker } = setup();
  checker.update({ services: [service('cart', [1, 2], { healthCheck: { ...CHECK, timeoutMs: 60_000 } })] });
  let done = '';
  void checker.firstResults(3_000).then(() => {
    done += 'all ';
  });
  await script.answer(true);
  await settled();
  assert.equal(done, '');
  await script.answer(false);
  await settled();
  assert.equal(done, 'all ');
  checker.update({ services: [service('cart', [3], {}, 7)] });
  void checker.firstResults(500).then(() => {
    done += 'late';
  });
  await timers.advance(500);
  assert.equal(done, 'all late');
});

test('checks under way are bounded; the others wait their turn', async () => {
  const { script, checker } = setup();
  const count = LIMITS.healthChecksInFlight + 10;
  const ports = Array.from({ length: count }, (_, i) => i + 1);
  checker.update({ services: [service('cart', ports)] });
  assert.equal(script.underWay, LIMITS.healthChecksInFlight);
  for (let i = 0; i < count; i++) {
    await script.answer(true);
    assert.ok(script.underWay <= LIMITS.healthChecksInFlight);
  }
  assert.equal(script.asked.length, count);
});

test('stopping leaves no timer and no check', async () => {
  const { timers, script, checker } = setup();
  checker.update({ services: [service('cart', [1, 2])] });
  await script.answer(true);
  checker.stop();
  await settled();
  assert.equal(timers.armed, 0);
  assert.deepEqual(script.aborted, ['127.0.0.1:2']);
});

test('degraded follows the last check that passed, and is told both ways', async () => {
  const { timers, script, ledger, events, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  const next = async (passed: boolean, degraded = false): Promise<boolean | undefined> => {
    await script.answer(passed, undefined, { degraded });
    await timers.advance(CHECK.intervalMs);
    return ledger.degraded.get(0);
  };
  assert.equal(await next(true), undefined, 'nothing to tell');
  assert.equal(await next(true, true), true);
  assert.equal(checker.read(0)?.degraded, true);
  assert.equal(await next(false), true, 'a check that fails says nothing of it');
  assert.equal(await next(true), false);
  assert.deepEqual(
    events.map((event) => ('event' in event ? event.event : event.type)),
    ['add_healthy_event', 'degraded_healthy_host', 'no_longer_degraded_host'],
  );
  await next(true, true);
  checker.update({ services: [] });
  assert.equal(ledger.degraded.get(0), false, 'nothing is left behind in the slot');
});

test('a failing check that asks for no more requests waits for no threshold', async () => {
  const { timers, script, bits, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  await script.answer(true);
  await timers.advance(CHECK.intervalMs);
  await script.answer(false, undefined, { immediate: true, failureType: 'ACTIVE' });
  assert.equal(bits.get(0), false);
});

test('an endpoint that asked a worker for no more requests needs its passes in a row to return', async () => {
  const { timers, script, ledger, events, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  await script.answer(true);
  ledger.setHealth(0, false);
  await timers.advance(CHECK.intervalMs);
  await script.answer(true);
  assert.equal(ledger.passesHealth(0), false, 'one of two');
  assert.equal(checker.read(0)?.state, 'unhealthy');
  await timers.advance(CHECK.intervalMs);
  await script.answer(true);
  assert.equal(ledger.passesHealth(0), true);
  assert.deepEqual(
    events.map((event) => ('failureType' in event ? event.failureType : event.type)),
    ['healthy', 'PASSIVE', 'healthy'],
  );
  assert.deepEqual(checker.readCounts(0), {
    attempt: 3,
    success: 3,
    failure: 1,
    networkFailure: 0,
    passiveFailure: 1,
  });
});

test('what a worker says of an endpoint that is checked no more is void once all have the configuration', () => {
  const { ledger, checker } = setup();
  checker.update({ services: [service('cart', [1])] });
  checker.update({ services: [service('cart', [1], { healthCheck: null })] });
  ledger.setHealth(0, false);
  checker.inForce();
  assert.equal(ledger.passesHealth(0), true);
  ledger.setHealth(0, false);
  checker.inForce();
  assert.equal(ledger.passesHealth(0), false, 'once');
});

test('unhealthy endpoints, services without traffic and the first check have intervals of their own', async () => {
  const { timers, script, traffic, checker } = setup();
  const check = { ...CHECK, unhealthyIntervalMs: 1_000, noTrafficIntervalMs: 60_000 };
  checker.update({ services: [service('cart', [1], { healthCheck: check })] });
  const waitAfter = async (passed: boolean): Promise<number> => {
    const before = script.asked.length;
    await script.answer(passed);
    for (let waited = 0; ; waited += 500) {
      if (script.asked.length > before) return waited;
      await timers.advance(500);
    }
  };
  traffic.begun = false;
  assert.equal(await waitAfter(false), 60_000);
  assert.equal(await waitAfter(true), 60_000);
  traffic.begun = true;
  assert.equal(await waitAfter(false), 1_000);
  assert.equal(await waitAfter(true), 1_000);
  assert.equal(await waitAfter(true), 5_000);
});

test('jitter spreads first checks and intervals, up to what is configured', async () => {
  const timers = new FakeTimers();
  const script = new ScriptedProbe();
  const draws = [0.25, 0.75, 0.5, 0.5];
  const checker = new HealthChecker({
    clock: timers.clock,
    timers,
    probe: script.probe,
    random: () => draws.shift() as number,
    secrets: () => NO_SECRETS,
    ledger: new HealthBits(),
    hasTraffic: () => true,
    onEvent: () => {},
  });
  const check = { ...CHECK, initialJitterMs: 1_000, intervalJitterMs: 2_000 };
  checker.update({ services: [service('cart', [1, 2], { healthCheck: check })] });
  await timers.advance(250);
  assert.deepEqual(script.asked, ['127.0.0.1:1']);
  await timers.advance(500);
  assert.deepEqual(script.asked, ['127.0.0.1:1', '127.0.0.1:2']);
  await script.answer(true, '127.0.0.1:1');
  await timers.advance(5_999);
  assert.equal(script.asked.length, 2);
  await timers.advance(1);
  assert.equal(script.asked.length, 3);
  checker.stop();
});

test('alwaysLogHealthCheckFailures tells every check that fails', async () => {
  const { timers, script, events, checker } = setup();
  const check = { ...CHECK, alwaysLogHealthCheckFailures: true, unhealthyThreshold: 2 };
  checker.update({ services: [service('cart', [1], { healthCheck: check })] });
  for (const passed of [true, false, false, false]) {
    await script.answer(passed, undefined, passed ? {} : { failureType: 'ACTIVE' });
    await timers.advance(CHECK.intervalMs);
  }
  assert.deepEqual(
    events.map((event) => ('event' in event ? event.event : event.type)),
    [
      'add_healthy_event',
      'health_check_failure_event',
      'health_check_failure_event',
      'eject_unhealthy_event',
      'health_check_failure_event',
    ],
  );
});
