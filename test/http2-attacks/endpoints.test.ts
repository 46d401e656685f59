/**
 * The same attacks from an endpoint: its connection is cut off with the code that RFC 9113 has for it and counted, its
 * requests fail and are recorded, and requests to other endpoints notice nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import {
  answer,
  continuation,
  data,
  END_HEADERS,
  END_STREAM,
  field,
  frame,
  goaway,
  headers,
  INITIAL_WINDOW,
  integer,
  MAX_STREAMS,
  OPEN,
  PING,
  rst,
  SETTINGS_ACK,
  settings,
  TYPE,
  uint32,
  windowUpdate,
} from '../kit/frames.ts';
import { sessionClient } from '../kit/http2.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { assertRecorded, backend, besides, heldBytes, MIB, MovedClock, turn } from './kit.ts';
import { type FramePeer, frameBackend } from './peer.ts';

const config = (evil: number, good: number): string => `
listeners:
  - name: web
    address: 127.0.0.1:0
routes:
  - name: all
    rules:
      - matches: [{ path: { type: PathPrefix, value: /bystander } }]
        backendRefs: [{ name: b }]
      - backendRefs: [{ name: a }]
services:
  - name: a
    protocol: http2
    endpoints: [{ address: 127.0.0.1:${evil} }]
  - name: b
    endpoints: [{ address: 127.0.0.1:${good} }]
`;

interface Attack {
  readonly name: string;
  /** Sent for the first request. */
  readonly first?: (stream: number) => Buffer;
  /** Then sent again and again until the connection or the request ends. */
  readonly frames?: (stream: number, i: number) => Buffer;
  /** Of the GOAWAY that the endpoint gets; empty: it keeps its connection, and the stream is reset with `reset`. */
  readonly goaway: string;
  readonly reset?: string;
  readonly detail: RegExp;
}

const CALM = { goaway: 'ENHANCE_YOUR_CALM', detail: /too many frames that do nothing/ };
const ended = (stream: number): Buffer => answer(stream, END_HEADERS | END_STREAM);

