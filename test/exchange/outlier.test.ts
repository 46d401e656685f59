/**
 * Endpoints that keep failing are taken out and come back by one probe. The ledger's own tests know its every
 * transition; these see what clients see of it, over real sockets.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AVAILABLE, attachLedger } from '../../src/ledger/index.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { type HttpBackend, httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';

const GET = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const ONCE = 'retry: { attempts: 0 }';

async function statusOf(proxy: TestProxy): Promise<number> {
  const client = await RawClient.connect(proxy.port);
  const text = await client.send(GET).untilEnd();
  client.destroy();
  return Number(text.slice(9, 12));
}

/** Serial requests until `test` holds; how many of them failed. */
async function failuresUntil(proxy: TestProxy, test: () => boolean): Promise<number> {
  let failures = 0;
  const deadline = Date.now() + 10_000;
  while (!test()) {
    assert.ok(Date.now() < deadline, 'waited in vain');
    if ((await statusOf(proxy)) >= 500) failures++;
  }
  return failures;
}

function service(outlier: string, ...more: string[]): string {
  return [`outlierDetection: { ${outlier} }`, 'loadBalancer: { policy: round-robin }', ...more].join('\n');
}

/** Whether the endpoint takes requests, as another worker would see it. */
function availability(proxy: TestProxy, port: number): number {
  const ledger = attachLedger(proxy.ledger.buffers, 0);
  return ledger.endpoints.availability(proxy.endpointSlot('a', port), ledger.nowMs());
}

async function answering(count: number): Promise<HttpBackend[]> {
  return Promise.all(Array.from({ length: count }, () => httpBackend((_, response) => response.end('ok'))));
}

async function closeAll(backends: readonly { close(): Promise<void> }[]): Promise<void> {
  for (const backend of backends) await backend.close();
}

for (const [name, status, threshold] of [
  ['consecutive5xxErrors, by 500', 500, 'consecutive5xxErrors: 5'],
  ['consecutive5xxErrors, by 503', 503, 'consecutive5xxErrors: 5, consecutiveGatewayErrors: 0'],
  ['consecutiveGatewayErrors, by 502', 502, 'consecutiveGatewayErrors: 5, consecutive5xxErrors: 0'],
] as const) {
  test(`${name}: clients see 5 failures, then one for each probe`, async () => {
    const bad = await httpBackend((_, response) => response.writeHead(status).end());
    const good = await answering(2);
    const config = oneService(
      [bad, ...good].map(({ port }) => port),
      {
        rule: ONCE,
        service: service(`${threshold}, baseEjectionTime: 100ms, maxEjectionTime: 100ms`),
      },
    );
    await withProxy(config, async (proxy) => {
      const ejected = () => availability(proxy, bad.port) !== AVAILABLE.yes;
      assert.equal(await failuresUntil(proxy, ejected), 5);
      assert.equal(bad.requests.length, 5);
      for (let probe = 1; probe <= 3; probe++) {
        const failures = await failuresUntil(proxy, () => bad.requests.length === 5 + probe);
        assert.equal(failures, 1, 'a failed probe costs one failure');
        assert.ok(ejected(), 'and ejects again');
      }
    });
    await closeAll([bad, ...good]);
  });
}

test('an endpoint that is well again comes back by one probe and takes its share', async () => {
  let well = false;
  const bad = await httpBackend((_, response) => response.writeHead(well ? 200 : 500).end());
  const good = await answering(2);
  const config = oneService(
    [bad, ...good].map(({ port }) => port),
    {
      rule: ONCE,
      service: service('consecutive5xxErrors: 3, baseEjectionTime: 80ms'),
    },
  );
  await withProxy(config, async (proxy) => {
    await failuresUntil(proxy, () => availability(proxy, bad.port) !== AVAILABLE.yes);
    well = true;
    assert.equal(await failuresUntil(proxy, () => availability(proxy, bad.port) === AVAILABLE.yes), 0);
    const before = bad.requests.length;
    for (let i = 0; i < 12; i++) assert.equal(await statusOf(proxy), 200);
    assert.equal(bad.requests.length - before, 4);
  });
  await closeAll([bad, ...good]);
});

