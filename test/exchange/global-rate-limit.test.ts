/** Leave from a rate limit service that is written with grpc-js, through the whole proxy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, RawClient } from '../kit/raw.ts';
import { type Answered, type Asked, encodeResponse, type Rls, startRls } from '../kit/rls.ts';
import { ask } from './echo.ts';
import { headStatus, makeCall } from './grpc-calls.ts';

interface Parts {
  /** Of the answer; long, because a test may be kept waiting. */
  readonly timeout?: string;
  readonly limit?: string;
  readonly rule?: string;
  readonly rls?: string;
  readonly listener?: string;
}

const DESCRIPTORS = 'descriptors: [{ actions: [{ genericKey: { descriptorValue: shop } }] }]';

/** Runs with one service and a rate limit service. */
async function withRls(
  answer: (asked: Asked) => Answered | Buffer | 'hold' | number,
  use: (proxy: TestProxy, rls: Rls, hits: () => number) => Promise<void>,
  parts: Parts = {},
): Promise<void> {
  let hits = 0;
  const backend = await httpBackend(async (request, response) => {
    hits++;
    let bytes = 0;
    for await (const chunk of request) bytes += (chunk as Buffer).length;
    response.setHeader('x-seen', JSON.stringify(request.headers));
    response.end(String(bytes));
  });
  const rls = await startRls(answer);
  const yaml = `
listeners: [{ name: web, address: 127.0.0.1:0${parts.listener ?? ''} }]
routes:
  - name: all
    rules:
      - backendRefs: [{ name: a }]
        globalRateLimit: { service: rls, domain: shop, timeout: ${parts.timeout ?? '5s'}, ${(parts.limit ?? DESCRIPTORS).replaceAll('\n', ' ')} }
${parts.rule ?? ''}
services:
  - { name: a, endpoints: [{ address: 127.0.0.1:${backend.port} }] }
  - { name: rls, protocol: grpc, endpoints: [{ address: 127.0.0.1:${rls.port} }]${parts.rls ?? ''} }
tracing: { sampling: 100%, serviceName: edge }
`;
  await withProxy(yaml, (proxy) => use(proxy, rls, () => hits)).finally(() => rls.close());
  await backend.close();
}

const ok = (): Answered => ({ code: 'OK' });
const field = (answer: { headers: ReadonlyMap<string, string> }, name: string): string | undefined =>
  answer.headers.get(name);
/** What the backend was sent. */
const sent = (answer: { headers: ReadonlyMap<string, string> }): Record<string, string> =>
  JSON.parse(field(answer, 'x-seen') ?? '{}') as Record<string, string>;

test('the service is asked with the descriptors that the actions make, and its OK lets the request through', async () => {
  const limit = `descriptors: [
    { actions: [{ genericKey: { descriptorValue: v } }, { genericKey: { descriptorKey: k, descriptorValue: ü } }, { destinationCluster: {} }, { sourceCluster: {} }] },
    { actions: [{ remoteAddress: {} }] },
    { actions: [{ requestHeaders: { headerName: X-User, descriptorKey: user } }] },
    { actions: [{ requestHeaders: { headerName: x-absent, descriptorKey: absent, skipIfAbsent: true } }, { genericKey: { descriptorValue: on } }] },
    { actions: [{ requestHeaders: { headerName: x-absent, descriptorKey: absent } }, { genericKey: { descriptorValue: off } }] },
    { actions: [{ headerValueMatch: { descriptorValue: gold, headers: [{ name: x-user, value: ann }, { name: x-plan, type: RegularExpression, value: g.* }] } }] },
    { actions: [{ headerValueMatch: { descriptorValue: not, expectMatch: false, headers: [{ name: x-user, value: ann }] } }] } ]`;
  await withRls(
    ok,
    async (proxy, rls, hits) => {
      const answer = await ask(proxy, '/', 'X-User: ann', 'X-Plan: gold', 'X-Forwarded-For: 9.9.9.9');
      assert.equal(answer.status, 200);
      assert.deepEqual(rls.asked[0]?.descriptors, [
        ['generic_key=v', 'k=ü', 'destination_cluster=a', 'source_cluster=edge'],
        ['remote_address=9.9.9.9'],
        ['user=ann'],
        ['generic_key=on'],
        ['header_match=gold'],
      ]);
      assert.equal(rls.asked[0]?.domain, 'shop');
      await ask(proxy, '/', 'X-User: bob');
      assert.deepEqual(rls.asked[1]?.descriptors.slice(2), [
        ['user=bob'],
        ['generic_key=on'],
        ['header_match=not'],
      ]);
      assert.equal(hits(), 2);
      assert.equal(proxy.counter('a', 'ratelimitOk'), 2);
      assert.equal(proxy.counter('rls', 'upstreamRqTotal'), 2);
      assert.equal(proxy.counter('rls', 'upstreamRq2xx'), 2);
    },
    { limit, listener: ', trustedHops: 1' },
  );
});

