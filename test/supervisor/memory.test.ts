/** When the supervisor gives memory back, and that V8 really does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { collectGarbage } from '../../src/base/index.ts';
import { MemoryKeeper } from '../../src/supervisor/memory.ts';

test('memory is collected once, a second after the last of a row of reloads', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let collections = 0;
  const keeper = new MemoryKeeper(() => void collections++);
  for (let i = 0; i < 5; i++) {
    keeper.touched();
    t.mock.timers.tick(900);
  }
  assert.equal(collections, 0);
  t.mock.timers.tick(100);
  assert.equal(collections, 1);
  t.mock.timers.tick(10_000);
  assert.equal(collections, 1);
  keeper.touched();
  t.mock.timers.tick(1_000);
  assert.equal(collections, 2);
});

test('nothing is collected once it is stopped', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let collections = 0;
  const keeper = new MemoryKeeper(() => void collections++);
  keeper.touched();
  keeper.stop();
  t.mock.timers.tick(10_000);
  assert.equal(collections, 0);
});

test('a collection shrinks the young generation, and leaves no gc behind', () => {
  const kept: object[] = [];
  for (let i = 0; i < 200_000; i++) kept.push({ i });
  const grownBytes = youngBytes();
  kept.length = 0;
  collectGarbage();
  assert.ok(youngBytes() < grownBytes / 2, `${youngBytes()} of ${grownBytes} bytes`);
  assert.equal('gc' in globalThis, false);
});

function youngBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  return space?.space_size ?? Number.NaN;
}
