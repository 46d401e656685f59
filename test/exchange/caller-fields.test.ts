/** Envoy's fields through the whole proxy: who may steer it by them, and what it says by them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { ask, seen, withEcho } from './echo.ts';
import { ask as askRaw, FREELY, OK, request } from './retrying.ts';

const TRUSTING = 'trustedCallers: [127.0.0.0/8]';
const BUSY = 'HTTP/1.1 418 Teapot\r\nContent-Length: 4\r\n\r\nbusy';

/** Answers 418 `times`, then 200. */
async function busyBackend(times: number) {
  let count = 0;
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => {
      if (!upstream.text.endsWith('\r\n\r\n')) return;
      upstream.text = '';
      upstream.send(count++ < times ? BUSY : OK);
    });
    upstream.socket.on('end', () => upstream.socket.end());
  });
  return Object.assign(backend, { count: () => count });
}

const RETRY_418 = ['x-envoy-retry-on: retriable-status-codes', 'x-envoy-retriable-status-codes: 418'];

describe('who may steer', () => {
  for (const [who, listener, attempts] of [
    ['a trusted caller', TRUSTING, 4],
    ['anybody else', '', 1],
    ['one outside of the ranges', 'trustedCallers: [10.0.0.0/8]', 1],
  ] as const) {
    test(`${who}: retries`, async () => {
      const backend = await busyBackend(3);
      const config = oneService([backend.port], { listener, service: FREELY });
      await withProxy(config, async (proxy) => {
        const wire = request('POST', '', ...RETRY_418, 'x-envoy-max-retries: 3');
        const text = await askRaw(proxy, wire);
        assert.match(text, attempts === 4 ? /^HTTP\/1.1 200 / : /^HTTP\/1.1 418 /);
        assert.equal(backend.count(), attempts);
        if (attempts === 4) assert.equal((await proxy.decision()).attempts[1]?.reason, 'code-418');
      });
      await backend.close();
    });
  }

  test('who passes on what a stranger sent is no trusted caller', async () => {
    await withEcho({ listener: TRUSTING }, async (proxy) => {
      const stranger = await seen(proxy, '/', 'x-forwarded-for: 203.0.113.7', 'x-envoy-own: 1');
      assert.deepEqual(
        [
          stranger.headers['x-envoy-own'],
          stranger.headers['x-envoy-internal'],
          stranger.headers['x-envoy-external-address'],
        ],
        [undefined, undefined, '127.0.0.1'],
      );
      const inside = await seen(proxy, '/', 'x-forwarded-for: 127.0.0.9', 'x-envoy-own: 1');
      assert.deepEqual(
        [
          inside.headers['x-envoy-own'],
          inside.headers['x-envoy-internal'],
          inside.headers['x-envoy-external-address'],
        ],
        ['1', 'true', undefined],
      );
    });
  });

  test('with trusted proxies in front the client that they name is told', async () => {
    await withEcho({ listener: `${TRUSTING}\ntrustedHops: 1` }, async (proxy) => {
      const { headers } = await seen(proxy, '/', 'x-forwarded-for: 198.51.100.1, 203.0.113.7');
      assert.equal(headers['x-envoy-external-address'], '203.0.113.7');
    });
  });

  test('without trusted callers nothing of the kind is passed on or added', async () => {
    await withEcho({}, async (proxy) => {
      const { headers } = await seen(
        proxy,
        '/',
        'X-Envoy-Internal: true',
        'x-envoy-external-address: 1.2.3.4',
        'X-ENVOY-A: b',
      );
      assert.deepEqual(
        Object.keys(headers)
          .filter((name) => name.startsWith('x-envoy-'))
          .sort(),
        ['x-envoy-attempt-count', 'x-envoy-expected-rq-timeout-ms'],
      );
    });
  });
});

test('a timeout of a trusted caller ends its request, and the decision says whose it was', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port], { listener: TRUSTING }), async (proxy) => {
    const text = await askRaw(proxy, request('GET', '', 'x-envoy-upstream-rq-timeout-ms: 400'));
    assert.match(text, /^HTTP\/1.1 504 /);
    const { limit, limitValue, flags } = await proxy.decision();
    assert.deepEqual([limit, limitValue, flags], ['x-envoy-upstream-rq-timeout-ms', 400, 'UT']);
    assert.match(backend.accepted[0]?.text ?? '', /x-envoy-expected-rq-timeout-ms: (400|[0-9]{1,3})\r\n/);
    assert.doesNotMatch(backend.accepted[0]?.text ?? '', /upstream-rq-timeout/);
  });
  await backend.close();
});

test('a per-try timeout of a trusted caller: another endpoint gets what is left', async () => {
  let first: RawClient | null = null;
  const backend = await rawBackend((upstream, index) => {
    if (index === 0) first = upstream;
    else upstream.socket.on('data', () => upstream.send(OK));
  });
  await withProxy(oneService([backend.port], { listener: TRUSTING }), async (proxy) => {
    const text = await askRaw(proxy, request('GET', '', 'x-envoy-upstream-rq-per-try-timeout-ms: 300'));
    assert.match(text, /^HTTP\/1.1 200 /);
    const { attempts } = await proxy.decision();
    assert.deepEqual([attempts[0]?.outcome, attempts[1]?.reason], ['per-try-timeout', 'per-try-timeout']);
    assert.match((first as RawClient | null)?.text ?? '', /expected-rq-timeout-ms: 300\r\n/);
  });
  await backend.close();
});