test('a request for which no action finds anything is not asked about', async () => {
  await withRls(
    ok,
    async (proxy, rls) => {
      assert.equal((await ask(proxy, '/')).status, 200);
      assert.equal(rls.asked.length, 0);
    },
    {
      limit: 'descriptors: [{ actions: [{ requestHeaders: { headerName: x-user, descriptorKey: user } }] }]',
    },
  );
});

test('over the limit: 429, when to come back, and everything says so', async () => {
  const answer: Answered = {
    code: 'OVER_LIMIT',
    statuses: [
      { code: 'OK', limit: { requests: 100, unit: 3 }, remaining: 40, resetSeconds: 1_800 },
      {
        code: 'OVER_LIMIT',
        limit: { requests: 5, unit: 2, name: 'per-user' },
        resetSeconds: 41,
        resetNanos: 1,
      },
    ],
    responseHeaders: [['X-Quota', 'none']],
  };
  const limit = `headers: true, descriptors: [{ actions: [{ genericKey: { descriptorValue: v } }] },
    { actions: [{ requestHeaders: { headerName: x-user, descriptorKey: user } }] }]`;
  await withRls(
    () => answer,
    async (proxy, _rls, hits) => {
      const refused = await ask(proxy, '/', 'X-User: ann');
      assert.equal(refused.status, 429);
      assert.match(refused.body, /rate-limited \(RL\)/);
      const told = [
        'x-envoy-ratelimited',
        'retry-after',
        'x-quota',
        'x-ratelimit-limit',
        'x-ratelimit-remaining',
      ];
      assert.deepEqual(
        [...told, 'x-ratelimit-reset'].map((name) => field(refused, name)),
        ['true', '42', 'none', '5, 100;w=3600, 5;w=60;name="per-user"', '0', '41'],
      );
      const decision = await proxy.decision();
      const { verdict, code, flags, limit: name, limitValue, observedValue, detail } = decision;
      assert.deepEqual(
        { verdict, code, flags, name, limitValue, observedValue, detail },
        {
          verdict: 'refused',
          code: 'rate-limited',
          flags: 'RL',
          name: 'globalRateLimit shop',
          limitValue: 5,
          observedValue: 0,
          detail: 'user=ann',
        },
      );
      assert.equal(hits(), 0);
      assert.equal(proxy.counter('a', 'ratelimitOverLimit'), 1);
      const span = proxy.spans.find(({ name: each }) => each.endsWith('ShouldRateLimit'));
      const server = proxy.spans.find(({ kind }) => kind === 'server');
      assert.equal(span?.attributes.ratelimit_status, 'over_limit');
      assert.equal(span?.parentSpanId, server?.spanId);
    },
    { limit },
  );
});

