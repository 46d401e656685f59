/** Series come and go with the configuration, within their bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import {
  BLOCK_CELLS,
  COUNTER,
  FAMILIES,
  LISTENER_COUNTER,
  listenerOwner,
  type SeriesAnnouncement,
  WORKER_COUNTER,
  WorkerMetrics,
} from '../../src/telemetry/index.ts';
import { answered, bench, newCells } from './kit.ts';

function metrics(capacity?: number): { metrics: WorkerMetrics; series: SeriesAnnouncement[] } {
  const series: SeriesAnnouncement[] = [];
  return { metrics: new WorkerMetrics(newCells(capacity), (announced) => series.push(announced)), series };
}

test('each family has its cells within the block, and none is shared', () => {
  for (const [block, families] of Object.entries(FAMILIES)) {
    const used = new Set<number>();
    for (const { name, type, offset, minus } of families) {
      if (minus >= 0) continue;
      const cells = type === 'histogram' ? 21 : 1;
      for (let i = offset; i < offset + cells; i++) {
        assert.ok(!used.has(i) && i < BLOCK_CELLS[block as keyof typeof FAMILIES], `${name}: cell ${i}`);
        used.add(i);
      }
    }
    assert.equal(used.size, BLOCK_CELLS[block as keyof typeof FAMILIES], block);
  }
});

test('blocks never overlap', () => {
  const made = metrics();
  for (let i = 0; i < 50; i++) made.metrics.addService(`s${i}`, i);
  made.metrics.addListener('web', 'a_1');
  const taken = new Set<number>();
  for (const { block, offset } of made.series) {
    for (let i = offset; i < offset + BLOCK_CELLS[block]; i++) {
      assert.ok(!taken.has(i));
      taken.add(i);
    }
  }
});

test('a service is known by slot and name; a slot with another owner does not mislead', () => {
  const { metrics: made } = metrics();
  const cart = made.addService('cart', 3);
  assert.equal(made.serviceOf(3, 'cart'), cart);
  assert.equal(made.addService('cart', 3), cart);
  made.removeService('cart', 0);
  const stock = made.addService('stock', 3);
  assert.equal(made.serviceOf(3, 'stock'), stock);
  assert.equal(made.serviceOf(3, 'cart'), cart, 'a request that outlives its service still counts for it');
  assert.equal(made.serviceOf(-1, ''), made.unknown);
});

test('cells of a removed service are reused only after twice the time its series stay', () => {
  const made = metrics();
  const cart = made.metrics.addService('cart', 1);
  cart.counters.add(COUNTER.upstreamCxTotal, 5);
  const [, first] = made.series;
  made.metrics.removeService('cart', 1_000);
  made.metrics.sweep(1_000 + 2 * LIMITS.removedSeriesMs - 1);
  made.metrics.addService('early', 2);
  assert.notEqual(made.series.at(-1)?.offset, first?.offset);
  made.metrics.sweep(1_000 + 2 * LIMITS.removedSeriesMs);
  const late = made.metrics.addService('late', 3);
  assert.equal(made.series.at(-1)?.offset, first?.offset);
  assert.equal(late.counters.read(COUNTER.upstreamCxTotal), 0, 'reused cells read 0');
  cart.counters.add(COUNTER.upstreamCxTotal, 7);
  assert.equal(late.counters.read(COUNTER.upstreamCxTotal), 0, 'the former owner counts nowhere');
});

test('a service that comes back in time goes on counting, and is announced again', () => {
  const { recorder, clock, series, cells } = bench();
  recorder.metrics.addService('cart', 3);
  recorder.finish(answered(clock));
  const before = series();
  recorder.metrics.removeService('cart', clock.nowMs());
  clock.advance(LIMITS.removedSeriesMs);
  recorder.metrics.sweep(clock.nowMs());
  recorder.metrics.addService('cart', 9);
  const again = series().slice(before.length);
  assert.deepEqual(
    again,
    before.filter(({ owner }) => owner === 'cart'),
  );
  recorder.finish(answered(clock, { serviceSlot: 9 }));
  const request = again.find(({ block }) => block === 'request');
  assert.equal(cells.read(request?.offset ?? -1), 2);
  clock.advance(2 * LIMITS.removedSeriesMs);
  recorder.metrics.sweep(clock.nowMs());
  assert.equal(
    recorder.metrics.serviceOf(9, 'cart').counters.read(COUNTER.upstreamRqTotal),
    2,
    'in force: kept',
  );
});

test('a request that ends after its service was forgotten is counted and forgotten in its turn', () => {
  const { recorder, clock, series } = bench();
  recorder.metrics.addService('cart', 3);
  recorder.metrics.removeService('cart', clock.nowMs());
  clock.advance(2 * LIMITS.removedSeriesMs);
  recorder.metrics.sweep(clock.nowMs());
  const before = series().length;
  recorder.finish(answered(clock));
  assert.deepEqual(
    series()
      .slice(before)
      .map(({ block, owner }) => `${block} ${owner}`),
    ['service cart', 'request cart'],
  );
  const used = series()
    .slice(before)
    .map(({ offset }) => offset);
  recorder.metrics.sweep(clock.nowMs());
  clock.advance(2 * LIMITS.removedSeriesMs);
  recorder.metrics.sweep(clock.nowMs());
  recorder.metrics.addService('next', 4);
  assert.ok(used.includes(series().at(-1)?.offset ?? -1));
});

test('a listener that moves to another address is another series; connections of the old one still count for it', () => {
  const made = metrics();
  const old = made.metrics.addListener('web', '127.0.0.1_80');
  assert.equal(made.metrics.addListener('web', '127.0.0.1_80'), old);
  const moved = made.metrics.addListener('web', '127.0.0.1_81');
  assert.notEqual(moved, old);
  old.add(LISTENER_COUNTER.downstreamCxDestroy, 1);
  assert.equal(moved.read(LISTENER_COUNTER.downstreamCxDestroy), 0);
  assert.equal(made.metrics.listenerOf('web'), moved);
  assert.deepEqual(
    made.series.filter(({ block }) => block === 'listener').map(({ owner }) => owner),
    [listenerOwner('web', '127.0.0.1_80'), listenerOwner('web', '127.0.0.1_81')],
  );
  const offset = made.series.find(({ block }) => block === 'listener')?.offset;
  made.metrics.sweep(1_000);
  made.metrics.sweep(1_000 + 2 * LIMITS.removedSeriesMs);
  made.metrics.addListener('next', '127.0.0.1_82');
  assert.equal(made.series.at(-1)?.offset, offset);
  made.metrics.removeListener('next', 2_000);
  made.metrics.addListener('next', '127.0.0.1_82');
  assert.equal(made.series.at(-1)?.offset, offset, 'announced again');
});

test('series are bounded; what finds no cells is counted, and nothing else is disturbed', () => {
  const capacity = 8 * Math.max(...Object.values(BLOCK_CELLS));
  const { recorder, clock, series } = bench({ cells: newCells(capacity) });
  recorder.metrics.addService('cart', 3);
  for (let status = 200; status < 300; status++) recorder.finish(answered(clock, { status }));
  const announced = series().filter(({ block }) => block === 'request').length;
  assert.ok(announced > 3 && announced < 20, `${announced} series`);
  assert.equal(recorder.metrics.worker.read(WORKER_COUNTER.seriesOverflow), 100 - announced);
  recorder.metrics.addService('more', 4).counters.add(COUNTER.upstreamCxTotal, 1);
  assert.equal(recorder.metrics.serviceOf(3, 'cart').counters.read(COUNTER.upstreamRqTotal), 100);
});

test('200 reloads that add and remove a service and a listener use no more cells than a few of them', () => {
  const made = metrics();
  let nowMs = 0;
  for (let i = 0; i < 200; i++) {
    made.metrics.addService(`s${i}`, i % 4);
    made.metrics.addListener(`l${i}`, 'a_1');
    made.metrics.removeService(`s${i}`, nowMs);
    made.metrics.removeListener(`l${i}`, nowMs);
    nowMs += LIMITS.removedSeriesMs;
    made.metrics.sweep(nowMs);
  }
  const highest = Math.max(...made.series.map(({ offset }) => offset));
  assert.ok(highest < 12 * Math.max(...Object.values(BLOCK_CELLS)), `cells up to ${highest}`);
});
