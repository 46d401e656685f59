// A token bucket gives what its rate and burst say: no token more at any moment, and none is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachLedger, bucketShape } from '../../src/ledger/index.ts';
import { dieAt } from './death.ts';
import { Agent, CELL, go, makeControl, makeLedger, reached, seeded, set, TOKENS } from './kit.ts';

function open(requests: number, intervalMs: number, burst: number) {
  return attachLedger(makeLedger(1).buffers, 0).rateLimits.open(
    0,
    -1,
    bucketShape(requests, intervalMs, burst),
  );
}

/** Requests, interval in ms, burst. */
const SHAPES: readonly (readonly [number, number, number])[] = [
  [1, 60_000, 1],
  [3, 1_000, 3],
  [7, 1_000, 1],
  [100, 1_000, 250],
  [100_000, 1_000, 100_000],
  [1_000_000, 1_000, 5],
  [1, 86_400_000, 20],
  [10_000_000, 3_600_000, 10_000_000],
];

for (const [requests, intervalMs, burst] of SHAPES) {
  test(`${requests} in ${intervalMs} ms, burst ${burst}: a full bucket at once, then one token per step, for 10,000 steps`, () => {
    const bucket = open(requests, intervalMs, burst);
    const tokenMs = intervalMs / requests;
    let nowMs = 12_345_678.9;
    let taken = 0;
    while (taken < burst && bucket.take('', nowMs)) taken++;
    assert.equal(taken, burst);
    assert.equal(bucket.remaining, 0);
    assert.equal(bucket.take('', nowMs), false);
    const startMs = nowMs;
    const unitMs = 1 / bucket.shape.unitsPerMs;
    for (let step = 1; step <= 10_000; step++) {
      // A bucket of one token is full while nobody takes it, so that its steps count from the last one taken.
      const dueMs = burst === 1 ? nowMs + tokenMs : startMs + step * tokenMs;
      if (tokenMs > 4 * unitMs)
        assert.equal(bucket.take('', dueMs - 2 * unitMs), false, `step ${step}, too early`);
      nowMs = dueMs + 2 * unitMs;
      assert.equal(bucket.take('', nowMs), true, `step ${step}`);
    }
  });
}

test('at random moments it gives what a bucket of exact fractions gives', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seeded(seed);
  for (const [requests, intervalMs, burst] of SHAPES) {
    const bucket = open(requests, intervalMs, burst);
    let nowMs = 1_000 + random() * 1e9;
    let level = burst;
    const unit = requests / intervalMs / bucket.shape.unitsPerMs;
    for (let i = 0; i < 5_000; i++) {
      const waitMs = (random() * 3 * intervalMs) / requests;
      nowMs += waitMs;
      level = Math.min(burst, level + (waitMs * requests) / intervalMs);
      const taken = bucket.take('', nowMs);
      // Within two units of a whole token either answer may be right.
      if (Math.abs(level - 1) > 2 * unit + 1e-6) assert.equal(taken, level >= 1, `seed ${seed}, step ${i}`);
      if (taken) level -= 1;
    }
  }
});

test('a clock that starts anywhere, and passes where moments begin again at 0, changes nothing', () => {
  const wrapMs = 2 ** 44 / 1_000;
  for (const startMs of [0, 1, wrapMs - 500, wrapMs, 5 * wrapMs - 500]) {
    const bucket = open(10, 1_000, 10);
    let taken = 0;
    for (let nowMs = startMs; nowMs <= startMs + 10_000; nowMs += 10) if (bucket.take('', nowMs)) taken++;
    assert.equal(taken, 110, `from ${startMs} ms`);
  }
});

test('a bucket that nobody used for a hundred days is full', () => {
  const bucket = open(1, 1_000, 2);
  const days = 86_400_000;
  for (let nowMs = 0; nowMs < 1_000 * days; nowMs += 100 * days) {
    assert.deepEqual(
      [1, 2, 3].map(() => bucket.take('', nowMs)),
      [true, true, false],
    );
  }
});

