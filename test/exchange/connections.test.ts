/** How long connections live: reuse and its end in both directions, tunnels, and the bounds of a listener. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { answering, ask, complete, GET, OK } from './answering.ts';

test('requests of many clients share one upstream connection, one after the other', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port]), async (proxy) => {
    for (let i = 0; i < 20; i++) await ask(proxy);
    assert.equal(backend.accepted.length, 1);
    assert.equal(proxy.counter('a', 'upstreamCxTotal'), 1);
  });
  await backend.close();
});

test('requests at the same time have a connection each, which are kept and used again', async () => {
  const backend = await httpBackend((_, response) => setImmediate(() => response.end('ok')));
  let connections = 0;
  backend.server.on('connection', () => connections++);
  await withProxy(oneService([backend.port]), async (proxy) => {
    const wire = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(proxy.port)));
      await Promise.all(clients.map((client) => client.send(wire).untilEnd()));
      for (const client of clients) client.destroy();
    }
    assert.ok(connections <= 10, `${connections} connections`);
  });
  await backend.close();
});

test('an endpoint that says Connection: close is believed; the client keeps its connection', async () => {
  const backend = await answering(OK.replace('\r\n', '\r\nConnection: close\r\n'));
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    for (let i = 1; i <= 3; i++) await client.send(GET).until((t) => t.split('ok').length === i + 1);
    assert.doesNotMatch(client.text, /connection: close/i);
    assert.equal(backend.accepted.length, 3);
    client.destroy();
  });
  await backend.close();
});

test('an endpoint of HTTP/1.0 is not used again, unless it says keep-alive', async () => {
  for (const [fields, connections] of [
    ['', 2],
    ['Connection: keep-alive\r\n', 1],
  ] as const) {
    const backend = await answering(`HTTP/1.0 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`);
    await withProxy(oneService([backend.port]), async (proxy) => {
      await ask(proxy);
      await ask(proxy);
      assert.equal(backend.accepted.length, connections);
    });
    await backend.close();
  }
});

test('a client that says Connection: close is answered and closed; the upstream connection is kept', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port]), async (proxy) => {
    for (let i = 0; i < 3; i++) {
      const client = await RawClient.connect(proxy.port);
      client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      assert.match(await client.untilEnd(), /\r\nconnection: close\r\n/i);
      client.destroy();
    }
    assert.equal(backend.accepted.length, 1);
    assert.doesNotMatch(backend.accepted[0]?.text ?? '', /connection:/i);
  });
  await backend.close();
});

test('what a client sends after Connection: close is not looked at', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n${GET}`);
    assert.equal((await client.untilEnd()).split('ok').length, 2);
    assert.equal(backend.accepted[0]?.text.split('GET ').length, 2);
    client.destroy();
  });
  await backend.close();
});

test('a client of HTTP/1.0 is closed, unless it says keep-alive, and then it is told so', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const once = await RawClient.connect(proxy.port);
    assert.match(await once.send('GET / HTTP/1.0\r\n\r\n').untilEnd(), /ok$/);
    once.destroy();
    const kept = await RawClient.connect(proxy.port);
    for (let i = 1; i <= 3; i++) {
      kept.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
      await kept.until((t) => t.split('ok').length === i + 1);
    }
    assert.equal(kept.text.match(/connection: keep-alive/gi)?.length, 3);
    kept.destroy();
  });
  await backend.close();
});

test('a tunnel whose endpoint ends first carries on the other way until the client ends', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => {
      upstream.send('HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nall I have to say');
      upstream.socket.end();
    });
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n');
    assert.match(await client.untilEnd(), /all I have to say$/);
    assert.equal(proxy.active, 1);
    client.send('and my answer');
    const upstream = backend.accepted[0] as RawClient;
    await upstream.until((t) => t.endsWith('and my answer')).catch(() => {});
    assert.match(upstream.text, /and my answer$/);
    client.socket.end();
    await upstream.untilClosed();
    await until(() => proxy.active === 0 && proxy.gauge('a', 'connections') === 0, 'everything comes back');
    await client.untilClosed();
    await proxy.recorded();
    assert.equal(proxy.decisions.length, 0);
  });
  await backend.close();
});

test('a tunnel whose client vanishes ends at the endpoint', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until(complete)
      .then(() => upstream.send('HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n'));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n');
    await client.until(complete);
    client.socket.resetAndDestroy();
    await (await backend.connection(0)).untilEnd();
    assert.equal((await proxy.decision()).code, 'downstream-gone');
  });
  await backend.close();
});

test('maxConnections of a listener: one more is closed at once, and those that end make room', async () => {
  const backend = await answering();
  await withProxy(
    oneService([backend.port], { listener: 'limits: { maxConnections: 2 }' }),
    async (proxy) => {
      const clients = [await RawClient.connect(proxy.port), await RawClient.connect(proxy.port)];
      for (const client of clients) await client.send(GET).until((t) => t.endsWith('ok'));
      const third = await RawClient.connect(proxy.port);
      await third.untilEnd();
      assert.equal(third.text, '');
      third.destroy();
      assert.equal(proxy.listenerCounter('web', 'downstreamCxOverflow'), 1);
      clients[0]?.destroy();
      await until(() => proxy.connections === 1, 'one has ended');
      await ask(proxy);
      clients[1]?.destroy();
    },
  );
  await backend.close();
});

test('an upload that nobody wants is read for a while only, and the connection is then closed', async () => {
  const backend = await answering();
  const rule = 'matches: [{ path: { value: /only } }]';
  await withProxy(oneService([backend.port], { rule }), async (proxy: TestProxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST /else HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n');
    await client.until((t) => t.includes('404 no-route'));
    const part = 'a'.repeat(500_000);
    const more = (): void => {
      while (client.socket.writable && client.socket.write(part));
    };
    client.socket.on('drain', more);
    more();
    await client.untilClosed();
    assert.ok(client.socket.bytesWritten < 50_000_000);
    await until(() => proxy.connections === 0, 'the connection is closed');
  });
  await backend.close();
});