const ATTACKS: readonly Attack[] = [
  { name: 'PING', frames: () => PING, ...CALM },
  { name: 'SETTINGS', frames: (_, i) => settings(INITIAL_WINDOW, i % 2), ...CALM },
  {
    name: 'SETTINGS that change how many streams there may be',
    frames: (_, i) => settings(MAX_STREAMS, i % 2),
    ...CALM,
  },
  { name: 'acknowledgements nobody asked for', frames: () => SETTINGS_ACK, ...CALM },
  { name: 'GOAWAY', frames: (stream) => goaway(stream), ...CALM },
  { name: 'PRIORITY', frames: (stream) => frame(TYPE.priority, 0, stream, Buffer.alloc(5)), ...CALM },
  { name: 'WINDOW_UPDATE', frames: () => windowUpdate(0, 1), ...CALM },
  { name: 'frames of unknown types', frames: () => frame(0x42, 0, 0), ...CALM },
  { name: 'empty DATA', first: (stream) => answer(stream), frames: (stream) => data(stream, ''), ...CALM },
  {
    name: 'CONTINUATION',
    first: (stream) => headers(stream, Buffer.from([0x88]), OPEN),
    frames: (stream) => continuation(stream, field('x', 'y')),
    goaway: 'ENHANCE_YOUR_CALM',
    detail: /more than 16 CONTINUATION/,
  },
  {
    name: 'twenty interim answers',
    first: (stream) => Buffer.concat(new Array<Buffer>(20).fill(headers(stream, field(':status', '103')))),
    goaway: '',
    reset: 'PROTOCOL_ERROR',
    detail: /too many interim answers/,
  },
  {
    name: 'a head of one large entry a thousand times',
    first: (stream) =>
      headers(
        stream,
        Buffer.concat([
          Buffer.from([0x88]),
          field('x', 'y'.repeat(3_900), 0x40),
          Buffer.alloc(1_000, 0x80 | 62),
        ]),
      ),
    goaway: 'ENHANCE_YOUR_CALM',
    detail: /more than \d+ bytes out of the dynamic table/,
  },
  {
    name: 'a head of 200 fields',
    first: (stream) =>
      headers(stream, Buffer.concat([Buffer.from([0x88]), ...new Array<Buffer>(200).fill(field('x', 'y'))])),
    goaway: '',
    reset: 'PROTOCOL_ERROR',
    detail: /more than 100 fields/,
  },
  {
    name: 'a table larger than we allow',
    first: (stream) => headers(stream, Buffer.concat([integer(1 << 20, 5, 0x20), Buffer.from([0x88])])),
    goaway: 'COMPRESSION_ERROR',
    detail: /table size 1048576 above 4096/,
  },
  {
    name: 'PUSH_PROMISE',
    first: (stream) => frame(TYPE.pushPromise, END_HEADERS, stream, uint32(2)),
    goaway: 'PROTOCOL_ERROR',
    detail: /PUSH_PROMISE/,
  },
  {
    name: 'a request of its own',
    first: () => headers(2, Buffer.from([0x82, 0x86, 0x84]), END_HEADERS | END_STREAM),
    goaway: 'PROTOCOL_ERROR',
    detail: /a stream of the server/,
  },
  {
    name: 'an answer nobody asked for',
    first: (stream) => ended(stream + 2),
    goaway: 'PROTOCOL_ERROR',
    detail: /idle/,
  },
  {
    name: 'more DATA than the stream window allows',
    first: (stream) => answer(stream),
    frames: (stream) => data(stream, Buffer.alloc(16_384)),
    goaway: '',
    reset: 'FLOW_CONTROL_ERROR',
    detail: /more DATA than the stream window allows/,
  },
  {
    name: 'a window that is too large',
    first: (stream) => windowUpdate(stream, 2 ** 31 - 1),
    goaway: '',
    reset: 'FLOW_CONTROL_ERROR',
    detail: /the stream window is larger/,
  },
  {
    name: 'an initial window that is too large',
    first: () => settings(INITIAL_WINDOW, 2 ** 31),
    goaway: 'FLOW_CONTROL_ERROR',
    detail: /SETTINGS_INITIAL_WINDOW_SIZE/,
  },
];

