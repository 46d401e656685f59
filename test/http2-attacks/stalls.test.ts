/**
 * Readers that stop: a client that takes nothing of a hundred answers of 1 GB each, with windows or by not reading its
 * socket, and an endpoint that takes nothing of a hundred uploads. What waits is bounded, others go on, and so do those
 * that stood still once there is room again.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import {
  ACK,
  END_HEADERS,
  END_STREAM,
  get,
  headers,
  INITIAL_WINDOW,
  PING,
  post,
  requestBlock,
  settings,
  TYPE,
  windowUpdate,
} from '../kit/frames.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { type Endpoint, endpoint, VERSIONS, type Version } from './endpoints.ts';
import { assertRecorded, backend, besides, heldBytes, MIB, MovedClock, turn } from './kit.ts';
import { FramePeer } from './peer.ts';
import { Uploads } from './uploads.ts';

const STREAMS = 100;
const GIB = 2 ** 30;
/** What a client lets every stream send at first. */
const WINDOW = 65_535;

const config = (version: Version, { port }: Endpoint): string =>
  oneService([port], {
    service: `protocol: ${version === '2' ? 'http2' : 'http'}`,
  });
const idOf = (place: number): number => 2 * place + 1;
const ids = Array.from({ length: STREAMS }, (_, i) => idOf(i));

interface Memory {
  readonly rss: number;
  readonly held: number;
}

async function memory(): Promise<Memory> {
  return { held: await heldBytes(), rss: process.memoryUsage.rss() };
}

/** Says how much more is in use now, endpoints and clients included, which run in this process too. */
async function assertGrowth(t: TestContext, before: Memory, mostMib: number): Promise<void> {
  const now = await memory();
  const held = (now.held - before.held) / MIB;
  t.diagnostic(
    `${held.toFixed(1)} MiB more in use, rss ${((now.rss - before.rss) / MIB).toFixed(1)} MiB more`,
  );
  assert.ok(held < mostMib, `${held} MiB more are in use`);
}

/** Waits until nothing has come for a while. */
async function standstill(measure: () => number): Promise<void> {
  let last = -1;
  let same = 0;
  await until(() => {
    const now = measure();
    same = now === last ? same + 1 : 0;
    last = now;
    return same >= 50;
  }, 'a standstill');
}

