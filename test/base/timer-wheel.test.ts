/** The timer wheel under a fake clock: never early, at most a tick late, and whatever handlers do to it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeClock, TICK_MS, Timer, TimerWheel } from '../../src/base/index.ts';
import { Random, SEED } from '../codec/http1/random.ts';

class Log {
  readonly fired: number[] = [];
  onTimer(tag: number): void {
    this.fired.push(tag);
  }
}

function step(clock: FakeClock, wheel: TimerWheel, ms: number): void {
  for (let left = ms; left > 0; left -= TICK_MS) {
    clock.advance(Math.min(TICK_MS, left));
    wheel.advance();
  }
}

describe('a timer', () => {
  test('fires once, not before its time and at most a tick after', () => {
    for (const delay of [0, 1, TICK_MS - 1, TICK_MS, TICK_MS + 1, 999, 4_096, 4_097, 300_000]) {
      const clock = new FakeClock(1_000.7);
      const wheel = new TimerWheel(clock);
      const due = clock.nowMs() + delay;
      let at = -1;
      const timer = new Timer({ onTimer: () => (at = clock.nowMs()) }, 0);
      wheel.arm(timer, delay);
      while (at < 0) {
        clock.advance(1);
        wheel.advance();
        assert.ok(clock.nowMs() <= due + 2 * TICK_MS, `late: ${delay}`);
      }
      assert.ok(at >= due, `early: ${delay}`);
      assert.equal(timer.armed, false);
      assert.equal(wheel.size, 0);
    }
  });

  test('that is cancelled does not fire', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const log = new Log();
    const timer = new Timer(log, 1);
    wheel.arm(timer, 100);
    wheel.cancel(timer);
    wheel.cancel(timer);
    step(clock, wheel, 200);
    assert.deepEqual(log.fired, []);
    assert.equal(wheel.size, 0);
  });

  test('moves later and earlier', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const log = new Log();
    const later = new Timer(log, 1);
    const earlier = new Timer(log, 2);
    wheel.arm(later, 100);
    wheel.arm(later, 10_000);
    wheel.arm(earlier, 10_000);
    wheel.arm(earlier, 100);
    step(clock, wheel, 200);
    assert.deepEqual(log.fired, [2]);
    step(clock, wheel, 10_000);
    assert.deepEqual(log.fired, [2, 1]);
  });

  test('fires although the driver slept through many turns of the wheel', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const log = new Log();
    for (let tag = 0; tag < 50; tag++) wheel.arm(new Timer(log, tag), tag * 313);
    clock.advance(1_000_000);
    wheel.advance();
    assert.equal(log.fired.length, 50);
    assert.equal(wheel.size, 0);
  });
});

describe('a handler', () => {
  test('may cancel a timer that is due in the same round', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const fired: number[] = [];
    const timers: Timer[] = [];
    const owner = {
      onTimer(tag: number): void {
        fired.push(tag);
        wheel.cancel(timers[1 - tag] as Timer);
      },
    };
    timers.push(new Timer(owner, 0), new Timer(owner, 1));
    for (const timer of timers) wheel.arm(timer, 10);
    step(clock, wheel, 40);
    assert.equal(fired.length, 1);
    assert.equal(wheel.size, 0);
  });

  test('may arm its own timer and others that are due in the same round', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const fired: number[] = [];
    const timers: Timer[] = [];
    let rounds = 0;
    const owner = {
      onTimer(tag: number): void {
        fired.push(tag);
        if (rounds++ < 2) for (const timer of timers) wheel.arm(timer, 100);
      },
    };
    timers.push(new Timer(owner, 0), new Timer(owner, 1));
    for (const timer of timers) wheel.arm(timer, 10);
    step(clock, wheel, 50);
    assert.equal(fired.length, 1, 'the other was moved before its turn');
    step(clock, wheel, 500);
    assert.equal(wheel.size, 0);
    assert.equal(fired.length, 4);
  });
});

test('a thousand timers armed, moved and cancelled at random keep to their deadlines', () => {
  const random = new Random(SEED);
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const due = new Map<number, number>();
  const owner = {
    onTimer(tag: number): void {
      const deadline = due.get(tag);
      assert.ok(deadline !== undefined, `${tag} fired unarmed; OUTBOARD_TEST_SEED=${SEED}`);
      assert.ok(clock.nowMs() >= deadline, `${tag} early; OUTBOARD_TEST_SEED=${SEED}`);
      assert.ok(clock.nowMs() <= deadline + 2 * TICK_MS, `${tag} late; OUTBOARD_TEST_SEED=${SEED}`);
      due.delete(tag);
    },
  };
  const timers = Array.from({ length: 1_000 }, (_, tag) => new Timer(owner, tag));
  for (let round = 0; round < 20_000; round++) {
    const timer = random.pick(timers);
    if (random.chance(4)) {
      wheel.cancel(timer);
      due.delete(timer.tag);
    } else {
      const delay = random.int(9_000);
      wheel.arm(timer, delay);
      due.set(timer.tag, clock.nowMs() + delay);
    }
    if (random.chance(3)) step(clock, wheel, random.int(8));
    assert.equal(wheel.size, due.size);
  }
  step(clock, wheel, 10_000);
  assert.equal(due.size, 0);
});