test('fields that the service adds reach endpoint and client; what frames messages does not', async () => {
  const answer: Answered = {
    code: 'OK',
    statuses: [{ code: 'OK', limit: { requests: 10, unit: 1 }, remaining: 9, resetSeconds: 1 }],
    requestHeaders: [
      ['X-Limit-Class', 'gold'],
      ['Content-Length', '99'],
      ['bad name', 'x'],
    ],
    responseHeaders: [
      ['x-remaining', '9'],
      ['transfer-encoding', 'chunked'],
      ['x-split', 'a\r\nb: c'],
    ],
  };
  await withRls(
    () => answer,
    async (proxy) => {
      const passed = await ask(proxy, '/');
      assert.equal(passed.status, 200);
      assert.equal(sent(passed)['x-limit-class'], 'gold');
      assert.equal(sent(passed)['content-length'], undefined);
      assert.equal(field(passed, 'x-remaining'), '9');
      assert.equal(field(passed, 'x-split'), 'a  b: c');
      assert.equal(field(passed, 'x-ratelimit-limit'), '10, 10;w=1');
      assert.equal(field(passed, 'x-ratelimit-remaining'), '9');
      assert.equal(field(passed, 'x-envoy-ratelimited'), undefined);
    },
    { limit: `headers: true, ${DESCRIPTORS}` },
  );
});

test('the service writes the body of the refusal; a gRPC call gets it as its message', async () => {
  const answer: Answered = {
    code: 'OVER_LIMIT',
    body: '{"error":"slow down"}',
    responseHeaders: [['content-type', 'application/json']],
  };
  await withRls(
    () => answer,
    async (proxy) => {
      const refused = await ask(proxy, '/');
      assert.deepEqual(
        [refused.status, refused.body, field(refused, 'content-type')],
        [420, '{"error":"slow down"}', 'application/json'],
      );
      const call = await makeCall(proxy);
      assert.deepEqual(headStatus(call), [200, '8', '']);
      assert.equal(field(call, 'grpc-message'), '{"error":"slow down"}');
      await proxy.recorded();
      assert.deepEqual(
        proxy.decisions.map(({ flags }) => flags),
        ['RL', 'RL'],
      );
    },
    { limit: `httpStatus: 420, ${DESCRIPTORS}` },
  );
});

test('an over-limit that is not enforced lets the request through, and is recorded', async () => {
  await withRls(
    () => ({ code: 'OVER_LIMIT' }),
    async (proxy) => {
      const passed = await ask(proxy, '/');
      assert.equal(passed.status, 200);
      const { verdict, shadowedBy } = await proxy.decision();
      assert.deepEqual([verdict, shadowedBy], ['shadowed', 'globalRateLimit shop']);
      assert.equal(proxy.counter('a', 'ratelimitOverLimit'), 1);
    },
    { limit: `enforcedPercentage: 0, ${DESCRIPTORS}` },
  );
});

const UNANSWERED: readonly {
  readonly name: string;
  readonly answer: () => Answered | Buffer | 'hold' | number;
  readonly detail: RegExp;
  readonly parts?: Parts;
}[] = [
  { name: 'a status', answer: () => status.UNAVAILABLE, detail: /upstream-protocol, UNAVAILABLE$/ },
  { name: 'a body that is no message', answer: () => Buffer.from([0xff]), detail: /no RateLimitResponse$/ },
  {
    name: 'too large an answer',
    answer: () => encodeResponse({ code: 'OK', body: 'a'.repeat(100_000) }),
    detail: /an answer above 65536 bytes$/,
  },
  {
    name: 'silence',
    answer: () => 'hold',
    // A server of grpc-js ends the call too, by its grpc-timeout.
    detail: /(per-try-timeout, 30 ms|DEADLINE_EXCEEDED)$/,
    parts: { timeout: '30ms' },
  },
  {
    name: 'a full circuit breaker',
    answer: ok,
    detail: /max-pending$/,
    parts: { rls: ', circuitBreaker: { maxPendingRequests: 0 }' },
  },
];

