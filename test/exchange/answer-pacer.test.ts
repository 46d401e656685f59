/** The pace of a slowed answer, millisecond by millisecond on a clock that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock, LIMITS, TimerWheel } from '../../src/base/index.ts';
import { AnswerPacer } from '../../src/dataplane/exchange/answer-pacer.ts';
import type { ExchangeContext } from '../../src/dataplane/exchange/index.ts';
import { type DownstreamStream, HeaderList } from '../../src/message/index.ts';

function pacing(kbps: number) {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const told: string[] = [];
  const sent: Buffer[] = [];
  let takes = true;
  const stream = {
    sendBody(chunk: Buffer): boolean {
      sent.push(Buffer.from(chunk));
      return takes;
    },
    sendEnd(trailers: HeaderList | null): void {
      told.push(trailers === null ? 'end' : `end with ${trailers.toText().trim()}`);
    },
  } as unknown as DownstreamStream;
  const owner = {
    touch() {},
    onPaceFree() {
      told.push('free');
    },
    onPaceEnd() {
      told.push('over');
    },
  };
  const pacer = new AnswerPacer(owner, stream, { clock, wheel } as unknown as ExchangeContext, kbps);
  return {
    pacer,
    told,
    wheel,
    bytes: () => sent.reduce((sum, chunk) => sum + chunk.length, 0),
    all: () => Buffer.concat(sent),
    take(more: boolean) {
      takes = more;
    },
    pass(ms: number) {
      for (let i = 0; i < ms; i++) {
        clock.advance(1);
        wheel.advance();
      }
    },
  };
}

test('never more than the rate and one slice, never less than the rate and one slice behind', () => {
  const { pacer, bytes, pass, told } = pacing(100);
  const size = 100 * 1_024 * 2;
  pacer.push(Buffer.alloc(size, 'a'));
  pacer.end(null);
  for (let ms = 0; ms < 2_100; ms += 10) {
    const at = (time: number): number => (100 * 1_024 * Math.max(0, time)) / 1_000;
    assert.ok(bytes() <= at(ms + 50) + 1, `${bytes()} bytes after ${ms} ms`);
    assert.ok(bytes() >= Math.min(size, at(ms - 10) - 1), `${bytes()} bytes after ${ms} ms`);
    pass(10);
  }
  assert.equal(bytes(), size);
  assert.deepEqual(told, ['end', 'over']);
});

test('what was not used is saved up for a second, and no longer', () => {
  const { pacer, bytes, pass } = pacing(10);
  pacer.push(Buffer.alloc(10));
  assert.equal(bytes(), 10);
  pass(60_000);
  pacer.push(Buffer.alloc(100_000));
  assert.ok(bytes() <= 10 + 10 * 1_024, `${bytes()}`);
  assert.ok(bytes() >= 10 * 1_024, `${bytes()}`);
  pacer.stop();
});

test('bytes keep their order, and trailers come last', () => {
  const { pacer, all, pass, told, wheel } = pacing(1);
  const chunks = ['first', 'x'.repeat(300), 'second', 'y'.repeat(200), 'last'];
  for (const chunk of chunks) {
    const lent = Buffer.from(chunk);
    pacer.push(lent);
    lent.fill(0);
  }
  pacer.end(HeaderList.of('x-sum', '7'));
  assert.deepEqual(told, []);
  pass(2_000);
  assert.equal(all().toString(), chunks.join(''));
  assert.deepEqual(told, ['end with x-sum: 7', 'over']);
  assert.equal(wheel.size, 0);
});

test('the endpoint is paused above the high-water mark, and goes on below it', () => {
  const { pacer, told, pass } = pacing(1_024);
  assert.equal(pacer.push(Buffer.alloc(100_000)), true);
  assert.equal(pacer.push(Buffer.alloc(LIMITS.highWaterBytes)), false);
  pass(50);
  assert.deepEqual(told, []);
  pass(150);
  assert.deepEqual(told, ['free']);
  pacer.stop();
});

test('a client that takes no more is not written to', () => {
  const { pacer, bytes, pass, take, told, wheel } = pacing(1_000);
  take(false);
  pacer.push(Buffer.alloc(200_000));
  const first = bytes();
  pacer.end(null);
  pass(5_000);
  assert.equal(bytes(), first);
  assert.equal(wheel.size, 0, 'nothing is waited for but the client');
  take(true);
  pacer.onWritable();
  pass(1_000);
  assert.deepEqual([bytes(), told], [200_000, ['end', 'over']]);
});

test('an answer without a body ends at once; a stopped one sends nothing more', () => {
  const empty = pacing(1);
  empty.pacer.end(null);
  assert.deepEqual(empty.told, ['end', 'over']);
  const stopped = pacing(1);
  stopped.pacer.push(Buffer.alloc(1_000));
  const before = stopped.bytes();
  stopped.pacer.stop();
  stopped.pass(3_000);
  stopped.pacer.onWritable();
  assert.deepEqual([stopped.bytes(), stopped.told, stopped.wheel.size], [before, [], 0]);
});
