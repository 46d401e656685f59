/** Which attempts are made again, and at which endpoint: every condition of a route, and the defaults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, type RawClient, rawBackend } from '../kit/raw.ts';
import { ask, FREELY, OK, request } from './retrying.ts';

/** What the endpoint does with the first request; the second gets 200. */
type First = string | 'close' | 'reset';

interface ConditionCase {
  readonly name: string;
  readonly retry: string;
  readonly first: First;
  readonly method?: string;
  /** Reason of the retry; null: there is none. */
  readonly reason: string | null;
}

const status = (code: number, ...fields: string[]): string =>
  `HTTP/1.1 ${code} X\r\n${fields.map((field) => `${field}\r\n`).join('')}Content-Length: 4\r\n\r\nbusy`;

const CONDITIONS: readonly ConditionCase[] = [
  { name: '5xx: an answer 500', retry: 'retryOn: [5xx]', first: status(500), reason: '5xx' },
  { name: '5xx: an answer 599', retry: 'retryOn: [5xx]', first: status(599), reason: '5xx' },
  { name: '5xx: no answer', retry: 'retryOn: [5xx]', first: 'close', reason: '5xx' },
  { name: '5xx: not 404', retry: 'retryOn: [5xx]', first: status(404), reason: null },
  {
    name: 'gateway-error: 502',
    retry: 'retryOn: [gateway-error]',
    first: status(502),
    reason: 'gateway-error',
  },
  {
    name: 'gateway-error: 504',
    retry: 'retryOn: [gateway-error]',
    first: status(504),
    reason: 'gateway-error',
  },
  { name: 'gateway-error: not 500', retry: 'retryOn: [gateway-error]', first: status(500), reason: null },
  { name: 'reset: closed', retry: 'retryOn: [reset]', first: 'close', reason: 'reset' },
  { name: 'reset: reset', retry: 'retryOn: [reset]', first: 'reset', reason: 'reset' },
  { name: 'reset: not an answer', retry: 'retryOn: [reset]', first: status(503), reason: null },
  {
    name: 'reset-before-request: not once it is sent',
    retry: 'retryOn: [reset-before-request]',
    first: 'close',
    reason: null,
  },
  {
    name: 'connect-failure: not once connected',
    retry: 'retryOn: [connect-failure]',
    first: 'reset',
    reason: null,
  },
  {
    name: 'retriable-4xx: 409',
    retry: 'retryOn: [retriable-4xx]',
    first: status(409),
    reason: 'retriable-4xx',
  },
  { name: 'retriable-4xx: not 429', retry: 'retryOn: [retriable-4xx]', first: status(429), reason: null },
  { name: 'a listed code', retry: 'codes: [429]', first: status(429), reason: 'code-429' },
  { name: 'only a listed code', retry: 'codes: [429]', first: status(503), reason: null },
  {
    name: 'a header that is there',
    retry: 'headers: [{ name: X-Again }]',
    first: status(200, 'x-again: 1'),
    reason: 'retriable-headers',
  },
  {
    name: 'a header with another value',
    retry: 'headers: [{ name: X-Again, value: yes }]',
    first: status(200, 'x-again: no'),
    reason: null,
  },
  {
    name: 'envoy-ratelimited',
    retry: 'retryOn: [envoy-ratelimited]',
    first: status(429, 'x-envoy-ratelimited: true'),
    reason: 'envoy-ratelimited',
  },
  {
    name: 'a rate-limited answer without the condition',
    retry: 'codes: [429]',
    first: status(429, 'x-envoy-ratelimited: true'),
    reason: null,
  },
  { name: 'by default: GET after 503', retry: '', first: status(503), method: 'GET', reason: 'code-503' },
  { name: 'by default: PUT after 503', retry: '', first: status(503), method: 'PUT', reason: 'code-503' },
  { name: 'by default: GET not after 500', retry: '', first: status(500), method: 'GET', reason: null },
  { name: 'by default: GET not after 502', retry: '', first: status(502), method: 'GET', reason: null },
  { name: 'by default: GET without an answer', retry: '', first: 'close', method: 'GET', reason: 'reset' },
  {
    name: 'by default: DELETE without an answer',
    retry: '',
    first: 'reset',
    method: 'DELETE',
    reason: 'reset',
  },
  { name: 'by default: POST not after 503', retry: '', first: status(503), reason: null },
  { name: 'by default: POST not without an answer', retry: '', first: 'close', reason: null },
  { name: 'by default: PATCH not after 503', retry: '', first: status(503), method: 'PATCH', reason: null },
  { name: 'switched off', retry: 'attempts: 0', first: status(503), method: 'GET', reason: null },
];

for (const { name, retry, first, method = 'POST', reason } of CONDITIONS) {
  test(`retried or not: ${name}`, async () => {
    let count = 0;
    const backend = await rawBackend((upstream) => {
      upstream.socket.on('data', () => {
        if (count++ > 0) upstream.send(OK);
        else if (first === 'close') upstream.socket.end();
        else if (first === 'reset') upstream.socket.resetAndDestroy();
        else upstream.send(first);
      });
    });
    const rule = `retry: { ${[retry, 'backoff: 1ms'].filter((part) => part !== '').join(', ')} }`;
    await withProxy(oneService([backend.port], { rule }), async (proxy) => {
      const text = await ask(proxy, request(method, method === 'GET' ? '' : 'body'));
      if (reason === null) {
        assert.equal(count, 1, 'one attempt');
        assert.doesNotMatch(text, /ok$/);
      } else {
        assert.match(text, /^HTTP\/1\.1 200 [\s\S]*ok$/);
        const decision = await proxy.decision();
        assert.deepEqual(
          [decision.verdict, decision.attempts.length, decision.attempts[1]?.reason],
          ['recovered', 2, reason],
        );
        assert.equal(proxy.counter('a', 'upstreamRqRetry'), 1);
        assert.equal(proxy.counter('a', 'upstreamRqRetrySuccess'), 1);
      }
    });
    await backend.close();
  });
}

