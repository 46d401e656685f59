/** Circuit breakers met by one worker: who is refused, who waits, in what order, and that every unit comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GAUGE } from '../../src/ledger/index.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const get = (path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

function complete(text: string): boolean {
  return text.endsWith('\r\n\r\n');
}

async function asking(proxy: TestProxy, path = '/'): Promise<RawClient> {
  return (await RawClient.connect(proxy.port)).send(get(path));
}

function reading(proxy: TestProxy, name: keyof typeof GAUGE) {
  const slot = proxy.snapshot.services.find((service) => service.name === 'a')?.slot as number;
  return proxy.ledger.readGauge(slot, GAUGE[name]);
}

test('maxRequests: the endpoint sees so many at once and never one more; the others are refused at once', async () => {
  let now = 0;
  let most = 0;
  const release = Promise.withResolvers<void>();
  const backend = await httpBackend((_, response) => {
    most = Math.max(most, ++now);
    void release.promise.then(() => {
      now--;
      response.end('ok');
    });
  });
  const config = oneService([backend.port], { service: 'circuitBreaker: { maxRequests: 3 }' });
  await withProxy(config, async (proxy) => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => asking(proxy)));
    const refused = () => clients.filter(({ text }) => text.includes('503 max-requests (UO)'));
    await until(() => refused().length === 17, 'seventeen are refused while three are held');
    release.resolve();
    await until(() => clients.every(({ text }) => text !== ''), 'all are answered');
    assert.equal(clients.filter(({ text }) => text.startsWith('HTTP/1.1 200 ')).length, 3);
    assert.equal(most, 3);
    await proxy.recorded();
    assert.equal(proxy.decisions.length, 17);
    for (const decision of proxy.decisions) {
      assert.deepEqual(
        [decision.flags, decision.verdict, decision.limit, decision.limitValue, decision.observedValue],
        ['UO', 'refused', 'circuitBreaker.maxRequests', 3, 3],
      );
    }
    const { active, highWater, opened, overflow } = reading(proxy, 'requests');
    assert.deepEqual(
      { active, highWater, opened, overflow },
      { active: 0, highWater: 3, opened: 1, overflow: 17 },
    );
    assert.equal(proxy.counter('a', 'upstreamRqPendingOverflow'), 17);

    const next = await asking(proxy);
    await next.until((t) => t.startsWith('HTTP/1.1 200 '));
    for (const client of [...clients, next]) client.destroy();
  });
  await backend.close();
});

test('maxConnections: requests beyond it wait, and are served in the order they came', async () => {
  const order: string[] = [];
  const release = Promise.withResolvers<void>();
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', (chunk: Buffer) => {
      order.push(/GET (\S+)/.exec(chunk.toString('latin1'))?.[1] ?? '');
      void release.promise.then(() => upstream.send(OK));
    });
  });
  const config = oneService([backend.port], { service: 'circuitBreaker: { maxConnections: 1 }' });
  await withProxy(config, async (proxy) => {
    const clients: RawClient[] = [];
    for (let i = 0; i < 30; i++) {
      clients.push(await asking(proxy, `/${i}`));
      await until(() => proxy.active === i + 1, 'it is taken');
    }
    await until(() => reading(proxy, 'pending').active === 29, 'all but the first wait');
    release.resolve();
    await Promise.all(clients.map((client) => client.until((t) => t.endsWith('ok'))));
    assert.deepEqual(
      order,
      Array.from({ length: 30 }, (_, i) => `/${i}`),
    );
    assert.equal(backend.accepted.length, 1);
    assert.equal(reading(proxy, 'connections').highWater, 1);
    assert.equal(reading(proxy, 'pending').active, 0);
    for (const client of clients) client.destroy();
  });
  await backend.close();
});

test('maxConnections 1 and two endpoints: a connection is closed for one who waits for the other endpoint', async () => {
  const backends = [await answering(), await answering()];
  const config = oneService(
    backends.map(({ port }) => port),
    { service: 'circuitBreaker: { maxConnections: 1 }\nloadBalancer: { policy: round-robin }' },
  );
  await withProxy(config, async (proxy) => {
    for (let i = 0; i < 12; i++) {
      const client = await asking(proxy);
      await client.until((t) => t.includes('200 OK') && t.endsWith('ok'));
      client.destroy();
    }
    assert.ok(
      backends.every(({ accepted }) => accepted.length > 0),
      'both were used',
    );
    assert.equal(reading(proxy, 'connections').highWater, 1);
  });
  for (const backend of backends) await backend.close();
});

test('maxConnections 1 and two endpoints: those who wait go where the connection is', async () => {
  const held: RawClient[] = [];
  const hold = (upstream: RawClient): void => {
    upstream.socket.on('data', () => held.push(upstream));
  };
  const backends = [await rawBackend(hold), await rawBackend(hold)];
  const config = oneService(
    backends.map(({ port }) => port),
    { service: 'circuitBreaker: { maxConnections: 1 }\nloadBalancer: { policy: round-robin }' },
  );
  await withProxy(config, async (proxy) => {
    const clients = await Promise.all(Array.from({ length: 6 }, () => asking(proxy)));
    await until(() => reading(proxy, 'pending').active === 5 && held.length === 1, 'five wait');
    for (let i = 0; i < 6; i++) {
      await until(() => held.length === i + 1, 'the next one is sent');
      (held[i] as RawClient).send(OK);
    }
    await Promise.all(clients.map((client) => client.until((t) => t.endsWith('ok'))));
    assert.equal(
      backends.reduce((sum, { accepted }) => sum + accepted.length, 0),
      1,
    );
    for (const client of clients) client.destroy();
  });
  for (const backend of backends) await backend.close();
});

test('maxPendingRequests: one more is refused at once, with the limit and what was observed', async () => {
  const backend = await rawBackend();
  const config = oneService([backend.port], {
    service: 'circuitBreaker: { maxConnections: 1, maxPendingRequests: 2 }',
  });
  await withProxy(config, async (proxy) => {
    const clients = [await asking(proxy)];
    await (await backend.connection(0)).until(complete);
    for (let waiting = 1; waiting <= 2; waiting++) {
      clients.push(await asking(proxy));
      await until(() => reading(proxy, 'pending').active === waiting, 'it waits');
    }
    const refused = await asking(proxy);
    await refused.until((t) => t.includes('503 max-pending (UO)'));
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.flags, decision.limit, decision.limitValue, decision.observedValue],
      ['UO', 'circuitBreaker.maxPendingRequests', 2, 2],
    );
    const pending = reading(proxy, 'pending');
    assert.deepEqual([pending.highWater, pending.opened, pending.overflow], [2, 1, 1]);

    const upstream = backend.accepted[0] as RawClient;
    for (let i = 1; i <= 3; i++) {
      await upstream.until((t) => t.split('GET ').length === i + 1);
      upstream.send(OK);
    }
    await Promise.all(clients.map((client) => client.until((t) => t.endsWith('ok'))));
    for (const client of [...clients, refused]) client.destroy();
  });
  await backend.close();
});

test('an overflow is never retried, whatever the route says', async () => {
  const backend = await rawBackend();
  const config = oneService([backend.port], {
    rule: 'retry: { attempts: 5, retryOn: [5xx, reset, connect-failure, reset-before-request], codes: [503] }',
    service: 'circuitBreaker: { maxRequests: 1 }',
  });
  await withProxy(config, async (proxy) => {
    const first = await asking(proxy);
    await (await backend.connection(0)).until(complete);
    const second = await asking(proxy);
    await second.until((t) => t.includes('max-requests'));
    const decision = await proxy.decision();
    assert.deepEqual([decision.attempts.length, decision.retryRefused], [0, '']);
    first.destroy();
    second.destroy();
  });
  await backend.close();
});

test('a client that leaves the queue gives its place back, and the others keep theirs', async () => {
  const backend = await rawBackend();
  const config = oneService([backend.port], {
    service: 'circuitBreaker: { maxConnections: 1, maxPendingRequests: 2 }',
  });
  await withProxy(config, async (proxy) => {
    const first = await asking(proxy, '/first');
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    const leaving = await asking(proxy, '/leaving');
    await until(() => reading(proxy, 'pending').active === 1, 'it waits');
    const staying = await asking(proxy, '/staying');
    await until(() => reading(proxy, 'pending').active === 2, 'it waits');
    leaving.destroy();
    await until(() => reading(proxy, 'pending').active === 1, 'the place comes back');
    assert.equal((await proxy.decision()).code, 'downstream-gone');
    const late = await asking(proxy, '/late');
    await until(() => reading(proxy, 'pending').active === 2, 'it is taken');
    for (const path of ['/first', '/staying', '/late']) {
      await upstream.until((t) => t.includes(`GET ${path} `) && complete(t));
      upstream.send(OK);
    }
    await Promise.all([first, staying, late].map((client) => client.until((t) => t.endsWith('ok'))));
    assert.doesNotMatch(upstream.text, /leaving/);
    for (const client of [first, staying, late]) client.destroy();
  });
  await backend.close();
});

test('the last one who waits may leave: what comes free stays for the next', async () => {
  const backend = await rawBackend();
  const config = oneService([backend.port], { service: 'circuitBreaker: { maxConnections: 1 }' });
  await withProxy(config, async (proxy) => {
    const first = await asking(proxy);
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    const leaving = await asking(proxy);
    await until(() => reading(proxy, 'pending').active === 1, 'it waits');
    leaving.destroy();
    await until(() => reading(proxy, 'pending').active === 0, 'the place comes back');
    upstream.send(OK);
    await first.until((t) => t.endsWith('ok'));
    upstream.text = '';
    first.text = '';
    first.send(get());
    await upstream.until(complete);
    upstream.send(OK);
    await first.until((t) => t.endsWith('ok'));
    assert.equal(backend.accepted.length, 1);
    first.destroy();
  });
  await backend.close();
});

test('a request timeout ends the wait in the queue, and blames no endpoint', async () => {
  const backend = await rawBackend();
  const config = oneService([backend.port], {
    rule: 'timeouts: { request: 60ms }',
    service: [
      'circuitBreaker: { maxConnections: 1 }',
      'outlierDetection: { consecutiveLocalOriginFailures: 1, consecutiveGatewayErrors: 1, maxEjectionPercent: 100 }',
      'panicThreshold: 0',
    ].join('\n'),
  }).replace(
    'rules:\n',
    'rules:\n      - { matches: [{ path: { value: /held } }], backendRefs: [{ name: a }], timeouts: { request: 0s } }\n',
  );
  await withProxy(config, async (proxy) => {
    const held = await asking(proxy, '/held');
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    const waiting = await Promise.all([asking(proxy), asking(proxy), asking(proxy)]);
    await Promise.all(waiting.map((client) => client.until((t) => t.includes('504 request-timeout'))));
    assert.equal(reading(proxy, 'pending').active, 0);
    upstream.send(OK);
    await held.until((t) => t.endsWith('ok'));
    upstream.text = '';
    const next = await asking(proxy, '/held');
    await upstream.until(complete);
    upstream.send(OK);
    await next.until((t) => t.endsWith('ok'));
    for (const client of [held, next, ...waiting]) client.destroy();
  });
  await backend.close();
});

test('every unit comes back, however requests end', async () => {
  let turn = 0;
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => {
      const how = turn++ % 6;
      if (how === 0) upstream.send(OK);
      else if (how === 1) upstream.socket.end();
      else if (how === 2) upstream.socket.resetAndDestroy();
      else if (how === 3) upstream.send('nonsense\r\n\r\n');
      else if (how === 4) upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf').socket.end();
      // 5: silence, until the request times out
    });
  });
  const config = oneService([backend.port], {
    rule: 'timeouts: { request: 60ms }\nretry: { attempts: 1, backoff: 1ms }',
    service: 'circuitBreaker: { maxConnections: 2, maxRequests: 4, maxPendingRequests: 2 }',
  });
  await withProxy(config, async (proxy) => {
    for (let round = 0; round < 10; round++) {
      const clients = await Promise.all(Array.from({ length: 8 }, () => asking(proxy)));
      (clients[round % 8] as RawClient).destroy();
      await Promise.all(
        clients.map((client) => until(() => client.text !== '' || client.closed, 'an answer')),
      );
      for (const client of clients) client.destroy();
      await until(() => proxy.active === 0, 'all have ended');
    }
    assert.ok(reading(proxy, 'connections').highWater <= 2);
    assert.ok(reading(proxy, 'requests').highWater <= 4);
    assert.ok(reading(proxy, 'pending').highWater <= 2);
    assert.deepEqual([reading(proxy, 'requests').active, reading(proxy, 'pending').active], [0, 0]);
  });
  await backend.close();
});

function answering() {
  return rawBackend((upstream) => {
    upstream.socket.on('data', () => upstream.send(OK));
    upstream.socket.on('end', () => upstream.socket.end());
  });
}
