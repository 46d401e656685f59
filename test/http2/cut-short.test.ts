/** Requests that end before their answer does: by the client, by the clock, by a limit. The stream ends, the connections go on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR } from '../../src/dataplane/codec/http2/index.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { asked, FramePeer, frameBackend } from './frame-peer.ts';

const NO_RETRY = 'retry: { attempts: 0 }';

function configOf(backend: { readonly port: number }, rule = NO_RETRY, listener = ''): string {
  return oneService([backend.port], { rule, listener, service: 'protocol: http2' });
}

async function quiet(proxy: TestProxy): Promise<void> {
  await until(() => proxy.active === 0 && proxy.gauge('a', 'requests') === 0, 'every count is back at 0');
  assert.equal(proxy.gauge('a', 'pending'), 0);
}

for (const when of [
  'before the head',
  'in the middle of the answer',
  'in the middle of the request',
] as const) {
  test(`a client that resets its stream ${when}: the endpoint's stream is cancelled, and no more`, async () => {
    const backend = await frameBackend();
    await withProxy(configOf(backend), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      const wholly = when !== 'in the middle of the request';
      client.request(1, [], { method: 'POST', end: wholly });
      const peer = await backend.peer(0);
      const { stream } = await asked(peer);
      if (!wholly) {
        client.body(1, 'half');
        await peer.frame('data');
      }
      if (when === 'in the middle of the answer') {
        peer.respond(stream, 200).body(stream, 'half');
        await client.frame('data');
      }
      client.reset(1);
      assert.equal(await peer.resetOf(stream), ERROR.cancel);
      await quiet(proxy);
      const { code, flags } = await proxy.decision();
      assert.deepEqual([code, flags], ['downstream-gone', 'DC']);
      assert.equal(proxy.listenerCounter('web', 'http2RxReset'), 1);
      assert.equal(proxy.gauge('a', 'connections'), 1);
      // Both connections still serve.
      client.request(3);
      const next = await asked(peer, 1);
      peer.respond(next.stream, 200, [], true);
      assert.equal((await client.answer(3)).status, 200);
      client.destroy();
    });
    backend.close();
  });
}

test('a client that resets a request to an endpoint of HTTP/1.1: its connection is closed', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1);
    const upstream = await backend.connection(0);
    await upstream.until((t) => t.endsWith('\r\n\r\n'));
    client.reset(1);
    await upstream.untilEnd();
    await quiet(proxy);
    await until(() => proxy.gauge('a', 'connections') === 0, 'the slot comes back');
    client.destroy();
  });
  await backend.close();
});

test('a client of HTTP/1.1 that leaves: one stream to the endpoint is cancelled, its connection stays', async () => {
  const backend = await frameBackend();
  await withProxy(configOf(backend), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const peer = await backend.peer(0);
    const { stream } = await asked(peer);
    client.destroy();
    assert.equal(await peer.resetOf(stream), ERROR.cancel);
    await quiet(proxy);
    assert.equal(proxy.gauge('a', 'connections'), 1);
  });
  backend.close();
});

for (const how of ['ends', 'is reset'] as const) {
  test(`a client's connection with 50 streams ${how}: all 50 are cancelled at the endpoint`, async () => {
    const backend = await frameBackend((peer) => {
      void (async () => {
        for (let nth = 0; nth < 25; nth++)
          peer.respond((await asked(peer, nth)).stream, 200).body(2 * nth + 1, 'half');
      })().catch(() => {});
    });
    await withProxy(configOf(backend), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      for (let i = 0; i < 50; i++) client.request(2 * i + 1);
      const peer = await backend.peer(0);
      await asked(peer, 49);
      assert.equal(proxy.active, 50);
      if (how === 'ends') client.socket.end();
      else client.socket.resetAndDestroy();
      const resets = () =>
        peer.frames.filter(({ type, code }) => type === 'reset' && code === ERROR.cancel).length;
      await peer.until(() => resets() === 50, '50 resets');
      await quiet(proxy);
      await until(() => proxy.connections === 0, "the client's connection is gone");
      await proxy.recorded();
      assert.equal(proxy.decisions.length, 50);
      assert.ok(proxy.decisions.every(({ code }) => code === 'downstream-gone'));
      assert.equal(proxy.gauge('a', 'connections'), 1);
      assert.equal(peer.closed, false);
      client.destroy();
    });
    backend.close();
  });
}

for (const [name, rule, listener, code, flag] of [
  ['the request timeout', 'timeouts: { request: 60ms }', '', 'request-timeout', 'UT'],
  [
    'the timeout of an attempt',
    'timeouts: { backendRequest: 60ms }\nretry: { attempts: 0 }',
    '',
    'per-try-timeout',
    'UT',
  ],
  ['the idle timeout', NO_RETRY, 'timeouts: { idle: 60ms }', 'stream-idle', 'SI'],
] as const) {
  test(`${name} ends a stream with 504; both connections go on`, async () => {
    const backend = await frameBackend((peer) => {
      void (async () => {
        for (let nth = 1; ; nth++) peer.respond((await asked(peer, nth)).stream, 200, [], true);
      })().catch(() => {});
    });
    await withProxy(configOf(backend, rule, listener), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      const { status, body } = await client.request(1).answer(1);
      assert.equal(status, 504);
      assert.match(body.toString(), new RegExp(`^504 ${code} \\(${flag}`));
      const peer = await backend.peer(0);
      assert.equal(await peer.resetOf((await asked(peer)).stream), ERROR.cancel);
      await quiet(proxy);
      assert.equal((await client.request(3).answer(3)).status, 200);
      assert.deepEqual([backend.peers.length, proxy.gauge('a', 'connections')], [1, 1]);
      client.destroy();
    });
    backend.close();
  });

  test(`${name} in the middle of an answer resets the stream`, async () => {
    const backend = await frameBackend((peer) => {
      void (async () => {
        peer.respond((await asked(peer)).stream, 200).body(1, 'half');
        for (let nth = 1; ; nth++) peer.respond((await asked(peer, nth)).stream, 200, [], true);
      })().catch(() => {});
    });
    await withProxy(configOf(backend, rule, listener), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      if (code === 'per-try-timeout') {
        // It is over once the head has come.
        client.request(1);
        await client.frame('data');
        client.reset(1);
      } else {
        const { status, body, reset } = await client.request(1).answer(1);
        assert.deepEqual([status, body.toString(), reset], [200, 'half', ERROR.internalError]);
        assert.equal((await proxy.decision()).code, code);
      }
      await quiet(proxy);
      assert.equal((await client.request(3).answer(3)).status, 200);
      assert.equal(backend.peers.length, 1);
      client.destroy();
    });
    backend.close();
  });
}

test('a client that stops in the middle of its request: 408 on the stream, and the connection goes on', async () => {
  const backend = await frameBackend();
  await withProxy(configOf(backend, NO_RETRY, 'timeouts: { idle: 60ms }'), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, [], { method: 'POST', end: false }).body(1, 'half');
    const { status, body } = await client.answer(1);
    assert.equal(status, 408);
    assert.match(body.toString(), /^408 body-timeout/);
    const peer = await backend.peer(0);
    assert.equal(await peer.resetOf((await asked(peer)).stream), ERROR.cancel);
    client.request(3);
    peer.respond((await asked(peer, 1)).stream, 200, [], true);
    assert.equal((await client.answer(3)).status, 200);
    client.destroy();
  });
  backend.close();
});

test('a body over maxRequestBytes is refused with 413 on its stream, by its length or as it comes', async () => {
  const backend = await frameBackend();
  await withProxy(configOf(backend, NO_RETRY, 'limits: { maxRequestBytes: 1000 }'), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, [['content-length', '1001']], { method: 'POST', end: false });
    assert.equal((await client.answer(1)).status, 413);
    assert.equal(backend.peers.length, 0);
    client.request(3, [], { method: 'POST', end: false }).body(3, 'x'.repeat(600));
    const peer = await backend.peer(0);
    const { stream } = await asked(peer);
    client.body(3, 'x'.repeat(600));
    const { status, body } = await client.answer(3);
    assert.equal(status, 413);
    assert.match(body.toString(), /^413 body-too-large/);
    assert.equal(await peer.resetOf(stream), ERROR.cancel);
    // What is on its way is dropped without blame.
    client.body(3, 'x'.repeat(5_000)).body(1, 'x', true);
    client.request(5);
    peer.respond((await asked(peer, 1)).stream, 200, [], true);
    assert.equal((await client.answer(5)).status, 200);
    assert.equal(client.frames.filter(({ type }) => type === 'goaway').length, 0);
    client.destroy();
  });
  backend.close();
});

test('a request without a route is answered while its body still comes, and the rest is declined', async () => {
  const backend = await frameBackend();
  await withProxy(configOf(backend, `matches: [{ path: { value: /only } }]\n${NO_RETRY}`), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, [], { method: 'POST', end: false, path: '/else' });
    const { status, ended } = await client.answer(1);
    assert.deepEqual([status, ended], [404, true]);
    await client.until(() => client.heard(1).reset === ERROR.noError, 'the reset');
    client.body(1, 'x'.repeat(10_000), true).ping();
    await client.frame('pong');
    client.destroy();
  });
  backend.close();
});
