/**
 * Clients that send what costs them little and us something, thousands of times: CVE-2019-9511 (data dribble), 9512
 * (PING), 9513 (resource loop), 9515 (SETTINGS), 9518 (empty frames), and their kin. Each is cut off with
 * ENHANCE_YOUR_CALM, counted and recorded; a client beside it notices nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  data,
  frame,
  get,
  goaway,
  headers,
  INITIAL_WINDOW,
  PADDED,
  PING,
  post,
  requestBlock,
  rst,
  SETTINGS_ACK,
  settings,
  TYPE,
  uint32,
  WITH_PRIORITY,
  windowUpdate,
} from '../kit/frames.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { assertRecorded, type Backend, backend, besides } from './kit.ts';
import { FramePeer } from './peer.ts';

/** Frames at a time, and how many times a flooder goes on before the test gives up on its being cut off. */
const BATCH = 500;
const BATCHES = 60;

interface Flood {
  readonly name: string;
  /** Settings of the client. */
  readonly first?: readonly number[];
  /** Sent before, with what has to have come of it. */
  readonly before?: (peer: FramePeer) => Promise<void>;
  readonly frame: (i: number) => Buffer;
  readonly counter?: 'http2RxReset' | 'http2RxMessagingError' | 'http2StreamRefused';
}

async function opened(peer: FramePeer): Promise<void> {
  peer.send(post(1, '/open'));
}

async function answeredBefore(peer: FramePeer): Promise<void> {
  peer.send(get(1, '/attack'));
  await until(() => peer.ended(1), 'an answer');
}

/** Stream 1 is reset by the proxy, and stays under it. */
async function resetByUs(peer: FramePeer): Promise<void> {
  peer.send(post(1, '/open', [['content-length', '1']]), data(1, 'xx'));
  await until(() => peer.resetOf(1) !== '', 'a reset');
}

const FLOODS: readonly Flood[] = [
  { name: 'PING', frame: () => PING },
  { name: 'SETTINGS', frame: () => settings() },
  { name: 'SETTINGS with two thousand values', frame: () => settings(...new Array(4_000).fill(9)) },
  { name: 'acknowledgements of SETTINGS nobody sent', frame: () => SETTINGS_ACK },
  { name: 'PRIORITY', frame: (i) => frame(TYPE.priority, 0, 2 * i + 1, Buffer.alloc(5)) },
  { name: 'WINDOW_UPDATE of the connection', frame: () => windowUpdate(0, 1) },
  { name: 'WINDOW_UPDATE of a closed stream', before: answeredBefore, frame: () => windowUpdate(1, 1) },
  { name: 'frames of unknown types', frame: (i) => frame(0x20 + (i % 64), i % 256, i, Buffer.alloc(3)) },
  { name: 'empty DATA', before: opened, frame: () => data(1, '') },
  {
    name: 'DATA that is all padding',
    before: opened,
    frame: () => frame(TYPE.data, PADDED, 1, Buffer.from([3, 0, 0, 0])),
  },
  { name: 'empty DATA of a stream that was reset', before: resetByUs, frame: () => data(1, '') },
  { name: 'GOAWAY while a request is open', before: opened, frame: () => goaway(0, 0, 'x'.repeat(100)) },
  { name: 'HEADERS of a stream that was reset', before: resetByUs, frame: () => get(1, '/late') },
  { name: 'RST_STREAM of a closed stream', before: answeredBefore, frame: () => rst(1) },
  {
    name: 'WINDOW_UPDATE of 0 for a closed stream',
    before: answeredBefore,
    frame: () => windowUpdate(1, 0),
  },
  {
    name: 'PRIORITY of streams that depend on themselves',
    frame: (i) => frame(TYPE.priority, 0, 2 * i + 1, Buffer.concat([uint32(2 * i + 1), Buffer.from([16])])),
  },
  {
    name: 'requests that depend on themselves',
    frame: (i) =>
      headers(
        2 * i + 1,
        Buffer.concat([uint32(2 * i + 1), Buffer.from([16]), requestBlock('GET', '/attack')]),
        0x5 | WITH_PRIORITY,
      ),
    counter: 'http2RxMessagingError',
  },
  {
    name: 'windows opened by one byte at a time',
    first: [INITIAL_WINDOW, 0],
    before: async (peer) => {
      peer.send(get(1, '/large'));
      await until(() => peer.answered(1), 'a head');
    },
    frame: () => windowUpdate(1, 1),
  },
  {
    name: 'SETTINGS that open and close the windows of a hundred streams',
    before: async (peer) => {
      for (let i = 0; i < 100; i++) peer.send(get(2 * i + 1, '/large'));
      await until(() => peer.count(TYPE.headers) === 100, 'heads');
    },
    frame: (i) => settings(INITIAL_WINDOW, i % 2),
  },
];

