/** Rate limits of listeners, rules and services, through the whole proxy. Intervals are so long that no token comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, type TestProxy, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService } from '../kit/raw.ts';
import { type Answer, ask } from './echo.ts';
import { headStatus, makeCall } from './grpc-calls.ts';

interface Counted {
  readonly port: number;
  readonly hits: () => number;
  readonly close: () => Promise<void>;
}

async function counting(): Promise<Counted> {
  let hits = 0;
  const { port, close } = await httpBackend((_incoming, response) => {
    hits++;
    response.end('ok');
  });
  return { port, hits: () => hits, close };
}

/** Runs with one service; `limits` are those of the rule. */
async function withLimits(
  limits: string,
  use: (proxy: TestProxy, backend: Counted) => Promise<void>,
  parts: { listener?: string; rule?: string; service?: string } = {},
): Promise<void> {
  const backend = await counting();
  const rule = `${limits === '' ? '' : `rateLimits: [${limits}]\n`}${parts.rule ?? ''}`;
  await withProxy(oneService([backend.port], { ...parts, rule }), (proxy) => use(proxy, backend));
  await backend.close();
}

async function statuses(proxy: TestProxy, times: number, ...fields: string[]): Promise<number[]> {
  const seen: number[] = [];
  for (let i = 0; i < times; i++) seen.push((await ask(proxy, '/', ...fields)).status);
  return seen;
}

const field = (answer: Answer, name: string): string | undefined => answer.headers.get(name);

test('over the limit: 429, what is left and when to come back, and everything says so', async () => {
  await withLimits('{ name: few, requests: 6, interval: 1h, burst: 2 }', async (proxy, backend) => {
    assert.deepEqual(await statuses(proxy, 2), [200, 200]);
    const refused = await ask(proxy, '/');
    assert.equal(refused.status, 429);
    assert.match(refused.body, /rate-limited \(RL\)/);
    assert.equal(field(refused, 'x-envoy-ratelimited'), 'true');
    assert.equal(field(refused, 'ratelimit-policy'), '"few";q=2;w=1200');
    assert.equal(field(refused, 'ratelimit'), '"few";r=0;t=1200');
    const retryAfter = Number(field(refused, 'retry-after'));
    assert.ok(retryAfter > 590 && retryAfter <= 600, `Retry-After: ${retryAfter}`);
    const decision = await proxy.decision();
    const { verdict, code, flags, status, limit, limitValue, observedValue, detail, cure } = decision;
    assert.deepEqual(
      { verdict, code, flags, status, limit, limitValue, observedValue, detail },
      {
        verdict: 'refused',
        code: 'rate-limited',
        flags: 'RL',
        status: 429,
        limit: 'rateLimits routes/all/0/few',
        limitValue: 2,
        observedValue: 0,
        detail: 'routes/all/0/few',
      },
    );
    assert.match(cure, /Retry-After/);
    assert.equal(backend.hits(), 2);
    const counted = (['enabled', 'ok', 'rateLimited', 'enforced'] as const).map((name) =>
      proxy.limitCounter('routes/all/0/few', name),
    );
    assert.deepEqual(counted, [3, 2, 1, 1]);
  });
});

test('allowed answers tell what is left where the limit says so, and say nothing otherwise', async () => {
  const limits =
    '{ name: a, requests: 5, interval: 1h, headers: true }, { name: b, requests: 9, interval: 1h }';
  await withLimits(limits, async (proxy) => {
    const first = await ask(proxy, '/');
    assert.equal(field(first, 'ratelimit-policy'), '"a";q=5;w=3600');
    assert.match(field(first, 'ratelimit') ?? '', /^"a";r=4;t=(720|719)$/);
    assert.equal(field(first, 'x-envoy-ratelimited'), undefined);
    assert.equal(field(first, 'retry-after'), undefined);
  });
});

test('each value of a header has a bucket of its own; requests without it share one', async () => {
  const limit = '{ name: user, requests: 2, interval: 1h, per: { httpHeaderName: X-User } }';
  await withLimits(limit, async (proxy) => {
    assert.deepEqual(await statuses(proxy, 3, 'X-User: ann'), [200, 200, 429]);
    assert.deepEqual(await statuses(proxy, 3, 'x-user: bob'), [200, 200, 429]);
    assert.deepEqual(await statuses(proxy, 3), [200, 200, 429]);
    assert.deepEqual(await statuses(proxy, 1, 'X-User: ann'), [429]);
    await proxy.recorded();
    const details = proxy.decisions.map(({ detail }) => detail);
    assert.deepEqual(details, [
      'routes/all/0/user of ann',
      'routes/all/0/user of bob',
      'routes/all/0/user of requests without a key',
      'routes/all/0/user of ann',
    ]);
  });
});

