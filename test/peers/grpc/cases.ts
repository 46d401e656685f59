/** What every client must get from every server, whatever stands between them. One case is one promise of gRPC. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CallSpec,
  digest,
  type GrpcClient,
  type GrpcServer,
  messages,
  pattern,
  type RunningCall,
} from './service.ts';

export interface Scene {
  readonly client: GrpcClient;
  readonly server: GrpcServer;
  readonly proxied: boolean;
  /** Starts a call under a name of its own. */
  call(spec: CallSpec): RunningCall & { readonly name: string };
}

export interface GrpcCase {
  readonly name: string;
  /** Only where a proxy stands between. */
  readonly proxied?: true;
  run(scene: Scene): Promise<void>;
}

const OK = 0;
const CANCELLED = 1;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const ABORTED = 10;
const UNAVAILABLE = 14;

const STREAM_MESSAGES = 256;
const STREAM_MESSAGE_BYTES = 64 * 1024;
/** What may be between a server that sends and a client that doesn't read: windows and buffers of three programs. */
const STALLED_BYTES_MAX = 8 << 20;
/** A server that has sent nothing for so long is stalled. */
const STALLED_MS = 250;
/** Comma, percent, quotes, a character of two, three and four bytes. */
const NON_ASCII = 'nicht „gültig“, 100 % 🙂';

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64');

async function ends(call: RunningCall, code: number, message = ''): Promise<void> {
  const result = await call.result;
  assert.deepEqual([result.code, result.message], [code, message]);
}