/** Sends batch after batch until the connection is cut off; returns how many frames it took. */
async function flood(peer: FramePeer, make: (i: number) => Buffer): Promise<number> {
  for (let batch = 0; batch < BATCHES; batch++) {
    await peer.sent(Buffer.concat(Array.from({ length: BATCH }, (_, i) => make(batch * BATCH + i + 1))));
    await new Promise((resolve) => setImmediate(resolve));
    if (peer.goaway !== '' || peer.closed) return (batch + 1) * BATCH;
  }
  return BATCHES * BATCH;
}

function assertCounted(proxy: TestProxy, one: Flood): void {
  assert.equal(proxy.listenerCounter('web', 'http2Flood'), 1);
  assert.equal(proxy.listenerCounter('web', 'http2GoawaySent'), 1);
  assert.ok(proxy.listenerCounter('web', 'downstreamCxProtocolError') >= 1);
  if (one.counter !== undefined) assert.ok(proxy.listenerCounter('web', one.counter) > 0, one.counter);
}

async function large(): Promise<Backend> {
  return backend((request, response) => {
    if (request.url === '/large') response.end(Buffer.alloc(200_000));
    else request.resume().on('end', () => response.end('ok'));
  });
}

for (const one of FLOODS) {
  test(`a flood of ${one.name}`, async () => {
    const upstream = await large();
    await withProxy(oneService([upstream.port]), async (proxy) => {
      await besides(proxy.port, async () => {
        const peer = await FramePeer.connect(proxy.port, ...(one.first ?? []));
        await one.before?.(peer);
        const sent = await flood(peer, one.frame);
        await until(() => peer.goaway !== '', `GOAWAY; ${sent} frames were sent`);
        assert.equal(peer.goaway, 'ENHANCE_YOUR_CALM');
        peer.destroy();
        await until(() => proxy.connections === 1, 'the end of its connection');
      });
      await assertRecorded(proxy, 'http2-flood', /too many frames that do nothing/);
      assertCounted(proxy, one);
      assert.ok(upstream.hits('/attack') <= 110, `${upstream.hits('/attack')} requests reached the endpoint`);
      await until(() => proxy.gauge('a', 'requests') === 0, 'the end of its requests');
    });
    await upstream.close();
  });
}

test('a client that downloads with a small window, and measures the way all the time, is no flood', async () => {
  const total = 4_000_000;
  const upstream = await backend((_request, response) => response.end(Buffer.alloc(total)));
  await withProxy(oneService([upstream.port]), async (proxy) => {
    const peer = await FramePeer.connect(proxy.port, INITIAL_WINDOW, 4_096);
    // As gRPC does: both windows with every frame, and the next PING as soon as the last one is answered.
    peer.onFrame = ({ type, length, stream }) => {
      if (type === TYPE.data && length > 0) peer.send(windowUpdate(0, length), windowUpdate(stream, length));
      else if (type === TYPE.ping) peer.send(PING);
    };
    peer.send(PING);
    peer.send(get(1, '/'));
    await until(() => peer.ended(1) || peer.goaway !== '', 'the whole body');
    assert.equal(peer.goaway, '');
    assert.equal(peer.dataBytes.get(1), total);
    assert.ok(peer.count(TYPE.data) > 900);
    peer.destroy();
  });
  await upstream.close();
});
