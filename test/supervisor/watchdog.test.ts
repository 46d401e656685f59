/** The watchdog's judgement, in made-up time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../src/base/index.ts';
import { DEFAULT_TUNING } from '../../src/supervisor/tuning.ts';
import { Watchdog } from '../../src/supervisor/watchdog.ts';
import type { WorkerThread } from '../../src/supervisor/worker-thread.ts';

function setup(version = 1) {
  const clock = new FakeClock();
  const tuning = { ...DEFAULT_TUNING, heartbeatMs: 250, watchdogMs: 10_000, workerStartMs: 30_000 };
  const thread = {
    version,
    ended: false,
    endReason: '',
    lastBeat: Number.NaN,
    lastBeatSeenMs: clock.nowMs(),
  };
  const stalled: string[] = [];
  let beat = 0;
  let rounds = 0;
  const watchdog = new Watchdog({
    tuning,
    clock,
    threads: () => [thread as unknown as WorkerThread],
    beatOf: () => beat,
    onStalled: (_thread, reason) => void stalled.push(reason),
    onRound: () => void rounds++,
  });
  const run = (ms: number, beats: boolean): void => {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250);
      if (beats) beat++;
      watchdog.look();
    }
  };
  return { clock, watchdog, stalled, run, rounds: () => rounds };
}

test('a thread that beats is left alone for ever', () => {
  const { run, stalled, rounds } = setup();
  run(3_600_000, true);
  assert.deepEqual(stalled, []);
  assert.equal(rounds(), 14_400);
});

test('a thread that stops beating is ended after the time allowed, not before', () => {
  const { run, stalled } = setup();
  run(5_000, true);
  run(10_000, false);
  assert.deepEqual(stalled, []);
  run(250, false);
  assert.deepEqual(stalled, ['no heartbeat for 10250 ms']);
});

test('a thread that starts is given longer', () => {
  const { run, stalled } = setup(0);
  run(30_000, false);
  assert.deepEqual(stalled, []);
  run(500, false);
  assert.equal(stalled.length > 0, true);
});

test('time in which the supervisor itself did not run is not held against a thread', () => {
  const { run, stalled, clock, watchdog } = setup();
  run(1_000, true);
  clock.advance(3_600_000);
  watchdog.look();
  assert.deepEqual(stalled, [], 'the machine was suspended');
  run(5_000, false);
  assert.deepEqual(stalled, []);
  run(10_000, false);
  assert.equal(stalled.length > 0, true, 'but it has to beat afterwards');
});
