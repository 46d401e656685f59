/** What belongs to a turn of the event loop: time that stands still, and tasks at its end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atPassEnd, atTurnEnd, systemClock, turnClock } from '../../src/base/index.ts';

const nextPass = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function spin(ms: number): void {
  const end = systemClock.nowMs() + ms;
  while (systemClock.nowMs() < end);
}

test('time stands still during a turn and goes on with the next', async () => {
  await nextPass();
  const first = turnClock.nowMs();
  spin(2);
  assert.equal(turnClock.nowMs(), first);
  await nextPass();
  assert.ok(turnClock.nowMs() - first >= 2);
});

test('the first reading of a turn is that of the system clock, on both scales', async () => {
  await nextPass();
  const before = systemClock.nowMs();
  const read = turnClock.nowMs();
  assert.ok(read >= before && read <= systemClock.nowMs());
  assert.ok(Math.abs(turnClock.wallMs() - Date.now()) < 50);
});

test('a task runs once, after what called and before the next callback of the loop', async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      atTurnEnd({ onTurnEnd: () => order.push('task') });
      process.nextTick(() => order.push('tick'));
      order.push('turn');
    });
    setImmediate(() => {
      order.push('next turn');
      resolve();
    });
  });
  assert.deepEqual(order, ['turn', 'tick', 'task', 'next turn']);
});

test('a task may ask for another', async () => {
  let runs = 0;
  const again = {
    onTurnEnd(): void {
      if (++runs < 3) atTurnEnd(again);
    },
  };
  atTurnEnd(again);
  await nextPass();
  assert.equal(runs, 3);
});

test('tasks of a pass run when it has ended, those added meanwhile with the next', async () => {
  const order: string[] = [];
  atPassEnd({
    onPassEnd() {
      order.push('a');
      atPassEnd({ onPassEnd: () => order.push('c') });
    },
  });
  atPassEnd({ onPassEnd: () => order.push('b') });
  assert.deepEqual(order, []);
  await nextPass();
  await nextPass();
  assert.deepEqual(order, ['a', 'b', 'c']);
});