test('cookies and query parameters are keys', async () => {
  const limits = `{ name: c, requests: 1, interval: 1h, per: { httpCookieName: id } },
    { name: q, requests: 1, interval: 1h, per: { httpQueryParameterName: key } }`;
  await withLimits(limits, async (proxy) => {
    const get = async (target: string, cookie: string): Promise<number> =>
      (await ask(proxy, target, `Cookie: id=${cookie}`)).status;
    assert.equal(await get('/?key=1', 'a'), 200);
    assert.equal(await get('/?key=1', 'b'), 429);
    assert.equal(await get('/?key=2', 'a'), 429);
    // The refusals took nothing of the other limit.
    assert.equal(await get('/?key=2', 'b'), 200);
  });
});

test('a source is the client that trusted proxies name; a workload is who has connected', async () => {
  const limit = (per: string): string => `{ name: l, requests: 1, interval: 1h, per: { ${per}: true } }`;
  const from = (address: string): string => `X-Forwarded-For: ${address}`;
  const listener = 'trustedHops: 1';
  await withLimits(
    limit('useSourceIp'),
    async (proxy) => {
      assert.deepEqual(await statuses(proxy, 2, from('9.9.9.9')), [200, 429]);
      assert.deepEqual(await statuses(proxy, 2, from('9.9.9.8')), [200, 429]);
    },
    { listener },
  );
  await withLimits(
    limit('workload'),
    async (proxy) => {
      assert.deepEqual(await statuses(proxy, 1, from('9.9.9.9')), [200]);
      assert.deepEqual(await statuses(proxy, 1, from('9.9.9.8')), [429]);
    },
    { listener },
  );
  await withLimits(limit('useSourceIp'), async (proxy) => {
    assert.deepEqual(await statuses(proxy, 1, from('9.9.9.9')), [200]);
    assert.deepEqual(await statuses(proxy, 1, from('9.9.9.8')), [429]);
  });
});

test('limits of listener, rule and service hold together, and a refusal uses up none of the others', async () => {
  const limit = (name: string, requests: number, per = ''): string =>
    `rateLimits: [{ name: ${name}, requests: ${requests}, interval: 1h${per} }]`;
  await withLimits(
    '{ name: user, requests: 1, interval: 1h, per: { httpHeaderName: x-user } }',
    async (proxy) => {
      assert.deepEqual(await statuses(proxy, 20, 'x-user: ann'), [200, ...Array(19).fill(429)]);
      assert.deepEqual(await statuses(proxy, 1, 'x-user: bob'), [200]);
      assert.deepEqual(await statuses(proxy, 1, 'x-user: cid'), [200]);
      // The service's three are gone, and the listener has the fourth.
      assert.deepEqual(await statuses(proxy, 2, 'x-user: dan'), [429, 429]);
      await proxy.recorded();
      assert.equal(proxy.decisions.at(-1)?.limit, 'rateLimits services/a/all');
      assert.equal(proxy.limitCounter('listeners/web/all', 'ok'), 3);
    },
    { listener: limit('all', 4), service: limit('all', 3) },
  );
});

test('a request counts once, however often it is retried', async () => {
  let asked = 0;
  const flaky = await httpBackend((_incoming, response) => {
    response.statusCode = asked++ % 2 === 0 ? 503 : 200;
    response.end();
  });
  const rule =
    'rateLimits: [{ name: two, requests: 2, interval: 1h }]\nretry: { attempts: 3, codes: [503], backoff: 1ms }';
  await withProxy(oneService([flaky.port], { rule }), async (proxy) => {
    assert.deepEqual(await statuses(proxy, 3), [200, 200, 429]);
    assert.equal(asked, 4);
  });
  await flaky.close();
});

test('a limit that is not enforced lets everything through, and records whom it would have refused', async () => {
  const limit = '{ name: shadow, requests: 1, interval: 1h, enforcedPercentage: 0, headers: true }';
  await withLimits(limit, async (proxy, backend) => {
    assert.deepEqual(await statuses(proxy, 3), [200, 200, 200]);
    assert.equal(backend.hits(), 3);
    await proxy.recorded();
    const [first, second, ...more] = proxy.decisions;
    assert.equal(more.length, 0);
    for (const decision of [first, second]) {
      assert.deepEqual(
        [decision?.verdict, decision?.shadowedBy, decision?.flags, decision?.status],
        ['shadowed', 'routes/all/0/shadow', '-', 200],
      );
    }
    const counted = (['enabled', 'ok', 'rateLimited', 'enforced'] as const).map((name) =>
      proxy.limitCounter('routes/all/0/shadow', name),
    );
    assert.deepEqual(counted, [3, 1, 2, 0]);
  });
});

