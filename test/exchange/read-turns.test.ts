/** Turns at being read: a caller that keeps a worker busy waits for the others, loses nothing, and keeps its order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../src/base/index.ts';
import { ReadTurns } from '../../src/dataplane/listener/index.ts';

type Link = Parameters<ReadTurns['onRead']>[0];

/** A worker whose clock moves only while requests are worked on, so many ms for each read or piece of one. */
function worker(turnMs: number) {
  const clock = new FakeClock();
  const counted = { add: () => void held++ };
  const turns = new ReadTurns(turnMs, clock, clock, counted as never);
  const order: string[] = [];
  let held = 0;
  const link = (name: string, caller: number, costMs: number, takesTurns = true): Link => {
    const made = {
      facts: { caller },
      socket: { destroyed: false },
      out: { account: null },
      held: null as Buffer[] | null,
      user: {
        takesTurns,
        onBytes(bytes: Buffer, length: number) {
          order.push(`${name} ${bytes.toString('latin1', 0, Math.min(length, 4))}`);
          clock.advance(costMs);
        },
      },
      hold: (parts: Buffer[]) => {
        made.held = parts;
      },
      release() {},
    };
    return made as unknown as Link;
  };
  const read = (from: Link, text: string): void => turns.onRead(from, Buffer.from(text), text.length);
  const arrive = (name: string, caller: number): void => turns.onArrival(caller, () => order.push(name));
  const pass = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { turns, order, link, read, arrive, pass, clock, held: () => held };
}

test('a caller with many connections is worked for one turn a pass, and the others of that pass come before its rest', async () => {
  const { order, link, read, pass, held } = worker(2);
  const other = link('other', 2, 0.1);
  read(other, 'hi');
  const flood = Array.from({ length: 6 }, (_, i) => link(`flood${i}`, 1, 1));
  for (const each of flood) read(each, 'get');
  read(other, 'get');
  assert.deepEqual(order.slice(1), ['flood0 get', 'flood1 get', 'other get']);
  assert.equal(held(), 4);
  assert.deepEqual(
    flood.map((each) => each.held !== null),
    [false, false, true, true, true, true],
  );
  await pass();
  await pass();
  await pass();
  assert.deepEqual(order.slice(4), ['flood2 get', 'flood3 get', 'flood4 get', 'flood5 get']);
  assert.ok(flood.every((each) => each.held === null));
});

test('bytes that wait are copies: the buffer is read into again', async () => {
  const { order, link, turns, read, pass } = worker(1);
  read(link('other', 2, 0), 'hi');
  const flood = link('flood', 1, 5);
  const shared = Buffer.from('one');
  turns.onRead(flood, shared, 3);
  shared.write('two');
  turns.onRead(flood, shared, 3);
  shared.write('bad');
  await pass();
  assert.deepEqual(order.slice(1), ['flood one', 'flood two']);
});

test('what TLS brings of a connection that is held waits behind what is held, record by record', async () => {
  const { order, link, read, pass } = worker(1);
  read(link('other', 2, 0), 'hi');
  read(link('first', 1, 5), 'get');
  const flood = link('flood', 1, 5);
  for (const text of ['one', 'two', 'six']) read(flood, text);
  assert.equal(flood.held?.length, 3);
  await pass();
  read(flood, 'ten');
  for (let i = 0; i < 4; i++) await pass();
  assert.deepEqual(order.slice(2), ['flood one', 'flood two', 'flood six', 'flood ten']);
});

test('a caller that is alone never waits, nor one for whom everybody else has been silent for a second', () => {
  const { order, link, read, clock, held } = worker(1);
  const flood = Array.from({ length: 5 }, (_, i) => link(`flood${i}`, 1, 10));
  for (const each of flood) read(each, 'get');
  assert.equal(held(), 0);
  read(link('other', 2, 0), 'hi');
  clock.advance(1_001);
  for (const each of flood) read(each, 'get');
  assert.equal(held(), 0);
  assert.equal(order.length, 11);
});

test('a read that takes longer than a turn is worked on in pieces from the next one on', async () => {
  const { order, link, read, pass } = worker(2);
  const other = link('other', 2, 0.1);
  const flood = link('flood', 1, 3);
  const large = Buffer.alloc(24 * 1_024, 'x');
  const text = large.toString();
  read(other, 'hi');
  read(flood, text);
  read(other, 'hi');
  await pass();
  order.length = 0;
  read(flood, text);
  read(other, 'get');
  assert.deepEqual(order, ['flood xxxx', 'other get'], 'one piece, then the other');
  for (let i = 0; i < 3; i++) await pass();
  assert.deepEqual(order.slice(2), ['flood xxxx', 'flood xxxx']);
});

test('of handshakes a caller gets one in a pass, and none when its turn is over', async () => {
  const { order, link, read, arrive, pass, held } = worker(2);
  const other = link('other', 2, 0.1);
  read(other, 'hi');
  for (let i = 0; i < 3; i++) arrive(`hello${i}`, 1);
  read(other, 'get');
  arrive('of another', 3);
  assert.deepEqual(order.slice(1), ['hello0', 'other get', 'of another']);
  assert.equal(held(), 2);
  await pass();
  arrive('late', 1);
  assert.deepEqual(order.slice(4), ['hello1']);
  for (let i = 0; i < 2; i++) await pass();
  assert.deepEqual(order.slice(5), ['hello2', 'late']);
  await pass();
  for (let i = 0; i < 3; i++) read(link(`flood${i}`, 1, 1), 'get');
  arrive('last', 1);
  assert.deepEqual(order.slice(7), ['flood0 get', 'flood1 get']);
  await pass();
  assert.deepEqual(order.slice(9), ['flood2 get', 'last']);
});

test('handshakes of a caller that is alone, or is not counted, never wait', () => {
  for (const caller of [1, -1]) {
    const { arrive, order, held } = worker(1);
    for (let i = 0; i < 5; i++) arrive('hello', caller);
    assert.deepEqual([order.length, held()], [5, 0]);
  }
});

test('of a connection that has closed meanwhile nothing is worked on', async () => {
  const { turns, order, link, read, pass } = worker(1);
  read(link('other', 2, 0), 'hi');
  const flood = [1, 2, 3].map((i) => link(`flood${i}`, 1, 5));
  for (const each of flood) read(each, 'get');
  const [, second, third] = flood as [Link, Link, Link];
  Object.assign(second.socket, { destroyed: true });
  turns.forget(third);
  await pass();
  assert.deepEqual(order.slice(1), ['flood1 get']);
});

test('bytes that are only passed on, connections that are not counted, and a turn of 0 never wait', () => {
  for (const [turnMs, caller, takesTurns] of [
    [1, 1, false],
    [1, -1, true],
    [0, 1, true],
  ] as const) {
    const { link, read, held } = worker(turnMs);
    read(link('other', 2, 0), 'hi');
    const flood = link('flood', caller, 5, takesTurns);
    for (let i = 0; i < 5; i++) read(flood, 'get');
    assert.equal(held(), 0);
  }
});