test('hedging that a trusted caller asks for: the slow attempt goes on, and may still win', async () => {
  const backend = await rawBackend((upstream, index) => {
    if (index === 1) void backend.connection(0).then((slow) => slow.send(OK));
    upstream.socket.on('end', () => upstream.socket.end());
  });
  await withProxy(oneService([backend.port], { listener: TRUSTING }), async (proxy) => {
    const wire = request(
      'GET',
      '',
      'x-envoy-upstream-rq-per-try-timeout-ms: 300',
      'x-envoy-hedge-on-per-try-timeout: true',
    );
    assert.match(await askRaw(proxy, wire), /^HTTP\/1.1 200 /);
    assert.equal((await proxy.decision()).attempts[0]?.outcome, '200');
  });
  await backend.close();
});

describe('what is said', () => {
  test('how long it took, to the client; how long it may take, to the endpoint', async () => {
    const backend = await httpBackend((incoming, response) => {
      setTimeout(() => response.end(String(incoming.headers['x-envoy-expected-rq-timeout-ms'])), 30);
    });
    await withProxy(oneService([backend.port]), async (proxy) => {
      const { headers, body } = await ask(proxy, '/');
      const ms = Number(headers.get('x-envoy-upstream-service-time'));
      assert.ok(ms >= 29 && ms < 5_000, `${ms} ms`);
      assert.match(body, /^1[0-5][0-9]{3}$/);
    });
    await backend.close();
  });

  test('the path as it was before it was rewritten', async () => {
    const rule =
      'filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }]\nmatches: [{ path: { value: /old } }]';
    await withEcho({ rule }, async (proxy) => {
      const { headers, url } = await seen(proxy, '/old/a?b=c', 'x-envoy-original-path: /forged');
      assert.deepEqual([url, headers['x-envoy-original-path']], ['/new/a?b=c', '/old/a?b=c']);
    });
  });

  test('the attempts, to the endpoint and where it is asked for to the client', async () => {
    const backend = await busyBackend(1);
    const listener = 'proxyHeaders: { attemptCountInResponse: true }';
    const config = oneService([backend.port], { listener, rule: 'retry: { codes: [418] }', service: FREELY });
    await withProxy(config, async (proxy) => {
      assert.match(await askRaw(proxy, request('GET')), /x-envoy-attempt-count: 2\r\n/);
      await backend.close();
      const failed = await askRaw(proxy, request('GET'));
      assert.match(failed, /^HTTP\/1.1 503 /);
      assert.match(failed, /x-envoy-attempt-count: 3\r\n/);
    });
  });

  test('nothing, where all is switched off', async () => {
    const listener = 'proxyHeaders: { envoyDebugHeaders: false, attemptCount: false }';
    await withEcho({ listener }, async (proxy) => {
      const { headers, body } = await ask(proxy, '/');
      assert.doesNotMatch(body, /x-envoy/);
      assert.deepEqual(
        [...headers.keys()].filter((name) => name.startsWith('x-envoy')),
        [],
      );
    });
  });

  test('that a full breaker refused it', async () => {
    const backend = await rawBackend();
    const config = oneService([backend.port], { service: 'circuitBreaker: { maxRequests: 1 }' });
    await withProxy(config, async (proxy) => {
      const first = (await RawClient.connect(proxy.port)).send(request('GET'));
      await until(() => proxy.gauge('a', 'requests') === 1, 'the first');
      const refused = await ask(proxy, '/');
      assert.deepEqual([refused.status, refused.headers.get('x-envoy-overloaded')], [503, 'true']);
      first.destroy();
      await until(() => proxy.active === 0, 'its end');
    });
    await backend.close();
  });
});

test('a span is called what its caller says, else what its answer says, and neither is passed on', async () => {
  const backend = await httpBackend((incoming, response) => {
    response.setHeader('x-envoy-decorator-operation', 'cart.add');
    response.end(String(incoming.headers['x-envoy-decorator-operation']));
  });
  const config = `${oneService([backend.port], { listener: TRUSTING })}tracing: { sampling: 100% }\n`;
  await withProxy(config, async (proxy) => {
    const named = await ask(proxy, '/', 'x-envoy-decorator-operation: checkout');
    const plain = await ask(proxy, '/');
    assert.deepEqual(
      [
        named.body,
        named.headers.has('x-envoy-decorator-operation'),
        plain.headers.has('x-envoy-decorator-operation'),
      ],
      [named.body, false, false],
    );
    assert.match(named.body, /undefined/);
    await until(() => {
      void proxy.recorded();
      return proxy.spans.length === 4;
    }, 'spans');
    assert.deepEqual(
      proxy.spans.filter(({ kind }) => kind === 'server').map(({ name }) => name),
      ['checkout', 'cart.add'],
    );
  });
  await backend.close();
});
