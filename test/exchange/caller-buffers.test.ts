/** Bytes that wait for a caller, and of it: they are counted and bounded, and given back. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { endpoint, VERSIONS } from '../http2-attacks/endpoints.ts';
import { FramePeer } from '../http2-attacks/peer.ts';
import { INITIAL_WINDOW, get as request2, windowUpdate } from '../kit/frames.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { RawClient, rawBackend } from '../kit/raw.ts';
import { tcpService } from '../tcp/kit.ts';
import { answered, backend, caller, get, OTHER, POD, withCallers } from './callers-kit.ts';

const MIB = 2 ** 20;

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  test(`a caller that reads nothing of its answers gets no more requests, until it has read (${version})`, async () => {
    const upstream = await endpoint('1.1', 8 * MIB);
    await withCallers(upstream.port, `maxBufferedBytes: ${MIB}`, async (proxy) => {
      const peers: { socket: Socket; destroy(): void }[] = [];
      const other = await RawClient.connect(proxy.port, OTHER);
      for (let i = 0; i < 12; i++) {
        if (version === 'HTTP/1.1') peers.push((await RawClient.connect(proxy.port, POD)).send(get('/big')));
        else
          peers.push(
            (await FramePeer.connectFrom(POD, proxy.port, INITIAL_WINDOW, 2 ** 24)).send(
              windowUpdate(0, 2 ** 24),
              request2(1, '/big'),
            ),
          );
        peers.at(-1)?.socket.pause();
      }
      await until(() => caller(proxy, POD).bufferedBytes > MIB, 'more than a megabyte waits');
      const refused = await (await RawClient.connect(proxy.port, POD)).send(get()).until(answered);
      assert.match(refused, /^HTTP\/1.1 429 .*caller-buffers \(RL\)/s);
      await other.send(get()).until((text) => text.endsWith('ok'));
      await proxy.recorded();
      const decision = proxy.decisions.find(({ code }) => code === 'caller-buffers');
      assert.ok(decision);
      assert.deepEqual([decision.limit, decision.limitValue], ['callers.maxBufferedBytes', MIB]);
      assert.ok(decision.observedValue > MIB);
      const most = caller(proxy, POD).bufferedBytes;
      assert.ok(most < 2 * MIB, `${most} bytes wait`);
      for (const peer of peers) peer.socket.resume();
      await until(() => proxy.active === 0, 'all of it was read');
      assert.equal(caller(proxy, POD).bufferedBytes, 0);
      const again = await (await RawClient.connect(proxy.port, POD)).send(get()).until(answered);
      assert.match(again, /^HTTP\/1.1 200 /);
      for (const peer of peers) peer.destroy();
      other.destroy();
    });
    await upstream.close();
  });
}

for (const version of VERSIONS) {
  test(`a caller whose uploads nobody takes gets no more requests, until they are taken (to HTTP/${version})`, async () => {
    const upstream = await endpoint(version);
    await withCallers(
      upstream.port,
      `maxBufferedBytes: ${MIB}`,
      async (proxy) => {
        const other = await RawClient.connect(proxy.port, OTHER);
        const uploads: RawClient[] = [];
        for (let i = 0; i < 16; i++) {
          const client = await RawClient.connect(proxy.port, POD);
          client.send(`POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: ${8 * MIB}\r\n\r\n`);
          uploads.push(client);
        }
        await until(() => upstream.active === uploads.length, 'all have begun');
        for (const { socket } of uploads) socket.write(Buffer.alloc(8 * MIB, 'x'));
        await until(() => caller(proxy, POD).bufferedBytes > MIB, 'more than a megabyte waits');
        const refused = await (await RawClient.connect(proxy.port, POD)).send(get()).until(answered);
        assert.match(refused, /^HTTP\/1.1 429 .*caller-buffers \(RL\)/s);
        await other.send(get()).until((text) => text.includes('ok'));
        const most = caller(proxy, POD).bufferedBytes;
        assert.ok(most < 7 * MIB, `${most} bytes wait`);
        upstream.resume();
        for (const client of uploads) await client.until((text) => text.includes(String(8 * MIB)));
        await until(() => proxy.active === 0, 'all is answered');
        assert.equal(caller(proxy, POD).bufferedBytes, 0);
        const again = await (await RawClient.connect(proxy.port, POD)).send(get()).until(answered);
        assert.match(again, /^HTTP\/1.1 200 /);
        for (const client of [other, ...uploads]) client.destroy();
      },
      { service: version === '2' ? 'protocol: http2' : '', rule: 'retry: { attempts: 2 }' },
    );
    await upstream.close();
  });
}

test('what is kept of a request for a retry counts; a caller that has too much keeps nothing', async () => {
  const upstream = await backend();
  const bytes = 10_240;
  const post = `POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`;
  await withCallers(
    upstream.port,
    'maxBufferedBytes: 16384',
    async (proxy) => {
      const first = (await RawClient.connect(proxy.port, POD)).send(post);
      await until(() => upstream.held.length === 1, 'the first request');
      assert.equal(caller(proxy, POD).bufferedBytes, bytes);
      const second = (await RawClient.connect(proxy.port, POD)).send(post);
      await until(() => upstream.held.length === 2, 'the second request');
      assert.equal(caller(proxy, POD).bufferedBytes, bytes);
      upstream.release();
      for (const client of [first, second]) await client.until((text) => text.endsWith('ok'));
      await until(() => caller(proxy, POD).bufferedBytes === 0, 'nothing is kept');
      for (const client of [first, second]) client.destroy();
    },
    { rule: 'retry: { attempts: 2, retryOn: [gateway-error] }' },
  );
});

test('bytes that wait for an endpoint of TCP count until it takes them, or is gone', async () => {
  const upstream = await rawBackend((connection) => connection.socket.pause());
  await withProxy(tcpService([upstream.port]), async (proxy) => {
    for (const ends of ['taken', 'gone'] as const) {
      const client = await RawClient.connect(proxy.port, POD);
      client.socket.write(Buffer.alloc(16 * MIB, 'x'));
      await until(() => caller(proxy, POD).bufferedBytes > 64 * 1_024, 'bytes wait');
      const server = upstream.accepted.at(-1) as RawClient;
      if (ends === 'taken') {
        server.socket.resume();
        await until(() => server.text.length === 16 * MIB, 'all of it');
      } else server.socket.resetAndDestroy();
      await until(() => caller(proxy, POD).bufferedBytes === 0, `nothing waits: ${ends}`);
      client.destroy();
    }
  });
  await upstream.close();
});