test('a kept-alive connection that closes as the request is sent: GET again, POST is 503 UC', async () => {
  for (const method of ['GET', 'POST']) {
    const backend = await rawBackend((upstream, index) => {
      let served = 0;
      upstream.socket.on('data', () => {
        if (index === 0 && served++ > 0) upstream.socket.end();
        else upstream.send(OK);
      });
    });
    await withProxy(oneService([backend.port], { rule: 'retry: { backoff: 1ms }' }), async (proxy) => {
      await ask(proxy, request('GET'));
      const text = await ask(proxy, request(method));
      const decision = await proxy.decision();
      assert.equal(decision.attempts[0]?.outcome, 'closed-before-response');
      assert.equal(decision.attempts[0]?.reusedConnection, true);
      if (method === 'GET') {
        assert.match(text, /ok$/);
        assert.deepEqual([decision.verdict, decision.attempts[1]?.reason], ['recovered', 'stale-connection']);
      } else {
        assert.match(text, /^HTTP\/1\.1 503 /);
        assert.deepEqual([decision.flags, decision.attempts.length], ['UC', 1]);
      }
    });
    await backend.close();
  }
});

test('where one of two endpoints refuses connections, every request finds the other', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  const refusing = await freePort();
  const config = oneService([refusing, backend.port], {
    rule: 'retry: { attempts: 1, backoff: 1ms }',
    service: FREELY,
  });
  await withProxy(config, async (proxy) => {
    for (let i = 0; i < 40; i++) assert.match(await ask(proxy, request('POST', 'body')), /^HTTP\/1\.1 200 /);
    await proxy.recorded();
    assert.ok(proxy.decisions.length > 0, 'some met the refusing endpoint first');
    for (const { attempts, verdict } of proxy.decisions) {
      assert.deepEqual(
        [verdict, attempts.map(({ endpoint, outcome }) => [endpoint, outcome])],
        [
          'recovered',
          [
            [`127.0.0.1:${refusing}`, 'connect-refused'],
            [`127.0.0.1:${backend.port}`, '200'],
          ],
        ],
      );
    }
    assert.equal(backend.requests.length, 40);
  });
  await backend.close();
});

test('an endpoint that answered badly is avoided by the retry, whatever the policy would pick', async () => {
  for (const policy of ['least-request', 'round-robin', 'random']) {
    const bad = await httpBackend((_, response) => response.writeHead(503).end('bad'));
    const good = await httpBackend((_, response) => response.end('ok'));
    const config = oneService([bad.port, good.port], {
      rule: 'retry: { attempts: 1, backoff: 1ms }',
      service: `${FREELY}\nloadBalancer: { policy: ${policy} }`,
    });
    await withProxy(config, async (proxy) => {
      for (let i = 0; i < 20; i++) assert.match(await ask(proxy, request('GET')), /^HTTP\/1\.1 200 /);
      assert.equal(good.requests.length, 20);
    });
    await bad.close();
    await good.close();
  }
});

test('an attempt that outlasts timeouts.backendRequest is made again at another endpoint, for GET', async () => {
  const silent = await rawBackend();
  const backend = await httpBackend((_, response) => response.end('ok'));
  const config = oneService([silent.port, backend.port], {
    rule: 'timeouts: { request: 10s, backendRequest: 50ms }\nretry: { attempts: 1, backoff: 1ms }',
    service: `${FREELY}\nloadBalancer: { policy: round-robin }`,
  });
  await withProxy(config, async (proxy) => {
    while (proxy.decisions.length === 0) {
      assert.match(await ask(proxy, request('GET')), /ok$/);
      await proxy.recorded();
    }
    assert.deepEqual(
      proxy.decisions[0]?.attempts.map(({ outcome, flags, reason }) => [outcome, flags, reason]),
      [
        ['per-try-timeout', 'UT', ''],
        ['200', '-', 'per-try-timeout'],
      ],
    );
    assert.equal(proxy.counter('a', 'upstreamRqPerTryTimeout'), 1);
    await (silent.accepted[0] as RawClient).untilEnd();
  });
  await silent.close();
  await backend.close();
});

test('a POST that outlasts timeouts.backendRequest is 504 UT', async () => {
  const silent = await rawBackend();
  const rule = 'timeouts: { request: 10s, backendRequest: 50ms }';
  await withProxy(oneService([silent.port], { rule }), async (proxy) => {
    assert.match(await ask(proxy, request('POST', 'body')), /^HTTP\/1\.1 504 [\s\S]*per-try-timeout/);
    const decision = await proxy.decision();
    assert.deepEqual([decision.flags, decision.attempts.length], ['UT', 1]);
  });
  await silent.close();
});