for (const version of VERSIONS) {
  test(`a client that takes nothing of 99 answers of 1 GB over HTTP/${version}, and all of another`, async (t) => {
    const upstream = await endpoint(version, GIB);
    await withProxy(config(version, upstream), async (proxy) => {
      const before = await memory();
      const peer = await FramePeer.connect(proxy.port, INITIAL_WINDOW, WINDOW);
      // The connection's window is wide open: only the streams stand still.
      peer.send(windowUpdate(0, GIB), ...ids.map((id) => get(id, '/big')));
      await until(() => ids.every((id) => peer.dataBytes.get(id) === WINDOW), 'what the windows allow');
      let taken = 0;
      let frames = 0;
      peer.onFrame = ({ type, stream, length }) => {
        if (type !== TYPE.data || stream !== 1 || length === 0) return;
        taken += length;
        frames++;
        if (taken < 20 * MIB) peer.send(windowUpdate(1, length));
      };
      peer.send(windowUpdate(1, WINDOW));
      await besides(proxy.port, () => until(() => taken >= 20 * MIB, '20 MB of one stream'));
      // Windows that are given back frame by frame don't make the frames smaller and smaller.
      assert.ok(taken / frames > 2_048, `frames of ${taken / frames} bytes`);
      await standstill(() => upstream.produced);
      await assertGrowth(t, before, 64);
      for (const id of ids.slice(1)) assert.equal(peer.dataBytes.get(id), WINDOW);
      peer.onFrame = () => {};
      // Each goes on, and stands still again.
      peer.send(...ids.map((id) => windowUpdate(id, MIB)));
      await until(
        () => ids.slice(1).every((id) => peer.dataBytes.get(id) === WINDOW + MIB),
        'another MB of each',
      );
      assert.equal(peer.goaway, '');
      peer.destroy();
      await until(() => upstream.active === 0, 'the end of the requests at the endpoint');
      await until(() => proxy.gauge('a', 'requests') === 0, 'the end of the requests');
    });
    await upstream.close();
  });

  test(`a client that does not read its socket, with a hundred answers of 1 GB over HTTP/${version}`, async (t) => {
    const upstream = await endpoint(version, GIB);
    await withProxy(config(version, upstream), async (proxy) => {
      const before = await memory();
      const peer = await FramePeer.connect(proxy.port, INITIAL_WINDOW, 2 * MIB);
      peer.socket.pause();
      peer.send(windowUpdate(0, GIB), ...ids.map((id) => get(id, '/big')));
      await until(() => upstream.active === STREAMS, 'all requests at the endpoint');
      await besides(proxy.port, () => standstill(() => upstream.produced));
      await assertGrowth(t, before, 64);
      peer.socket.resume();
      await until(() => ids.every((id) => peer.dataBytes.get(id) === 2 * MIB), 'what the windows allow');
      peer.destroy();
      await until(() => upstream.active === 0, 'the end of the requests at the endpoint');
    });
    await upstream.close();
  });

  test(`a hundred uploads towards an endpoint of HTTP/${version} that stops reading`, async (t) => {
    const upstream = await endpoint(version);
    await withProxy(config(version, upstream), async (proxy) => {
      const before = await memory();
      const peer = await FramePeer.connect(proxy.port);
      peer.send(...ids.map((id) => post(id, '/upload')));
      const uploads = new Uploads(peer, ids, GIB);
      await until(() => upstream.active === STREAMS, 'all requests at the endpoint');
      await besides(proxy.port, () => standstill(() => uploads.sentBytes));
      t.diagnostic(`${Math.round(uploads.sentBytes / MIB)} MiB were sent until all stood still`);
      await assertGrowth(t, before, 256);
      const sent = ids.map((id) => uploads.sentOn(id));
      upstream.resume();
      await until(
        () => ids.every((id, i) => uploads.sentOn(id) > (sent[i] as number)),
        'more of each upload',
      );
      assert.equal(peer.goaway, '');
      peer.destroy();
      await until(() => upstream.active === 0, 'the end of the requests at the endpoint');
    });
    await upstream.close();
  });
}

for (const window of [0, 1]) {
  test(`a hundred answers towards windows of ${window} are given up after the idle timeout`, async () => {
    const clock = new MovedClock();
    const upstream = await endpoint('1.1', 100_000);
    await withProxy(
      config('1.1', upstream),
      async (proxy) => {
        const peer = await FramePeer.connect(proxy.port, INITIAL_WINDOW, window);
        // Half of them are too large for what waits in a stream, half are complete at once.
        peer.send(...ids.map((id, i) => get(id, i % 2 === 0 ? '/big' : '/small')));
        await until(() => peer.count(TYPE.headers) === STREAMS, 'all heads');
        await besides(proxy.port, async () => {});
        assert.ok(ids.every((id) => (peer.dataBytes.get(id) ?? 0) <= window));
        // Each that moves is given the time anew.
        clock.advance(LIMITS.downstreamIdleTimeoutMs / 2);
        await turn();
        assert.equal(peer.count(TYPE.rstStream), 0);
        clock.advance(LIMITS.downstreamIdleTimeoutMs);
        await until(() => ids.every((id) => peer.resetOf(id) !== ''), 'resets');
        assert.equal(peer.goaway, '');
        assert.ok(proxy.listenerCounter('web', 'http2TxFlushTimeout') >= STREAMS / 2);
        await assertRecorded(proxy, 'stream-idle', /took none of the last/);
        await until(() => upstream.active === 0 && proxy.active === 0, 'the end of the requests');
        peer.send(windowUpdate(0, 1), get(1_001, '/small'));
        await until(() => peer.answered(1_001), 'another answer');
        peer.destroy();
      },
      { clock },
    );
    await upstream.close();
  });
}

