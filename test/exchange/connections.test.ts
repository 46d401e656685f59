/**
 * How long connections live: reuse and its end in both directions, what a reload leaves alone, and a drain that loses
 * no request that it need not lose.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';
import { freePort, type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function complete(text: string): boolean {
  return text.endsWith('\r\n\r\n');
}

/** Answers every request with the same bytes. */
function answering(wire = OK) {
  return rawBackend((upstream) => {
    upstream.socket.on('data', () => upstream.send(wire));
    upstream.socket.on('end', () => upstream.socket.end());
  });
}

async function ask(proxy: { readonly port: number }, wire = GET): Promise<string> {
  const client = await RawClient.connect(proxy.port);
  const text = await client.send(wire).until((t) => /ok$|\nrequest \S+\n$/.test(t));
  client.destroy();
  return text;
}

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

test('a reload that removes the service lets its requests end, and closes its connections', async () => {
  const backend = await rawBackend();
  const other = await answering();
  const port = await freePort();
  const config = (to: number, name: string): string =>
    oneService([to])
      .replace('127.0.0.1:0', `127.0.0.1:${port}`)
      .replaceAll('name: a ', `name: ${name} `)
      .replace('- name: a\n    endpoints', `- name: ${name}\n    endpoints`);
  await withProxy(config(backend.port, 'a'), async (proxy) => {
    const client = (await RawClient.connect(proxy.port)).send(GET);
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    await proxy.reload(config(other.port, 'b'));
    assert.deepEqual(
      proxy.snapshot.services.map(({ name }) => name),
      ['b'],
    );
    assert.match(await ask(proxy), /ok$/);
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    await upstream.untilEnd();
    upstream.socket.end();
    assert.equal(other.accepted.length, 1);
    client.text = '';
    await client.send(GET).until((t) => t.endsWith('ok'));
    await until(() => proxy.gauge('a', 'connections') === 0, 'the slot comes back');
    client.destroy();
  });
  await backend.close();
  await other.close();
});

test('a reload that removes an endpoint lets its requests end; new ones go elsewhere', async () => {
  const leaving = await rawBackend();
  const staying = await answering();
  const port = await freePort();
  const config = (ports: number[]): string => oneService(ports).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withProxy(config([leaving.port]), async (proxy) => {
    const client = (await RawClient.connect(proxy.port)).send(GET);
    const upstream = await leaving.connection(0);
    await upstream.until(complete);
    await proxy.reload(config([staying.port]));
    for (let i = 0; i < 5; i++) assert.match(await ask(proxy), /ok$/);
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    await upstream.untilEnd();
    assert.equal(leaving.accepted.length, 1);
    client.destroy();
  });
  await leaving.close();
  await staying.close();
});

test('an idle connection to a removed endpoint is closed at once', async () => {
  const leaving = await answering();
  const staying = await answering();
  const port = await freePort();
  const config = (ports: number[]): string => oneService(ports).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withProxy(config([leaving.port]), async (proxy) => {
    await ask(proxy);
    await proxy.reload(config([staying.port]));
    await (leaving.accepted[0] as RawClient).untilEnd();
    assert.match(await ask(proxy), /ok$/);
  });
  await leaving.close();
  await staying.close();
});

test('a reload changes routes for the next request on a connection, not for the one under way', async () => {
  const first = await rawBackend();
  const second = await answering('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond');
  const port = await freePort();
  const config = (to: number): string => oneService([to]).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withProxy(config(first.port), async (proxy) => {
    const client = (await RawClient.connect(proxy.port)).send(GET);
    const upstream = await first.connection(0);
    await upstream.until(complete);
    await proxy.reload(config(second.port));
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    await client.send(GET).until((t) => t.endsWith('second'));
    client.destroy();
  });
  await first.close();
  await second.close();
});

test('a listener that moves to another port ends what it has begun, with Connection: close', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const old = proxy.port;
    const idle = await RawClient.connect(old);
    const busy = (await RawClient.connect(old)).send(GET);
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    await proxy.reload(oneService([backend.port]));
    await idle.untilEnd();
    assert.deepEqual([idle.text, idle.error], ['', null]);
    upstream.send(OK);
    assert.match(await busy.untilEnd(), /\r\nconnection: close\r\n.*ok$/is);
    await assert.rejects(RawClient.connect(old), { code: 'ECONNREFUSED' });
    const moved = proxy.snapshot.listeners[0]?.port as number;
    upstream.text = '';
    const client = (await RawClient.connect(moved)).send(GET);
    await upstream.until(complete);
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    for (const end of [idle, busy, client]) end.destroy();
  });
  await backend.close();
});

test('reloads in a row under load lose no request', async () => {
  const backends = await Promise.all(
    Array.from({ length: 3 }, () => httpBackend((_, response) => setImmediate(() => response.end('ok')))),
  );
  const port = await freePort();
  const config = (round: number): string =>
    oneService(
      backends.filter((_, i) => (i + round) % 3 !== 0).map((backend) => backend.port),
      {
        rule: 'retry: { attempts: 0 }',
        service: `loadBalancer: { policy: ${round % 2 === 0 ? 'round-robin' : 'least-request'} }`,
      },
    ).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withProxy(config(0), async (proxy) => {
    let ending = false;
    let served = 0;
    const clients = Array.from({ length: 8 }, async () => {
      const client = await RawClient.connect(port);
      while (!ending) {
        client.text = '';
        const text = await client.send(GET).until((t) => /ok$|\nrequest \S+\n$/.test(t));
        assert.match(text, /^HTTP\/1\.1 200 /);
        served++;
      }
      client.destroy();
    });
    for (let round = 1; round <= 50; round++) {
      const before = served;
      await proxy.reload(config(round));
      await until(() => served > before, 'requests are served');
    }
    ending = true;
    await Promise.all(clients);
    await proxy.recorded();
    assert.deepEqual(proxy.decisions, []);
  });
  for (const backend of backends) await backend.close();
});

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
  const ca = createCa({ commonName: 'ca' });
  const certificate = issueCertificate(ca, { commonName: 'web', dnsNames: ['web'] });
  const loaded = await loadedSecrets({ 'file:/web.pem': certificate });
  const backend = await rawBackend();
  await withProxy(
    oneService([backend.port], {
      listener: 'tls: { certificates: [{ certFile: /web.pem, keyFile: /web.key }] }',
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
    { secrets: { version: 1, ticketKeys: [], ...loaded } },
  );
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