test('a limit has the status that it states', async () => {
  await withLimits('{ name: l, requests: 1, interval: 1h, httpStatus: 503 }', async (proxy) => {
    assert.deepEqual(await statuses(proxy, 2), [200, 503]);
    const { flags, status } = await proxy.decision();
    assert.deepEqual([flags, status], ['RL', 503]);
  });
});

test('a gRPC call is told RESOURCE_EXHAUSTED, with the same fields', async () => {
  await withLimits('{ name: l, requests: 1, interval: 1h }', async (proxy) => {
    await makeCall(proxy);
    const refused = await makeCall(proxy);
    assert.deepEqual(headStatus(refused).slice(0, 2), [200, '8']);
    assert.match(field(refused, 'grpc-message') ?? '', /rate-limited/);
    assert.equal(field(refused, 'x-envoy-ratelimited'), 'true');
    assert.equal(field(refused, 'ratelimit'), '"l";r=0;t=3600');
    await proxy.recorded();
    assert.equal(proxy.decisions.at(-1)?.grpcStatus, 'RESOURCE_EXHAUSTED');
  });
});

test('a reload leaves the bucket of a limit that says the same; another rate begins full', async () => {
  const backend = await counting();
  const config = (limit: string): string => oneService([backend.port], { rule: `rateLimits: [${limit}]` });
  await withProxy(config('{ name: l, requests: 2, interval: 1h }'), async (proxy) => {
    const reload = (limit: string): Promise<void> =>
      proxy.reload(config(limit).replace('127.0.0.1:0', `127.0.0.1:${proxy.port}`));
    assert.deepEqual(await statuses(proxy, 1), [200]);
    await reload('{ name: l, requests: 2, interval: 1h, httpStatus: 503 }');
    assert.deepEqual(await statuses(proxy, 2), [200, 503]);
    await reload('{ name: l, requests: 3, interval: 1h }');
    assert.deepEqual(await statuses(proxy, 4), [200, 200, 200, 429]);
    await reload('{ name: other, requests: 1, interval: 1h, per: { useSourceIp: true } }');
    assert.deepEqual(await statuses(proxy, 2), [200, 429]);
  });
  await backend.close();
});

test('the next proxy up the chain may retry a refusal (envoy-ratelimited)', async () => {
  const backend = await counting();
  const inner = await freePort();
  const yaml = `
listeners:
  - { name: outer, address: 127.0.0.1:0 }
  - { name: inner, address: 127.0.0.1:${inner}, rateLimits: [{ name: l, requests: 1, interval: 1h }] }
routes:
  - name: outer
    parentRefs: [{ sectionName: outer }]
    rules: [{ backendRefs: [{ name: next }], retry: { attempts: 2, retryOn: [envoy-ratelimited], backoff: 1ms, resetHeaders: [] } }]
  - { name: inner, parentRefs: [{ sectionName: inner }], rules: [{ backendRefs: [{ name: a }] }] }
services:
  - { name: next, endpoints: [{ address: 127.0.0.1:${inner} }] }
  - { name: a, endpoints: [{ address: 127.0.0.1:${backend.port} }] }
`;
  await withProxy(yaml, async (proxy) => {
    assert.deepEqual(await statuses(proxy, 2), [200, 429]);
    await proxy.recorded();
    const outer = proxy.decisions.filter(({ listener }) => listener === 'outer');
    assert.deepEqual(
      outer.map(({ attempts }) => attempts.map(({ reason, outcome }) => `${reason} ${outcome}`)),
      [[' 429', 'envoy-ratelimited 429', 'envoy-ratelimited 429']],
    );
  });
  await backend.close();
});

test('a body that is being sent when its request is refused does no harm to the next request', async () => {
  await withLimits('{ name: l, requests: 1, interval: 1h }', async (proxy) => {
    assert.deepEqual(await statuses(proxy, 1), [200]);
    const answer = await fetch(`http://127.0.0.1:${proxy.port}/`, {
      method: 'POST',
      body: 'a'.repeat(300_000),
    });
    assert.equal(answer.status, 429);
    await answer.text();
  });
});