export const CASES: readonly GrpcCase[] = [
  {
    name: 'a unary call, with metadata in headers and trailers, binary too',
    async run({ call }) {
      const binary = base64(Uint8Array.from({ length: 256 }, (_, at) => at));
      const { code, message, received, headers, trailers } = await call({
        method: 'Unary',
        sizes: [100],
        metadata: { 'x-ping': 'a, b; c="d"', 'x-ping-bin': binary },
      }).result;
      assert.deepEqual([code, message], [OK, '']);
      assert.deepEqual(received, messages([100]));
      assert.deepEqual(headers['x-pong'], ['a, b; c="d"']);
      assert.deepEqual(headers['x-pong-bin'], [binary]);
      assert.deepEqual(trailers['x-tail'], ['a, b; c="d"']);
      assert.deepEqual(trailers['x-tail-bin'], [binary]);
    },
  },
  {
    name: 'empty messages',
    async run({ call }) {
      assert.deepEqual((await call({ method: 'Unary', sizes: [0] }).result).received, messages([0]));
      assert.deepEqual(
        (await call({ method: 'Chat', sizes: [0, 0, 1] }).result).received,
        messages([0, 0, 1]),
      );
    },
  },
  {
    name: 'a stream from the server',
    async run({ call }) {
      const metadata = { 'x-count': '50', 'x-size': '3000', 'x-ping': 'p' };
      const { code, received, trailers } = await call({ method: 'Produce', sizes: [1], metadata }).result;
      assert.equal(code, OK);
      assert.deepEqual(received, messages(Array(50).fill(3000)));
      assert.deepEqual(trailers['x-tail'], ['p']);
    },
  },
  {
    name: 'a stream from the server without a message',
    async run({ call }) {
      const { code, received } = await call({ method: 'Produce', sizes: [1] }).result;
      assert.deepEqual([code, received], [OK, []]);
    },
  },
  {
    name: 'a stream from the client',
    async run({ call }) {
      const sizes = Array.from({ length: 50 }, (_, n) => n * 100);
      const { code, received } = await call({ method: 'Collect', sizes }).result;
      const sum = digest(Buffer.concat(sizes.map((size, n) => pattern(size, n))));
      assert.equal(code, OK);
      assert.deepEqual(received, [{ size: 64, digest: digest(Buffer.from(sum)) }]);
    },
  },
  {
    name: 'streams both ways, each message after the answer to the last',
    async run({ call }) {
      const sizes = Array.from({ length: 30 }, (_, n) => 1 + n * 50);
      const { code, received } = await call({ method: 'Chat', sizes, lockstep: true }).result;
      assert.deepEqual([code, received], [OK, messages(sizes)]);
    },
  },
  {
    name: 'streams both ways, at once, more than any window takes',
    async run({ call }) {
      const sizes = Array.from({ length: 200 }, (_, n) => (n * 997) % 20_000);
      for (let round = 0; round < 10; round++) {
        const { code, received } = await call({ method: 'Chat', sizes }).result;
        assert.deepEqual([code, received], [OK, messages(sizes)]);
      }
    },
  },
  {
    name: 'a message of 4 MB each way',
    async run({ call }) {
      const { code, received } = await call({ method: 'Unary', sizes: [4 << 20] }).result;
      assert.deepEqual([code, received], [OK, messages([4 << 20])]);
    },
  },
  {
    name: '100 calls at once',
    async run({ call }) {
      const sizes = Array.from({ length: 100 }, (_, n) => 1 + n * 10);
      const results = await Promise.all(sizes.map((size) => call({ method: 'Unary', sizes: [size] }).result));
      for (const [n, { code, received }] of results.entries())
        assert.deepEqual([code, received], [OK, messages([sizes[n] as number])]);
    },
  },
  {
    name: 'an error before any message, with a message that is not ASCII',
    async run({ call }) {
      for (const method of ['Unary', 'Produce', 'Chat'] as const) {
        const metadata = { 'x-fail': String(INVALID_ARGUMENT), 'x-fail-message-bin': base64(NON_ASCII) };
        await ends(call({ method, sizes: [5], metadata }), INVALID_ARGUMENT, NON_ASCII);
      }
    },
  },
  {
    name: 'an error after messages, with a message that is not ASCII',
    async run({ call }) {
      const metadata = {
        'x-fail': String(ABORTED),
        'x-fail-late': '1',
        'x-fail-message-bin': base64(NON_ASCII),
        'x-count': '3',
        'x-size': '10',
      };
      const failed = await call({ method: 'Produce', sizes: [1], metadata }).result;
      assert.deepEqual([failed.code, failed.message], [ABORTED, NON_ASCII]);
      assert.deepEqual(failed.received, messages([10, 10, 10]));
      await ends(call({ method: 'Chat', sizes: [5, 6], metadata }), ABORTED, NON_ASCII);
    },
  },
  {
    name: 'a method that is not there',
    async run({ call }) {
      const method = 'Missing' as CallSpec['method'];
      assert.equal((await call({ method, sizes: [1] }).result).code, 12);
    },
  },
  {
    name: 'a call that the client cancels is cancelled at the server',
    async run({ call, server }) {
      const slow = call({ method: 'Unary', sizes: [1], metadata: { 'x-delay-ms': '15000' } });
      await server.events.first(slow.name, 'begin');
      slow.cancel();
      assert.equal((await slow.result).code, CANCELLED);
      assert.equal((await server.events.first(slow.name, 'end')).cancelled, true);

      const metadata = { 'x-count': '1000000', 'x-size': '1000' };
      const endless = call({ method: 'Produce', sizes: [1], metadata, pauseAfter: 5 });
      await endless.received(5);
      endless.cancel();
      endless.resume();
      assert.equal((await endless.result).code, CANCELLED);
      assert.equal((await server.events.first(endless.name, 'end')).cancelled, true);
    },
  },
  {
    name: 'a deadline is known to the server, and ends the call at both',
    async run({ call, server, proxied }) {
      const metadata = { 'x-delay-ms': '15000' };
      const slow = call({ method: 'Unary', sizes: [1], metadata, deadlineMs: 300 });
      const { deadlineMs = -1 } = await server.events.first(slow.name, 'begin');
      assert.ok(deadlineMs > 0 && deadlineMs <= 300, `the server was told ${deadlineMs} ms`);
      // Without a proxy, grpc-js takes the reset that Go's server sends at the same instant for a cancellation.
      const ends = proxied ? [DEADLINE_EXCEEDED] : [DEADLINE_EXCEEDED, CANCELLED];
      assert.ok(ends.includes((await slow.result).code), `ended with ${(await slow.result).code}`);
      assert.equal((await server.events.first(slow.name, 'end')).cancelled, true);
    },
  },
  {
    name: 'a call without a deadline has none at the server',
    async run({ call, server }) {
      const free = call({ method: 'Unary', sizes: [1] });
      await ends(free, OK);
      assert.equal((await server.events.first(free.name, 'begin')).deadlineMs, -1);
    },
  },
  {
    name: 'UNAVAILABLE is retried, and the client sees one call',
    proxied: true,
    async run({ call, server }) {
      for (const method of ['Unary', 'Produce', 'Collect', 'Chat'] as const) {
        const metadata = {
          'x-fail-first': '2',
          'x-fail': String(UNAVAILABLE),
          'x-count': '3',
          'x-size': '7',
        };
        const retried = call({ method, sizes: [9], metadata });
        await ends(retried, OK);
        assert.deepEqual(
          (await server.events.atLeast(retried.name, 'begin', 3)).map(({ attempt }) => attempt),
          [1, 2, 3],
        );
      }
    },
  },
  {
    name: 'what is not asked to be retried is not',
    proxied: true,
    async run({ call, server }) {
      const metadata = { 'x-fail-first': '1', 'x-fail': String(ABORTED) };
      const failed = call({ method: 'Unary', sizes: [9], metadata });
      await ends(failed, ABORTED, 'not yet');
      assert.equal((await server.events.atLeast(failed.name, 'begin', 1)).length, 1);
    },
  },
  {
    name: 'a retry is told what is left of the deadline',
    proxied: true,
    async run({ call, server }) {
      const metadata = { 'x-fail-first': '1', 'x-fail': String(UNAVAILABLE), 'x-delay-ms': '300' };
      const retried = call({ method: 'Unary', sizes: [9], metadata, deadlineMs: 5_000 });
      await ends(retried, OK);
      const begun = await server.events.atLeast(retried.name, 'begin', 2);
      const [first, second] = begun.map((event) => event.deadlineMs ?? -1);
      assert.ok(first !== undefined && first > 4_000 && first <= 5_000, `first: ${first} ms`);
      assert.ok(
        second !== undefined && second > 0 && second <= first - 290,
        `${second} ms after ${first} ms`,
      );
    },
  },
  {
    name: 'a reader that stops stops the server, and other calls go on',
    async run({ call, server }) {
      const metadata = { 'x-count': String(STREAM_MESSAGES), 'x-size': String(STREAM_MESSAGE_BYTES) };
      const slow = call({ method: 'Produce', sizes: [1], metadata, pauseAfter: 1 });
      await slow.received(1);
      let sent = -1;
      while (server.events.sent(slow.name) !== sent) {
        sent = server.events.sent(slow.name);
        await sleep(STALLED_MS);
      }
      assert.ok(sent * STREAM_MESSAGE_BYTES < STALLED_BYTES_MAX, `${sent} messages were sent to nobody`);
      await ends(call({ method: 'Unary', sizes: [100_000] }), OK);
      slow.resume();
      const { code, received } = await slow.result;
      assert.equal(code, OK);
      assert.deepEqual(received, messages(Array(STREAM_MESSAGES).fill(STREAM_MESSAGE_BYTES)));
    },
  },
];