test('what is left, and how long until there is a token and all of them, is told after each request', () => {
  const bucket = open(2, 1_000, 4);
  const seen = [0, 0, 0, 0, 0, 250, 500].map((nowMs) => [
    bucket.take('', 1_000 + nowMs),
    bucket.remaining,
    bucket.waitMs,
    bucket.fullInMs,
  ]);
  assert.deepEqual(seen, [
    [true, 3, 0, 500],
    [true, 2, 0, 1_000],
    [true, 1, 0, 1_500],
    [true, 0, 500, 2_000],
    [false, 0, 500, 2_000],
    [false, 0, 250, 1_750],
    [true, 0, 500, 2_000],
  ]);
});

test('a token that is given back can be taken again, unless the bucket has replaced it meanwhile', () => {
  const bucket = open(1, 1_000, 1);
  assert.equal(bucket.take('', 5_000), true);
  bucket.giveBack(5_001);
  assert.equal(bucket.take('', 5_002), true);
  // Full again before it came back: the next one takes the new token, and there is no second.
  const other = open(1, 1_000, 1);
  other.take('', 5_000);
  other.giveBack(6_500);
  assert.deepEqual([other.take('', 6_500), other.take('', 6_500)], [true, false]);
});

test('a token never comes back twice where another worker has used the new one', () => {
  const ledger = makeLedger(2);
  const shape = bucketShape(1, 1_000, 1);
  const [mine, others] = [0, 1].map((worker) =>
    attachLedger(ledger.buffers, worker).rateLimits.open(0, -1, shape),
  );
  mine?.take('', 5_000);
  assert.equal(others?.take('', 6_200), true);
  mine?.giveBack(6_201);
  assert.equal(others?.take('', 6_202), false);
});

test('a worker with a clock that is late takes no more than there is', () => {
  const ledger = makeLedger(2);
  const shape = bucketShape(1_000, 1_000, 10);
  const [first, late] = [0, 1].map((worker) =>
    attachLedger(ledger.buffers, worker).rateLimits.open(0, -1, shape),
  );
  for (let i = 0; i < 10; i++) assert.equal(first?.take('', 50_000), true);
  assert.equal(late?.take('', 49_000), false);
  assert.equal(late?.remaining, 0);
  assert.equal(late?.take('', 50_001), true);
});

test('four threads take a full bucket and every token that comes, none twice and none lost', async () => {
  const [requests, intervalMs, burst] = TOKENS;
  const ledger = makeLedger(4);
  const control = makeControl();
  const agents = [0, 1, 2, 3].map((worker) => new Agent(ledger, control, { job: 'tokens', worker }));
  await go(control, agents.length);
  await reached(control, CELL.tally, burst);
  // Fewer than the burst come, so that the bucket is never full again.
  const endMs = 1_900;
  for (let nowMs = 1; nowMs <= endMs; nowMs++) {
    set(control, CELL.clock, nowMs);
    if (nowMs % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  set(control, CELL.stop, 1);
  await Promise.all(agents.map(({ ended }) => ended));
  assert.equal(control[CELL.tally], burst + (requests * endMs) / intervalMs);
});

test('a thread that dies at any step of taking a token has taken one or none', () => {
  for (let step = 0; ; step++) {
    for (const isAfter of [false, true]) {
      const ledger = makeLedger(2);
      const shape = bucketShape(1, 1_000, 5);
      const dying = attachLedger(ledger.buffers, 0).rateLimits.open(0, -1, shape);
      const other = attachLedger(ledger.buffers, 1).rateLimits.open(0, -1, shape);
      const died = dieAt(step, isAfter, () => dying.take('', 1_000));
      const left = [1, 2, 3, 4, 5, 6].filter(() => other.take('', 1_000)).length;
      if (!died) {
        assert.equal(left, 4);
        assert.ok(step > 1, 'it has steps to die at');
        return;
      }
      assert.ok(left === 4 || left === 5, `${left} left at step ${step}`);
    }
  }
});