test('SETTINGS that close and open the windows of fifty streams are kept to the byte', async () => {
  const upstream = await endpoint('1.1', 300_000);
  await withProxy(config('1.1', upstream), async (proxy) => {
    const peer = await FramePeer.connect(proxy.port, INITIAL_WINDOW, 40_000);
    const some = ids.slice(0, 50);
    peer.send(windowUpdate(0, GIB), ...some.map((id) => get(id, '/big')));
    const bytes = (id: number): number => peer.dataBytes.get(id) ?? 0;
    await until(() => some.every((id) => bytes(id) === 40_000), 'the first window');
    // Below zero: what is given next is owed already.
    peer.send(settings(INITIAL_WINDOW, 0), ...some.map((id) => windowUpdate(id, 30_000)), PING);
    await until(() => peer.count(TYPE.ping, ACK) === 1, 'the answer to PING');
    assert.ok(some.every((id) => bytes(id) === 40_000));
    peer.send(...some.map((id) => windowUpdate(id, 10_001)));
    await until(() => some.every((id) => bytes(id) === 40_001), 'one byte');
    peer.send(settings(INITIAL_WINDOW, 50_000, INITIAL_WINDOW, 0, INITIAL_WINDOW, 100_000));
    await until(() => some.every((id) => bytes(id) === 140_001), 'the last of three settings');
    peer.send(settings(INITIAL_WINDOW, 2 ** 31 - 1));
    await until(() => some.every((id) => peer.ended(id)), 'the ends');
    assert.ok(some.every((id) => bytes(id) === 300_000));
    assert.equal(peer.goaway, '');
    await until(() => upstream.active === 0, 'the end of the requests at the endpoint');
    peer.destroy();
  });
  await upstream.close();
});

test('requests that never end hold the places of their connection, and nobody else’s', async () => {
  const clock = new MovedClock();
  const upstream = await backend();
  await withProxy(
    oneService([upstream.port]),
    async (proxy) => {
      const peer = await FramePeer.connect(proxy.port);
      peer.send(...ids.map((id) => get(id, '/never')));
      await until(() => upstream.hits('/never') === STREAMS, 'all at the endpoint');
      peer.send(get(1_001, '/never'));
      await until(() => peer.resetOf(1_001) === 'REFUSED_STREAM', 'a refusal');
      await besides(proxy.port, async () => {});
      clock.advance(LIMITS.requestTimeoutMs + 100);
      await until(() => ids.every((id) => peer.ended(id)), 'answers');
      assert.deepEqual([...new Set(peer.statuses())], [504]);
      assert.equal(upstream.hits('/never'), STREAMS);
      peer.send(get(1_003, '/ok'));
      await until(() => peer.ended(1_003), 'another answer');
      peer.destroy();
    },
    { clock },
  );
  await upstream.close();
});

test('heads of answers that a client does not read hold their own bytes, and no slab each', async (t) => {
  const upstream = await endpoint('1.1');
  await withProxy(config('1.1', upstream), async (proxy) => {
    const peer = await FramePeer.connect(proxy.port, INITIAL_WINDOW, GIB);
    peer.socket.pause();
    peer.send(windowUpdate(0, GIB), get(1, '/big'));
    await until(() => upstream.active === 1, 'the request');
    await standstill(() => upstream.produced);
    const before = await memory();
    for (let i = 1; i <= 1_000; i++) {
      await peer.sent(headers(idOf(i), requestBlock('HEAD', '/'), END_HEADERS | END_STREAM));
      if (i % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => upstream.active === 1 && proxy.active === 1, 'their ends');
    await assertGrowth(t, before, 8);
    peer.destroy();
  });
  await upstream.close();
});
