/** How many connections an endpoint of HTTP/2 gets, and what waits when both sides' limits are reached. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR, SETTING } from '../../src/dataplane/codec/http2/index.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { asked, type Frame, type FrameBackend, FramePeer, frameBackend } from './frame-peer.ts';

const NO_RETRY = 'retry: { attempts: 0 }';
const MANY = 'http2: { maxConcurrentStreams: 1000 }';

function configOf(backend: { readonly port: number }, service = '', rule = NO_RETRY): string {
  return oneService([backend.port], { rule, listener: MANY, service: `protocol: http2\n${service}` });
}

/** The requests of all connections, in no order. */
function requestsOf(backend: FrameBackend): [FramePeer, Frame][] {
  return backend.peers.flatMap((peer) =>
    peer.frames.filter(({ type }) => type === 'headers').map((frame): [FramePeer, Frame] => [peer, frame]),
  );
}

/** Sends so many requests at once on one connection. */
function sendMany(client: FramePeer, count: number, first = 0): void {
  for (let i = first; i < first + count; i++) client.request(2 * i + 1, [], { path: `/${i}` });
}

async function statusesOf(client: FramePeer, count: number, first = 0): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = first; i < first + count; i++) statuses.push((await client.answer(2 * i + 1)).status);
  return statuses;
}

for (const [name, service, warm, connections] of [
  ['all at once when there is no connection yet', '', false, 2],
  ['beside a connection that is there', '', true, 2],
  ['with a lower limit in the configuration', 'http2: { maxConcurrentStreams: 30 }', false, 7],
] as const) {
  test(`200 requests at the same time, ${name}: ${connections} connections`, async () => {
    const backend = await frameBackend();
    await withProxy(configOf(backend, service), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      if (warm) {
        client.request(1);
        const peer = await backend.peer(0);
        peer.respond((await asked(peer)).stream, 200, [], true);
        await client.answer(1);
      }
      const before = requestsOf(backend).length;
      sendMany(client, 200, before);
      await until(() => requestsOf(backend).length === before + 200, 'all have come');
      assert.equal(backend.peers.length, connections);
      assert.equal(proxy.counter('a', 'upstreamCxHttp2Total'), connections);
      for (const [peer, { stream }] of requestsOf(backend).slice(before)) peer.respond(stream, 200, [], true);
      assert.deepEqual(new Set(await statusesOf(client, 200, before)), new Set([200]));
      // Those that come after them find room.
      sendMany(client, 50, 300);
      await until(() => requestsOf(backend).length === before + 250, 'they have come');
      assert.equal(backend.peers.length, connections);
      client.destroy();
    });
    backend.close();
  });
}

/** An endpoint that takes so many streams at a time and refuses more; it answers each after the pings it had to wait for. */
async function bounded(
  limit: number,
): Promise<FrameBackend & { readonly most: () => number; readonly refused: () => number }> {
  let most = 0;
  let refused = 0;
  const backend = await frameBackend(
    (peer) => {
      let open = 0;
      void (async () => {
        for (let nth = 0; ; nth++) {
          const { stream } = await asked(peer, nth);
          if (open === limit) {
            refused++;
            peer.reset(stream, ERROR.refusedStream);
            continue;
          }
          most = Math.max(most, ++open);
          setImmediate(() => {
            open--;
            peer.respond(stream, 200, [], true);
          });
        }
      })().catch(() => {});
    },
    { settings: [SETTING.maxConcurrentStreams, limit] },
  );
  return Object.assign(backend, { most: () => most, refused: () => refused });
}

test('an endpoint that takes 10 streams is never sent 11, also when 100 requests come before its SETTINGS', async () => {
  const backend = await bounded(10);
  await withProxy(configOf(backend, 'circuitBreaker: { maxConnections: 1 }'), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    sendMany(client, 100);
    assert.deepEqual(new Set(await statusesOf(client, 100)), new Set([200]));
    assert.deepEqual([backend.peers.length, backend.refused()], [1, 0]);
    assert.ok(backend.most() <= 10, `${backend.most()}`);
    client.destroy();
  });
  backend.close();
});

test('without a limit on connections there are as many as 100 requests of 10 streams need', async () => {
  const backend = await frameBackend(() => {}, { settings: [SETTING.maxConcurrentStreams, 10] });
  await withProxy(configOf(backend), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    sendMany(client, 100);
    await until(() => requestsOf(backend).length === 100, 'all have come');
    assert.equal(backend.peers.length, 10);
    for (const peer of backend.peers)
      assert.equal(peer.frames.filter(({ type }) => type === 'headers').length, 10);
    for (const [peer, { stream }] of requestsOf(backend)) peer.respond(stream, 200, [], true);
    assert.deepEqual(new Set(await statusesOf(client, 100)), new Set([200]));
    client.destroy();
  });
  backend.close();
});