for (const { name, answer, detail, parts } of UNANSWERED) {
  const yaml = (more: string): Parts => ({ ...parts, limit: `${DESCRIPTORS}${more}` });

  test(`${name} in place of an answer: the request passes, and it is said why`, async () => {
    await withRls(
      answer,
      async (proxy, _rls, hits) => {
        assert.equal((await ask(proxy, '/')).status, 200);
        const { verdict, failedOpen, code } = await proxy.decision();
        assert.deepEqual([verdict, code], ['failed-open', '']);
        assert.match(failedOpen, detail);
        assert.equal(hits(), 1);
        assert.equal(proxy.counter('a', 'ratelimitError'), 1);
        assert.equal(proxy.counter('a', 'ratelimitFailureModeAllowed'), 1);
      },
      yaml(''),
    );
  });

  test(`${name} in place of an answer, with failureModeDeny: the request is refused`, async () => {
    await withRls(
      answer,
      async (proxy, _rls, hits) => {
        assert.equal((await ask(proxy, '/')).status, 503);
        const { verdict, code, flags, detail: seen } = await proxy.decision();
        assert.deepEqual([verdict, code, flags], ['refused', 'rate-limit-service', 'RLSE']);
        assert.match(seen, detail);
        assert.equal(hits(), 0);
        assert.equal(proxy.counter('a', 'ratelimitFailureModeAllowed'), 0);
      },
      yaml(', failureModeDeny: true, statusOnError: 503'),
    );
  });
}

test('while the request waits its body waits too, within its limits, and all of it is sent on', async () => {
  let letGo: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  // The service answers the second question at once and the first one never: the first passes by its timeout.
  let questions = 0;
  await withRls(
    () => {
      letGo();
      return questions++ === 0 ? 'hold' : { code: 'OK' };
    },
    async (proxy) => {
      const size = 3_000_000;
      const client = await RawClient.connect(proxy.port);
      client.send(`POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
      client.send('a'.repeat(size));
      await asked;
      const text = await client.untilEnd();
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.ok(text.endsWith(`\r\n\r\n${size}`), text.slice(-200));
    },
    { timeout: '100ms' },
  );
});

test('a client that leaves while its request waits takes the question back', async () => {
  await withRls(
    () => 'hold',
    async (proxy, rls, hits) => {
      const client = await RawClient.connect(proxy.port);
      client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await until(() => rls.asked.length === 1, 'the question');
      client.destroy();
      await until(() => rls.cancelled() === 1, 'the question taken back');
      const { code } = await proxy.decision();
      assert.equal(code, 'downstream-gone');
      assert.equal(hits(), 0);
      assert.equal(proxy.gauge('rls', 'requests'), 0);
    },
  );
});

test('time at the gate counts against no timeout of the route', async () => {
  await withRls(
    () => 'hold',
    async (proxy) => {
      assert.equal((await ask(proxy, '/')).status, 200);
    },
    {
      timeout: '1200ms',
      rule: '        timeouts: { request: 1s }\n',
    },
  );
});

test('the node’s own limits are asked first, and what they refuse is not asked about', async () => {
  await withRls(
    ok,
    async (proxy, rls) => {
      assert.equal((await ask(proxy, '/')).status, 200);
      assert.equal((await ask(proxy, '/')).status, 429);
      assert.equal(rls.asked.length, 1);
    },
    { rule: '        rateLimits: [{ name: l, requests: 1, interval: 1h }]\n' },
  );
});

test('a header that is no UTF-8 is told in UTF-8, so that the service can read the question', async () => {
  await withRls(
    ok,
    async (proxy, rls) => {
      const client = await RawClient.connect(proxy.port);
      for (const value of ['caf\xc3\xa9', 'caf\xe9']) {
        client.send(`GET / HTTP/1.1\r\nHost: x\r\nX-User: ${value}\r\n\r\n`);
        await until(() => rls.asked.at(-1)?.descriptors[0]?.[0] === 'user=café', value);
        rls.asked.length = 0;
      }
      client.destroy();
    },
    {
      limit: 'descriptors: [{ actions: [{ requestHeaders: { headerName: x-user, descriptorKey: user } }] }]',
    },
  );
});