test('answers below 500 begin the count anew', async () => {
  let turn = 0;
  const mixed = await httpBackend((_, response) => response.writeHead(turn++ % 3 === 2 ? 404 : 500).end());
  const config = oneService([mixed.port, (await answering(1))[0]?.port as number], {
    rule: ONCE,
    service: service('consecutive5xxErrors: 3, baseEjectionTime: 5m'),
  });
  await withProxy(config, async (proxy) => {
    for (let i = 0; i < 40; i++) await statusOf(proxy);
    assert.equal(availability(proxy, mixed.port), AVAILABLE.yes);
  });
  await mixed.close();
});

test('a gateway threshold takes no notice of 500', async () => {
  const bad = await httpBackend((_, response) => response.writeHead(500).end());
  const good = await answering(1);
  const config = oneService(
    [bad, ...good].map(({ port }) => port),
    {
      rule: ONCE,
      service: service('consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, baseEjectionTime: 5m'),
    },
  );
  await withProxy(config, async (proxy) => {
    for (let i = 0; i < 20; i++) await statusOf(proxy);
    assert.equal(bad.requests.length, 10);
  });
  await closeAll([bad, ...good]);
});

for (const [name, fail] of [
  ['closes without an answer', (upstream: RawClient) => upstream.socket.end()],
  ['resets', (upstream: RawClient) => upstream.socket.resetAndDestroy()],
  ['answers nonsense', (upstream: RawClient) => upstream.send('nonsense\r\n\r\n')],
] as const) {
  test(`consecutiveLocalOriginFailures: an endpoint that ${name} is ejected`, async () => {
    const bad = await rawBackend((upstream) => {
      void upstream.until((t) => t.endsWith('\r\n\r\n')).then(() => fail(upstream));
    });
    const good = await answering(2);
    const config = oneService(
      [bad, ...good].map(({ port }) => port),
      {
        rule: ONCE,
        service: service('consecutiveLocalOriginFailures: 3, baseEjectionTime: 5m'),
      },
    );
    await withProxy(config, async (proxy) => {
      const failures = await failuresUntil(proxy, () => availability(proxy, bad.port) !== AVAILABLE.yes);
      assert.equal(failures, 3);
      for (let i = 0; i < 9; i++) assert.equal(await statusOf(proxy), 200);
      assert.equal(bad.accepted.length, 3);
    });
    await closeAll([bad, ...good]);
  });
}

test('consecutiveLocalOriginFailures: an endpoint that refuses connections is ejected', async () => {
  const [gone, ...good] = await answering(3);
  await gone?.close();
  const config = oneService(
    [gone, ...good].map((backend) => backend?.port as number),
    {
      rule: ONCE,
      service: service('consecutiveLocalOriginFailures: 2, baseEjectionTime: 5m'),
    },
  );
  await withProxy(config, async (proxy) => {
    const port = gone?.port as number;
    assert.equal(await failuresUntil(proxy, () => availability(proxy, port) !== AVAILABLE.yes), 2);
    for (let i = 0; i < 9; i++) assert.equal(await statusOf(proxy), 200);
  });
  await closeAll(good);
});

test('a per-try timeout counts as a failure to answer', async () => {
  const silent = await rawBackend();
  const good = await answering(1);
  const config = oneService(
    [silent, ...good].map(({ port }) => port),
    {
      rule: `${ONCE}\ntimeouts: { request: 5s, backendRequest: 30ms }`,
      service: service('consecutiveLocalOriginFailures: 2, baseEjectionTime: 5m'),
    },
  );
  await withProxy(config, async (proxy) => {
    const failures = await failuresUntil(proxy, () => availability(proxy, silent.port) !== AVAILABLE.yes);
    assert.equal(failures, 2);
  });
  await closeAll([silent, ...good]);
});

