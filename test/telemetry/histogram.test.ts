/** Histogram cells: every bound, both sides of it, against the obvious search. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketOf, observe } from '../../src/telemetry/histogram.ts';
import { HISTOGRAM_BOUNDS, HISTOGRAM_CELLS } from '../../src/telemetry/index.ts';
import { newCells, seeded } from './kit.ts';

function slowBucket(value: number): number {
  const at = HISTOGRAM_BOUNDS.findIndex((bound) => value <= bound);
  return at < 0 ? HISTOGRAM_BOUNDS.length : at;
}

test('a value falls into the first bucket whose bound is not below it', () => {
  for (const bound of HISTOGRAM_BOUNDS) {
    for (const value of [bound * 0.999, bound, bound * 1.001])
      assert.equal(bucketOf(value), slowBucket(value), `${value}`);
  }
  for (const value of [0, -1, 1e12, Number.POSITIVE_INFINITY])
    assert.equal(bucketOf(value), slowBucket(value), `${value}`);
});

test('buckets agree with the obvious search on random values', () => {
  const seed = 11;
  const random = seeded(seed);
  for (let i = 0; i < 20_000; i++) {
    const value = 10 ** (random() * 9 - 1);
    assert.equal(bucketOf(value), slowBucket(value), `${value}, seed ${seed}`);
  }
});

test('observing adds one to a bucket and the value to the sum', () => {
  const cells = newCells(64);
  observe(cells, 10, 12.5);
  observe(cells, 10, 1e9);
  const used = [...cells.values.subarray(10, 10 + HISTOGRAM_CELLS)];
  assert.equal(used[slowBucket(12.5)], 1);
  assert.equal(used[HISTOGRAM_BOUNDS.length], 1);
  assert.equal(used[HISTOGRAM_CELLS - 1], 12.5 + 1e9);
  assert.equal(
    used.slice(0, -1).reduce((a, b) => a + b),
    2,
  );
});
