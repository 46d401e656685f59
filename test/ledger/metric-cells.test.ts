// Metric cells: one writer each, summed by the supervisor, never falling when a worker ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachMetricCells, createMetricCells } from '../../src/ledger/index.ts';

test('the sum over workers is read by the supervisor, each worker reads its own', () => {
  const cells = createMetricCells({ workers: 3, capacity: 1_000 });
  const workers = [0, 1, 2].map((worker) => attachMetricCells(structuredClone(cells.buffers), worker));
  for (const [index, worker] of workers.entries()) worker.add(999, index + 0.5);
  assert.equal(cells.read(999), 4.5);
  assert.equal(workers[2].read(999), 2.5);
  assert.equal(cells.read(998), 0);
});

test('a replacement goes on from what its predecessor counted', () => {
  const cells = createMetricCells({ workers: 1, capacity: 4 });
  attachMetricCells(cells.buffers, 0).add(1, 5);
  attachMetricCells(cells.buffers, 0).add(1, 2);
  assert.equal(cells.read(1), 7);
});

test('what is added beyond the capacity is lost and harms nothing', () => {
  const cells = createMetricCells({ workers: 1, capacity: 4 });
  attachMetricCells(cells.buffers, 0).add(4, 5);
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => cells.read(index)),
    [0, 0, 0, 0],
  );
});

test('a cleared cell starts from 0 for every worker', () => {
  const cells = createMetricCells({ workers: 2, capacity: 4 });
  attachMetricCells(cells.buffers, 0).add(1, 5);
  attachMetricCells(cells.buffers, 1).add(1, 5);
  cells.clear(1);
  assert.equal(cells.read(1), 0);
});
