/** When checks are made and what their results mean, in made-up time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import { NO_SECRETS } from '../../src/config/index.ts';
import { HealthChecker, type HealthEvent } from '../../src/controlplane/health/index.ts';
import { CHECK, FakeTimers, ScriptedProbe, service, settled } from './kit.ts';

function setup() {
  const timers = new FakeTimers();
  const script = new ScriptedProbe();
  const bits = new Map<number, boolean>();
  const events: HealthEvent[] = [];
  const checker = new HealthChecker({
    clock: timers.clock,
    timers,
    probe: script.probe,
    random: () => 0,
    secrets: () => NO_SECRETS,
    setHealth: (slot, passes) => void bits.set(slot, passes),
    onEvent: (event) => void events.push(event),
  });
  return { timers, script, bits, events, checker };
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
    { type: 'healthy', service: 'cart', endpoint: '127.0.0.1:1', reason: 'status 200' },
    { type: 'unhealthy', service: 'cart', endpoint: '127.0.0.1:2', reason: 'status 503' },
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
