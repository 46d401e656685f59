/** How long a TCP connection is carried, how many there may be, and where one goes whose endpoint does not answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { type RawBackend, RawClient, rawBackend, unacceptingPort } from '../kit/raw.ts';
import { isReset, pair, refusal, tcpService } from './kit.ts';

const GREETING = 'hello';

function greeting(): Promise<RawBackend> {
  return rawBackend((upstream) => {
    upstream.send(GREETING);
    upstream.socket.on('end', () => upstream.socket.end());
  });
}

async function greeted(proxy: TestProxy): Promise<RawClient> {
  const client = await RawClient.connect(proxy.port);
  await client.until((t) => t === GREETING);
  return client;
}

test('tunnelIdle: a connection on which nothing moves is reset on both sides', async () => {
  const backend = await greeting();
  const listener = 'timeouts: { tunnelIdle: 60ms }';
  await withProxy(tcpService([backend.port], { listener }), async (proxy) => {
    const client = await greeted(proxy);
    await client.untilClosed();
    const server = await backend.connection(0);
    await server.untilClosed();
    assert.ok(isReset(client) && isReset(server));
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.code, decision.flags, decision.limit, decision.limitValue],
      ['stream-idle', 'SI', 'timeouts.tunnelIdle', 60],
    );
  });
  await backend.close();
});

test('tunnelIdle: a connection whose one side has ended is reset on both sides too', async () => {
  const backend = await rawBackend();
  const listener = 'timeouts: { tunnelIdle: 60ms }';
  await withProxy(tcpService([backend.port], { listener }), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    client.send('question').socket.end();
    assert.equal(await server.untilEnd(), 'question');
    await client.untilClosed();
    assert.equal((await proxy.decision()).flags, 'SI');
    // Node does not look at a socket any more whose end it has read: the reset shows as soon as it writes.
    server.send('answer');
    await server.untilClosed();
    assert.ok(isReset(client) && server.error?.code === 'EPIPE', `${client.error} ${server.error}`);
  });
  await backend.close();
});

test('tunnelIdle: a byte either way keeps it alive', async () => {
  const backend = await rawBackend();
  const listener = 'timeouts: { tunnelIdle: 600ms }';
  await withProxy(tcpService([backend.port], { listener }), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    const begin = performance.now();
    for (let turn = 0; performance.now() - begin < 1_000; turn++) {
      const [from, to] = turn % 2 === 0 ? [client, server] : [server, client];
      const before = to.text.length;
      from.send('.');
      await to.until((t) => t.length > before);
    }
    assert.ok(!client.closed && !server.closed);
    client.destroy();
  });
  await backend.close();
});

test('tunnelMax: busy or not, it ends when it is so old', async () => {
  const backend = await rawBackend();
  const listener = 'timeouts: { tunnelMax: 80ms }';
  await withProxy(tcpService([backend.port], { listener }), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    const sending = setInterval(() => client.send('.'), 1);
    await client.untilClosed();
    clearInterval(sending);
    await server.untilClosed();
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.code, decision.flags, decision.limit, decision.limitValue],
      ['max-duration', 'DT', 'timeouts.tunnelMax', 80],
    );
  });
  await backend.close();
});

test('a drain leaves connections alone until its time is over, then cuts them off and counts them', async () => {
  const backend = await rawBackend();
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    const ended = await pair(proxy, backend);
    const drained = proxy.drain(1_200);
    await until(() => proxy.listenerCounter('db', 'downstreamCxTotal') === 2, 'both are counted');
    ended.client.socket.end();
    ended.server.socket.end();
    await ended.client.untilClosed();
    client.send('still here');
    await server.until((t) => t === 'still here');
    assert.equal(await drained, 1);
    await client.untilClosed();
    await server.untilClosed();
    assert.ok(isReset(client) && isReset(server));
    await proxy.recorded();
    assert.deepEqual(
      proxy.decisions.map(({ code }) => code),
      ['shutting-down'],
    );
  });
  await backend.close();
});

test('a listener that is removed gives its connections the same time', async () => {
  const backend = await rawBackend();
  const drainTimeout = 'drainTimeout: 300ms\n';
  await withProxy(tcpService([backend.port]) + drainTimeout, async (proxy) => {
    const { client, server } = await pair(proxy, backend);
    const elsewhere = tcpService([backend.port]).replace(':0', `:${await freePort()}`);
    const begin = performance.now();
    await proxy.reload(elsewhere + drainTimeout);
    client.send('still here');
    await server.until((t) => t === 'still here');
    await client.untilClosed();
    assert.ok(performance.now() - begin > 200, 'no sooner');
    await server.untilClosed();
    assert.ok(isReset(client) && isReset(server));
    assert.equal((await proxy.decision()).code, 'shutting-down');
  });
  await backend.close();
});

test('maxConnections: a connection holds its slot until it is closed; the next waits, and is then served', async () => {
  const backend = await greeting();
  const service = 'circuitBreaker: { maxConnections: 2 }';
  await withProxy(tcpService([backend.port], { service }), async (proxy) => {
    const first = await greeted(proxy);
    const second = await greeted(proxy);
    const third = await RawClient.connect(proxy.port);
    await until(() => proxy.gauge('a', 'pending') === 1, 'it waits');
    third.send('early');
    assert.equal(backend.accepted.length, 2);
    first.socket.end();
    await third.until((t) => t === GREETING);
    await (await backend.connection(2)).until((t) => t === 'early');
    const slot = proxy.snapshot.services[0]?.slot as number;
    assert.equal(proxy.ledger.readGauge(slot, 0).highWater, 2);
    for (const client of [second, third]) client.destroy();
  });
  await backend.close();
});

test('maxPendingRequests: what may not even wait for a slot is reset at once, as UO', async () => {
  const backend = await greeting();
  const service = 'circuitBreaker: { maxConnections: 1, maxPendingRequests: 1 }';
  await withProxy(tcpService([backend.port], { service }), async (proxy) => {
    const first = await greeted(proxy);
    const waiting = await RawClient.connect(proxy.port);
    await until(() => proxy.gauge('a', 'pending') === 1, 'one waits');
    assert.equal(await refusal(proxy.port), 'ECONNRESET');
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.code, decision.flags, decision.verdict, decision.limit, decision.limitValue],
      ['max-pending', 'UO', 'refused', 'circuitBreaker.maxPendingRequests', 1],
    );
    assert.equal(proxy.counter('a', 'upstreamRqPendingOverflow'), 1);
    waiting.socket.resetAndDestroy();
    await until(() => proxy.gauge('a', 'pending') === 0, 'one that leaves gives up its place');
    first.destroy();
  });
  await backend.close();
});

test('connections go to the endpoint with the fewest, and the counts come back', async () => {
  const backends = await Promise.all([greeting(), greeting()]);
  await withProxy(tcpService(backends.map(({ port }) => port)), async (proxy) => {
    const clients: RawClient[] = [];
    for (let i = 0; i < 20; i++) clients.push(await greeted(proxy));
    assert.deepEqual(
      backends.map(({ accepted }) => accepted.length),
      [10, 10],
    );
    const active = (): number[] =>
      backends.map(({ port }) => proxy.ledger.endpoints.read(proxy.endpointSlot('a', port), 0).active);
    assert.deepEqual(active(), [10, 10]);
    for (const client of clients) client.socket.end();
    await until(() => active().every((count) => count === 0), 'no endpoint has an active connection');
  });
  for (const backend of backends) await backend.close();
});

test('an endpoint that refuses is passed over: the client hears another, and the first is reported', async () => {
  const dead = await freePort();
  const backend = await greeting();
  const service =
    'loadBalancer: { policy: round-robin }, outlierDetection: { consecutiveLocalOriginFailures: 3, baseEjectionTime: 30s }';
  await withProxy(tcpService([dead, backend.port], { service }), async (proxy) => {
    for (let i = 0; i < 12; i++) {
      const client = await greeted(proxy);
      client.socket.end();
      await client.untilClosed();
    }
    await until(() => proxy.active === 0, 'all have ended');
    await proxy.recorded();
    assert.equal(proxy.counter('a', 'upstreamCxConnectFail'), 3, 'then it was ejected');
    const [decision] = proxy.decisions;
    assert.deepEqual([decision?.verdict, decision?.flags], ['recovered', '-']);
    assert.deepEqual(
      decision?.attempts.map(({ outcome, reason }) => [outcome, reason]),
      [
        ['connect-refused', ''],
        ['connected', 'connect-failure'],
      ],
    );
  });
  await backend.close();
});

test('every endpoint refuses: three are tried, each once, and the client is reset, as UF', async () => {
  const ports = await Promise.all([freePort(), freePort(), freePort(), freePort(), freePort()]);
  await withProxy(tcpService(ports), async (proxy) => {
    assert.equal(await refusal(proxy.port), 'ECONNRESET');
    const decision = await proxy.decision();
    assert.deepEqual([decision.code, decision.flags], ['connect-refused', 'UF,URX']);
    assert.equal(new Set(decision.attempts.map(({ endpoint }) => endpoint)).size, 3);
    assert.equal(decision.attempts.length, 3);
  });
});

test('the only endpoint refuses, or does not accept within connectTimeout: UF after one attempt', async () => {
  const full = await unacceptingPort();
  for (const [port, code] of [
    [await freePort(), 'connect-refused'],
    [full.port, 'connect-timeout'],
  ] as const) {
    await withProxy(tcpService([port], { service: 'connectTimeout: 50ms' }), async (proxy) => {
      assert.equal(await refusal(proxy.port, 'anybody there?'), 'ECONNRESET');
      const decision = await proxy.decision();
      assert.deepEqual([decision.code, decision.flags, decision.retryRefused], [code, 'UF', 'no-endpoint']);
      assert.equal(decision.attempts.length, 1);
      // Envoy counts a connection from the dial on.
      const ended = code === 'connect-timeout' ? 'upstreamCxDestroyLocal' : 'upstreamCxDestroyRemote';
      await until(() => proxy.counter('a', ended) === 1, 'its descriptor is closed');
      for (const name of ['upstreamCxTotal', 'upstreamCxDestroy', 'upstreamCxConnectFail'] as const)
        assert.equal(proxy.counter('a', name), 1, name);
    });
  }
  await full.close();
});

test('no endpoint may be used: UH', async () => {
  await withProxy(tcpService([]), async (proxy) => {
    assert.equal(await refusal(proxy.port), 'ECONNRESET');
    const decision = await proxy.decision();
    assert.deepEqual([decision.code, decision.flags, decision.verdict], ['no-endpoint', 'UH', 'refused']);
    assert.equal(proxy.counter('a', 'upstreamCxNoneHealthy'), 1);
  });
});

test('a client that leaves while its connection is being dialled leaves nothing behind', async () => {
  const full = await unacceptingPort();
  await withProxy(tcpService([full.port], { service: 'connectTimeout: 200ms' }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await until(() => proxy.gauge('a', 'pending') === 1, 'it waits');
    client.socket.resetAndDestroy();
    await until(() => proxy.gauge('a', 'pending') === 0, 'it waits no more');
    await until(() => proxy.gauge('a', 'connections') === 0, 'the slot comes back');
    assert.equal((await proxy.decision()).flags, 'DC');
  });
  await full.close();
});

test('requests and bytes share the slots of one service, and an idle connection makes room', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', (chunk: Buffer) => {
      if (chunk.toString().startsWith('GET '))
        upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
    upstream.socket.on('end', () => upstream.socket.end());
  });
  const config = `
listeners:
  - { name: web, address: 127.0.0.1:0 }
  - { name: db, address: 127.0.0.1:0, protocol: tcp }
routes:
  - { name: all, rules: [{ backendRefs: [{ name: a }] }] }
tcpRoutes:
  - { name: db, backendRefs: [{ name: a }] }
services:
  - name: a
    endpoints: [{ address: 127.0.0.1:${backend.port} }]
    circuitBreaker: { maxConnections: 1 }
`;
  await withProxy(config, async (proxy) => {
    const web = await RawClient.connect(proxy.port);
    await web.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n').until((t) => t.endsWith('ok'));
    const db = await RawClient.connect(proxy.ports.get('db') as number);
    const bytes = await backend.connection(1);
    db.send('bytes');
    await bytes.until((t) => t === 'bytes');
    web.text = '';
    web.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => proxy.gauge('a', 'pending') === 1, 'the request waits');
    db.socket.end();
    await web.until((t) => t.endsWith('ok'));
    for (const client of [web, db]) client.destroy();
  });
  await backend.close();
});