test('an endpoint that takes no stream for a while: requests wait for it, and dial no more', async () => {
  const backend = await frameBackend(() => {}, { settings: [SETTING.maxConcurrentStreams, 0] });
  await withProxy(configOf(backend), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    sendMany(client, 20);
    const peer = await backend.peer(0);
    await peer.frame('settings-ack');
    peer.ping();
    await peer.frame('pong');
    await until(() => proxy.gauge('a', 'pending') === 20, 'all wait');
    assert.deepEqual([backend.peers.length, requestsOf(backend).length], [1, 0]);
    peer.settings(SETTING.maxConcurrentStreams, 100);
    await until(() => requestsOf(backend).length === 20, 'all have come');
    for (const [, { stream }] of requestsOf(backend)) peer.respond(stream, 200, [], true);
    assert.deepEqual(new Set(await statusesOf(client, 20)), new Set([200]));
    // And again, on a connection that has served.
    peer.settings(SETTING.maxConcurrentStreams, 0);
    await until(() => peer.frames.filter(({ type }) => type === 'settings-ack').length >= 3, 'it is known');
    sendMany(client, 5, 20);
    await until(() => proxy.gauge('a', 'pending') === 5, 'they wait');
    peer.settings(SETTING.maxConcurrentStreams, 100);
    for (let nth = 20; nth < 25; nth++) peer.respond((await asked(peer, nth)).stream, 200, [], true);
    assert.deepEqual(new Set(await statusesOf(client, 5, 20)), new Set([200]));
    assert.equal(backend.peers.length, 1);
    client.destroy();
  });
  backend.close();
});

test('requests that wait for a stream time out, and those whose client leaves give their place back', async () => {
  const backend = await frameBackend(() => {}, { settings: [SETTING.maxConcurrentStreams, 0] });
  await withProxy(configOf(backend, '', `timeouts: { request: 100ms }\n${NO_RETRY}`), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    sendMany(client, 3);
    await until(() => proxy.gauge('a', 'pending') === 3, 'they wait');
    client.reset(1);
    await until(() => proxy.gauge('a', 'pending') === 2, 'one has left');
    assert.deepEqual(await statusesOf(client, 2, 1), [504, 504]);
    assert.equal(proxy.gauge('a', 'pending'), 0);
    client.destroy();
  });
  backend.close();
});

test('an endpoint that closes while requests wait for its streams: they go to the next connection', async () => {
  const backend = await frameBackend(
    (peer, index) => {
      if (index === 1) peer.settings(SETTING.maxConcurrentStreams, 100);
    },
    { settings: [SETTING.maxConcurrentStreams, 0] },
  );
  await withProxy(configOf(backend), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    sendMany(client, 3);
    const peer = await backend.peer(0);
    await peer.frame('settings-ack');
    await until(() => proxy.gauge('a', 'pending') === 3, 'they wait');
    peer.goaway(0).socket.end();
    const next = await backend.peer(1);
    for (let nth = 0; nth < 3; nth++) next.respond((await asked(next, nth)).stream, 200, [], true);
    assert.deepEqual(await statusesOf(client, 3), [200, 200, 200]);
    client.destroy();
  });
  backend.close();
});

function endsOf(proxy: TestProxy): string[] {
  return proxy.decisions.map(({ code, flags }) => `${code} ${flags}`);
}

test('maxRequests 10 is exact: of 200 calls 10 are at the endpoint, and 190 are refused', async () => {
  const backend = await frameBackend();
  await withProxy(configOf(backend, 'circuitBreaker: { maxRequests: 10 }'), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    sendMany(client, 200);
    await until(
      () =>
        client.frames.filter(({ type, fields }) => type === 'headers' && fields[0]?.[1] === '503').length ===
        190,
      '190 refusals',
    );
    await until(() => requestsOf(backend).length === 10, 'ten have come');
    assert.equal(proxy.gauge('a', 'requests'), 10);
    await proxy.recorded();
    assert.deepEqual(endsOf(proxy), Array<string>(190).fill('max-requests UO'));
    for (const [peer, { stream }] of requestsOf(backend)) peer.respond(stream, 200, [], true);
    const statuses = await statusesOf(client, 200);
    assert.equal(statuses.filter((status) => status === 200).length, 10);
    sendMany(client, 10, 200);
    await until(() => requestsOf(backend).length === 20, 'ten more may come');
    client.destroy();
  });
  backend.close();
});

test('maxPendingRequests bounds those that wait for a stream', async () => {
  const backend = await frameBackend(() => {}, { settings: [SETTING.maxConcurrentStreams, 10] });
  const breaker = 'circuitBreaker: { maxConnections: 1, maxPendingRequests: 15 }';
  await withProxy(configOf(backend, breaker), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    // Those that wait for the connection count as well.
    sendMany(client, 15);
    await until(() => requestsOf(backend).length === 10, 'ten have come');
    assert.equal(proxy.gauge('a', 'pending'), 5);
    sendMany(client, 15, 15);
    assert.deepEqual(await statusesOf(client, 5, 25), Array<number>(5).fill(503));
    await proxy.recorded();
    assert.deepEqual(endsOf(proxy), Array<string>(5).fill('max-pending UO'));
    const peer = await backend.peer(0);
    for (let nth = 0; nth < 25; nth++) peer.respond((await asked(peer, nth)).stream, 200, [], true);
    assert.deepEqual(new Set(await statusesOf(client, 25)), new Set([200]));
    client.destroy();
  });
  backend.close();
});