test('maxEjectionPercent and maxEjectionCount bound how many are out at a time', async () => {
  for (const [limits, most] of [
    ['maxEjectionPercent: 0, maxEjectionCount: 1', 1],
    ['maxEjectionPercent: 50, maxEjectionCount: 1', 2],
    ['maxEjectionPercent: 0, maxEjectionCount: 3', 3],
  ] as const) {
    const bad = await Promise.all(
      Array.from({ length: 4 }, () => httpBackend((_, response) => response.writeHead(500).end())),
    );
    const config = oneService(
      bad.map(({ port }) => port),
      {
        rule: ONCE,
        service: service(`consecutive5xxErrors: 2, baseEjectionTime: 5m, ${limits}`, 'panicThreshold: 0'),
      },
    );
    await withProxy(config, async (proxy) => {
      for (let i = 0; i < 30; i++) await statusOf(proxy);
      const out = bad.filter(({ port }) => availability(proxy, port) !== AVAILABLE.yes);
      assert.equal(out.length, most, limits);
    });
    await closeAll(bad);
  }
});

test('all ejected: 503 UH where panic is off', async () => {
  const bad = await httpBackend((_, response) => response.writeHead(500).end());
  const config = oneService([bad.port], {
    rule: ONCE,
    service: service(
      'consecutive5xxErrors: 2, baseEjectionTime: 5m, maxEjectionPercent: 100',
      'panicThreshold: 0',
    ),
  });
  await withProxy(config, async (proxy) => {
    assert.equal(await failuresUntil(proxy, () => availability(proxy, bad.port) !== AVAILABLE.yes), 2);
    assert.equal(await statusOf(proxy), 503);
    await proxy.recorded();
    const decision = proxy.decisions.at(-1);
    assert.deepEqual([decision?.code, decision?.flags], ['no-endpoint', 'UH']);
    assert.equal(bad.requests.length, 2);
    assert.equal(proxy.counter('a', 'upstreamCxNoneHealthy'), 1);
  });
  await bad.close();
});

test('all ejected: panic sends requests all the same, and counts it', async () => {
  const bad = await httpBackend((_, response) => response.writeHead(500).end());
  const config = oneService([bad.port], {
    rule: ONCE,
    service: service(
      'consecutive5xxErrors: 2, baseEjectionTime: 5m, maxEjectionPercent: 100',
      'panicThreshold: 50',
    ),
  });
  await withProxy(config, async (proxy) => {
    await failuresUntil(proxy, () => availability(proxy, bad.port) !== AVAILABLE.yes);
    await failuresUntil(proxy, () => proxy.counter('a', 'lbHealthyPanic') > 0);
    assert.equal(await statusOf(proxy), 500);
    assert.ok(bad.requests.length > 2);
  });
  await bad.close();
});

test('a probe whose client leaves says nothing: the next request probes again', async () => {
  let how: 'fail' | 'hang' | 'answer' = 'fail';
  const bad = await httpBackend((_, response) => {
    if (how === 'fail') response.writeHead(500).end();
    else if (how === 'answer') response.end('ok');
  });
  const good = await answering(2);
  const config = oneService(
    [bad, ...good].map(({ port }) => port),
    {
      rule: ONCE,
      service: service('consecutive5xxErrors: 2, baseEjectionTime: 50ms, maxEjectionTime: 50ms'),
    },
  );
  await withProxy(config, async (proxy) => {
    await failuresUntil(proxy, () => availability(proxy, bad.port) !== AVAILABLE.yes);
    how = 'hang';
    await until(() => availability(proxy, bad.port) === AVAILABLE.probe, 'the ejection is over');
    const before = bad.requests.length;
    const clients: RawClient[] = [];
    while (bad.requests.length === before) {
      const client = await RawClient.connect(proxy.port);
      clients.push(client.send(GET));
      await until(() => client.ended || bad.requests.length > before, 'an answer or the probe');
    }
    assert.equal(availability(proxy, bad.port), AVAILABLE.no, 'there is one probe at a time');
    for (let i = 0; i < 6; i++) assert.equal(await statusOf(proxy), 200);
    assert.equal(bad.requests.length, before + 1);
    for (const client of clients) client.destroy();
    await until(() => availability(proxy, bad.port) === AVAILABLE.probe, 'the probe is free');
    how = 'answer';
    assert.equal(await failuresUntil(proxy, () => availability(proxy, bad.port) === AVAILABLE.yes), 0);
  });
  await closeAll([bad, ...good]);
});
