/** Bytes through a TCP listener: who speaks first, how each side ends, and what a reset becomes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, withProxy } from '../kit/proxy.ts';
import { RawClient, rawBackend } from '../kit/raw.ts';
import { isReset, pair, tcpService } from './kit.ts';

test('a server that speaks first is heard at once, though the client is silent', async () => {
  const backend = await rawBackend((upstream) => upstream.send('5.7.0 greets you\0'));
  await withProxy(tcpService([backend.port], { listener: 'timeouts: { detect: 0s }' }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.until((t) => t === '5.7.0 greets you\0');
    client.send('login');
    const server = await backend.connection(0);
    await server.until((t) => t === 'login');
    server.send('welcome');
    await client.until((t) => t.endsWith('welcome'));
    client.destroy();
  });
  await backend.close();
});

test('what the client sends before the endpoint has accepted arrives whole and in order', async () => {
  const backend = await rawBackend();
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = Array.from({ length: 5_000 }, (_, i) => `line ${i}\n`).join('');
    client.send(text).socket.end();
    const server = await backend.connection(0);
    assert.equal(await server.untilEnd(), text);
    server.send('all of it').socket.end();
    assert.equal(await client.untilClosed(), 'all of it');
    assert.equal(client.error, null);
  });
  await backend.close();
});

test('a half-close by the client is kept: the endpoint reads its end and goes on answering', async () => {
  const backend = await rawBackend();
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    client.send('question').socket.end();
    assert.equal(await server.untilEnd(), 'question');
    server.send('one ');
    await client.until((t) => t === 'one ');
    server.send('two').socket.end();
    assert.equal(await client.untilClosed(), 'one two');
    assert.deepEqual([client.error, server.error], [null, null]);
    await until(() => proxy.active === 0, 'it is over');
    await proxy.recorded();
    assert.deepEqual(proxy.decisions, [], 'an orderly end needs no explanation');
  });
  await backend.close();
});

test('a half-close by the endpoint is kept: the client reads its end and goes on sending', async () => {
  const backend = await rawBackend();
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    server.send('enough').socket.end();
    assert.equal(await client.untilEnd(), 'enough');
    client.send('but I am ');
    await server.until((t) => t === 'but I am ');
    client.send('not done').socket.end();
    assert.equal(await server.untilClosed(), 'but I am not done');
    await client.untilClosed();
    assert.deepEqual([client.error, server.error], [null, null]);
  });
  await backend.close();
});

test('a reset by the client is one for the endpoint, and is told as DC', async () => {
  const backend = await rawBackend();
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    client.send('half a');
    await server.until((t) => t === 'half a');
    client.socket.resetAndDestroy();
    await server.untilClosed();
    assert.ok(isReset(server), `${server.error}`);
    assert.ok(!server.ended, 'it was not told of an end');
    const decision = await proxy.decision();
    assert.deepEqual([decision.code, decision.flags, decision.rule], ['downstream-gone', 'DC', 'db']);
  });
  await backend.close();
});

test('a reset by the endpoint is one for the client, and is told as UC', async () => {
  const backend = await rawBackend();
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    server.send('half a');
    await client.until((t) => t === 'half a');
    server.socket.resetAndDestroy();
    await client.untilClosed();
    assert.ok(isReset(client), `${client.error}`);
    assert.ok(!client.ended);
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.code, decision.flags, decision.verdict, decision.attempts[0]?.outcome],
      ['upstream-reset', 'UC', 'failed', 'upstream-reset'],
    );
  });
  await backend.close();
});

test('a client that closes while the endpoint still sends resets it, as without a proxy', async () => {
  const backend = await rawBackend();
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    client.socket.end();
    await server.untilEnd();
    client.destroy();
    const sending = setInterval(() => server.send('more'), 1);
    await server.untilClosed();
    clearInterval(sending);
    assert.ok(['ECONNRESET', 'EPIPE'].includes(server.error?.code ?? ''), `${server.error}`);
    const decision = await proxy.decision();
    assert.equal(decision.flags, 'DC');
  });
  await backend.close();
});

test('connections by the dozen do not mix their bytes', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', (chunk: Buffer) => upstream.send(chunk.toString('latin1')));
    upstream.socket.on('end', () => upstream.socket.end());
  });
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(proxy.port)));
    const said = clients.map((_, i) => `${i} `.repeat(2_000));
    clients.forEach((client, i) => {
      client.send(said[i] ?? '').socket.end();
    });
    assert.deepEqual(await Promise.all(clients.map((client) => client.untilClosed())), said);
    await until(() => proxy.active === 0, 'all have ended');
    assert.equal(proxy.counter('a', 'upstreamCxTotal'), 50);
    assert.equal(proxy.counter('a', 'upstreamCxDestroy'), 50);
  });
  await backend.close();
});