/** Goes on until the proxy has had enough of it. */
async function run({ first, frames }: Attack, peer: FramePeer, stream: number): Promise<void> {
  if (first !== undefined) peer.send(first(stream));
  if (frames === undefined) return;
  for (let i = 0; i < 20_000 && peer.goaway === '' && !peer.closed && peer.resetOf(stream) === ''; i += 100) {
    await peer.sent(Buffer.concat(Array.from({ length: 100 }, (_, j) => frames(stream, i + j))));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Endpoint, proxy and a client of HTTP/1.1, which gets its answer whatever becomes of the body. */
async function withEvil(
  onRequest: (peer: FramePeer, stream: number, index: number) => void,
  use: (proxy: TestProxy, peers: readonly FramePeer[]) => Promise<void>,
  options: { readonly clock?: MovedClock; readonly first?: readonly number[] } = {},
): Promise<void> {
  const good = await backend();
  const evil = await frameBackend((peer, index) => {
    peer.send(settings(...(options.first ?? [])), SETTINGS_ACK);
    peer.onFrame = ({ type, stream }) => {
      if (type === TYPE.headers) onRequest(peer, stream, index);
    };
  });
  await withProxy(config(evil.port, good.port), (proxy) => use(proxy, evil.peers), options);
  await evil.close();
  await good.close();
}

/** The status of a request to the evil endpoint; 0: it was cut off. */
async function ask(port: number, body: Buffer | null = null): Promise<number> {
  const client = await sessionClient(port);
  try {
    return (await client.request('/attack', body)).status;
  } catch {
    return 0;
  } finally {
    client.close();
  }
}

for (const one of ATTACKS) {
  test(`an endpoint that sends ${one.name}`, async () => {
    await withEvil(
      (peer, stream) => void run(one, peer, stream),
      async (proxy, peers) => {
        const status = await besides(proxy.port, () => ask(proxy.port));
        assert.ok(status === 502 || status === 503 || status === 0 || status === 200, `${status}`);
        const peer = peers[0] as FramePeer;
        if (one.goaway === '') {
          await until(() => peer.resetOf(1) !== '', 'a reset');
          assert.equal(peer.resetOf(1), one.reset);
          assert.equal(peer.goaway, '');
        } else {
          await until(() => peer.goaway !== '' || peer.closed, 'GOAWAY');
          assert.equal(peer.goaway, one.goaway);
          assert.match(peer.goawayText, one.detail);
          await peer.untilClosed();
          await until(() => proxy.counter('a', 'upstreamCxProtocolError') >= 1, 'the count');
        }
        await assertRecorded(proxy, 'upstream-protocol', one.detail);
        await until(() => proxy.gauge('a', 'requests') === 0, 'the end of its requests');
      },
    );
  });
}

test('an endpoint that answers each request with GOAWAY gets no more connections than attempts', async () => {
  await withEvil(
    (peer) => peer.send(goaway(0)),
    async (proxy, peers) => {
      for (let i = 0; i < 5; i++) assert.equal(await ask(proxy.port), 503);
      const attempts = proxy.counter('a', 'upstreamRqTotal');
      assert.ok(attempts >= 5);
      assert.ok(peers.length <= attempts, `${peers.length} connections for ${attempts} attempts`);
    },
  );
});

test('an endpoint that refuses each stream gets no more than the attempts of a request', async () => {
  await withEvil(
    (peer, stream) => peer.send(rst(stream, 7)),
    async (proxy, peers) => {
      for (let i = 0; i < 20; i++) assert.equal(await ask(proxy.port), 503);
      assert.ok(proxy.counter('a', 'upstreamRqTotal') <= 20 * 4);
      assert.equal(peers.length, 1);
    },
  );
});

test('an endpoint that takes no stream keeps its requests waiting until their time is up', async () => {
  const clock = new MovedClock();
  const asked = async (proxy: TestProxy): Promise<void> => {
    const statuses = Promise.all(Array.from({ length: 20 }, () => ask(proxy.port)));
    await until(() => proxy.gauge('a', 'pending') === 20, 'waiting requests');
    await besides(proxy.port, async () => {});
    clock.advance(LIMITS.requestTimeoutMs + 100);
    assert.deepEqual([...new Set(await statuses)], [504]);
    assert.equal(proxy.gauge('a', 'pending'), 0);
  };
  await withEvil(() => {}, asked, { clock, first: [MAX_STREAMS, 0] });
});

test('an endpoint whose window stays closed holds its own requests only, and a bounded part of their bodies', async () => {
  const clock = new MovedClock();
  const asked = async (proxy: TestProxy, peers: readonly FramePeer[]): Promise<void> => {
    const before = await heldBytes();
    const statuses = Promise.all(Array.from({ length: 20 }, () => ask(proxy.port, Buffer.alloc(200_000))));
    await until(() => peers[0]?.count(TYPE.headers) === 20, 'the requests');
    await turn();
    await besides(proxy.port, async () => {});
    const grown = (await heldBytes()) - before;
    assert.ok(grown < 32 * MIB, `${grown / MIB} MiB more are in use`);
    assert.equal(peers[0]?.dataBytes.size, 0);
    clock.advance(LIMITS.requestTimeoutMs + 100);
    assert.deepEqual([...new Set(await statuses)], [504]);
  };
  await withEvil(() => {}, asked, { clock, first: [INITIAL_WINDOW, 0] });
});

test('a body sent byte by byte passes, and is given up where it stops', async () => {
  const clock = new MovedClock();
  await withEvil(
    (peer, stream) => peer.send(answer(stream), data(stream, 'x')),
    async (proxy, peers) => {
      const status = ask(proxy.port);
      await until(() => peers[0]?.count(TYPE.headers) === 1, 'the request');
      await turn();
      clock.advance(LIMITS.requestTimeoutMs + 100);
      assert.equal(await status, 0);
      await until(() => peers[0]?.resetOf(1) === 'CANCEL', 'a reset');
    },
    { clock },
  );
});
