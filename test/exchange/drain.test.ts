/** A drain loses no request that it need not lose, waits for nobody who does nothing, and says what it cut off. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { withProxy } from '../kit/proxy.ts';
import { oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { answering, complete, GET, OK } from './answering.ts';
import { ca, TLS, tlsSecrets } from './tls.ts';

test('drain: requests under way end with Connection: close, idle connections are closed, new ones refused', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const idle = await RawClient.connect(proxy.port);
    const served = (await RawClient.connect(proxy.port)).send(GET);
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    upstream.send(OK);
    await served.until((t) => t.endsWith('ok'));
    upstream.text = '';
    const busy = (await RawClient.connect(proxy.port)).send(GET);
    await upstream.until(complete);

    const drained = proxy.drain(10_000);
    assert.equal(await idle.untilEnd(), '');
    await served.untilEnd();
    assert.deepEqual([idle.error, served.error], [null, null]);
    await assert.rejects(RawClient.connect(proxy.port), { code: 'ECONNREFUSED' });
    upstream.send(OK);
    assert.match(await busy.untilEnd(), /\r\nconnection: close\r\n.*ok$/is);
    for (const client of [idle, served, busy]) client.destroy();
    assert.equal(await drained, 0);
    await proxy.recorded();
    assert.deepEqual(proxy.decisions, []);
  });
  await backend.close();
});

test('drain: a request that has begun to arrive is served', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = (await RawClient.connect(proxy.port)).send(`${GET}GET / HTTP/1.1\r\nHo`);
    await client.until((t) => t.endsWith('ok'));
    client.text = '';
    const idle = await RawClient.connect(proxy.port);
    const drained = proxy.drain(10_000);
    await idle.untilEnd();
    idle.destroy();
    await assert.rejects(RawClient.connect(proxy.port));
    client.send('st: x\r\n\r\n');
    assert.match(await client.untilEnd(), /^HTTP\/1\.1 200 .*connection: close\r\n.*ok$/is);
    client.destroy();
    assert.equal(await drained, 0);
  });
  await backend.close();
});

test('drain: connections that arrive or are reused in the grace time are answered, with Connection: close', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const kept = await RawClient.connect(proxy.port);
    await kept.send(GET).until((t) => t.endsWith('ok'));
    kept.text = '';
    const drained = proxy.drain(10_000);
    kept.send(GET);
    const late = (await RawClient.connect(proxy.port)).send(GET);
    for (const client of [kept, late]) {
      assert.match(await client.untilEnd(), /^HTTP\/1\.1 200 .*connection: close\r\n.*ok$/is);
      client.destroy();
    }
    assert.equal(await drained, 0);
  });
  await backend.close();
});

test('drain: what is late is cut off, counted, and recorded as such', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.includes('/half'))
      .then(
        () => upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
        () => {},
      );
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const silent = (await RawClient.connect(proxy.port)).send(GET);
    await (await backend.connection(0)).until(complete);
    const half = (await RawClient.connect(proxy.port)).send(GET.replace('/', '/half'));
    await half.until((t) => t.endsWith('half'));
    assert.equal(await proxy.drain(50), 2);
    await silent.untilEnd();
    await half.untilClosed();
    assert.ok(!half.ended, 'half an answer does not look complete');
    await proxy.recorded();
    assert.deepEqual(proxy.decisions.map(({ code, status }) => [code, status]).sort(), [
      ['shutting-down', 0],
      ['shutting-down', 200],
    ]);
  });
  await backend.close();
});

test('drain: a client that ignores its end does not hold it up', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((t) => t.endsWith('ok'));
    assert.equal(await proxy.drain(10_000), 0);
    assert.ok(client.ended);
    client.destroy();
  });
  await backend.close();
});

test('drain: a TLS client that has not said a word does not hold it up, one that speaks is served', async () => {
  const backend = await rawBackend();
  await withProxy(
    oneService([backend.port], {
      listener: TLS,
    }),
    async (proxy) => {
      const mute = await RawClient.connect(proxy.port);
      const socket = connectTls({ port: proxy.port, host: '127.0.0.1', ca: ca.certPem, servername: 'web' });
      const client = new RawClient(socket).send(GET);
      const upstream = await backend.connection(0);
      await upstream.until(complete);
      const drained = proxy.drain(10_000);
      await mute.untilEnd();
      upstream.send(OK);
      assert.match(await client.untilEnd(), /\r\nconnection: close\r\n.*ok$/is);
      mute.destroy();
      client.destroy();
      assert.equal(await drained, 0);
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});
