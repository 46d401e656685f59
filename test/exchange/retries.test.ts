/** Which attempts are made again, where, after what wait, and what forbids it: over real sockets, with its record. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend, unacceptingPort } from '../kit/raw.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const FAILED = 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy';
/** A budget that never stands in the way. */
const FREELY = 'retryBudget: { percent: 100, minRetryRate: { count: 1000 } }';

function request(method: string, body = '', ...fields: string[]): string {
  const length = method === 'GET' ? [] : [`Content-Length: ${body.length}`];
  return `${method} / HTTP/1.1\r\n${['Host: x', ...length, ...fields].join('\r\n')}\r\n\r\n${body}`;
}

/** Sends one request on a connection of its own and returns the whole answer, its chunks joined. */
async function ask(proxy: TestProxy, wire: string): Promise<string> {
  const client = await RawClient.connect(proxy.port);
  const text = await client.send(wire.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')).untilEnd();
  client.destroy();
  return text.replace(/(?<=\r\n)[0-9a-f]+\r\n([^\r]*)\r\n0\r\n\r\n$/, '$1');
}

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

test('Retry-After is honoured, and the wait shows in the record', async () => {
  const backend = await httpBackend((_, response, index) => {
    if (index === 0) response.writeHead(503, { 'retry-after': '1' }).end();
    else response.end('ok');
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { backoff: 1ms }' }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /ok$/);
    const { attempts } = await proxy.decision();
    const wait = attempts[1]?.backoffMs ?? 0;
    assert.ok(wait >= 1_000 && wait < 1_500, `${wait} ms is from the window of 1 to 1.5 s`);
    assert.equal(proxy.counter('a', 'upstreamRqRetryBackoffRatelimited'), 1);
    assert.equal(proxy.counter('a', 'upstreamRqRetryBackoffExponential'), 0);
  });
  await backend.close();
});

test('a reset header of the route is read as a point in time', async () => {
  const backend = await httpBackend((_, response, index) => {
    const next = Math.floor(Date.now() / 1_000) + 1;
    if (index === 0) response.writeHead(503, { 'x-reset': String(next) }).end();
    else response.end('ok');
  });
  const rule = 'retry: { backoff: 1ms, resetHeaders: [{ name: X-Reset, format: UNIX_TIMESTAMP }] }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /ok$/);
    assert.equal((await proxy.decision()).attempts.length, 2);
    assert.equal(proxy.counter('a', 'upstreamRqRetryBackoffRatelimited'), 1);
  });
  await backend.close();
});

test('a Retry-After above maxResetInterval gives way to the exponential wait', async () => {
  const backend = await httpBackend((_, response, index) => {
    if (index === 0) response.writeHead(503, { 'retry-after': '400' }).end();
    else response.end('ok');
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { backoff: 1ms }' }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /ok$/);
    assert.ok(((await proxy.decision()).attempts[1]?.backoffMs ?? 99) <= 1);
    assert.equal(proxy.counter('a', 'upstreamRqRetryBackoffExponential'), 1);
  });
  await backend.close();
});

test('a Retry-After that leaves no time passes the answer on', async () => {
  const backend = await httpBackend((_, response) => {
    response.writeHead(503, { 'retry-after': '20' }).end('come back later');
  });
  await withProxy(oneService([backend.port], { rule: 'timeouts: { request: 2s }' }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /^HTTP\/1\.1 503 [\s\S]*come back later$/);
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.retryRefused, decision.attempts.length, decision.verdict],
      ['timeout', 1, 'upstream-error'],
    );
    assert.match(decision.cure, /timeouts\.request left no time/);
  });
  await backend.close();
});

test('when the attempts are used up the last answer is passed on, with URX', async () => {
  const backend = await httpBackend((_, response, index) => {
    response.writeHead(503, { 'x-try': String(index) }).end(`try ${index}`);
  });
  await withProxy(
    oneService([backend.port], { rule: 'retry: { attempts: 2, backoff: 1ms }' }),
    async (proxy) => {
      assert.match(await ask(proxy, request('GET')), /^HTTP\/1\.1 503 [\s\S]*x-try: 2[\s\S]*try 2$/);
      const decision = await proxy.decision();
      assert.deepEqual(
        [decision.flags, decision.retryRefused, decision.attempts.length, decision.code],
        ['URX', 'attempts', 3, ''],
      );
      assert.equal(proxy.counter('a', 'upstreamRqRetryLimitExceeded'), 1);
      assert.equal(proxy.counter('a', 'upstreamRqRetry'), 2);
      assert.equal(proxy.counter('a', 'upstreamRqRetrySuccess'), 0);
    },
  );
  await backend.close();
});

test('when every attempt fails without an answer the last failure is told, with URX', async () => {
  const refusing = await freePort();
  await withProxy(oneService([refusing], { rule: 'retry: { attempts: 2, backoff: 1ms }' }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /^HTTP\/1\.1 503 [\s\S]*connect-refused \(UF\)/);
    const decision = await proxy.decision();
    assert.deepEqual([decision.flags, decision.attempts.length], ['UF,URX', 3]);
    assert.deepEqual(
      decision.attempts.map(({ reason }) => reason),
      ['', 'connect-failure', 'connect-failure'],
    );
  });
});

test('a body up to replayBytes is sent again whole; a longer one loses its retry, counted', async () => {
  for (const [size, again] of [
    [1_000, true],
    [1_001, false],
  ] as const) {
    const bodies: string[] = [];
    const backend = await httpBackend((received, response, index) => {
      let body = '';
      received.setEncoding('latin1').on('data', (text: string) => {
        body += text;
      });
      received.on('end', () => {
        bodies.push(body);
        if (index === 0) response.writeHead(503).end('busy');
        else response.end('ok');
      });
    });
    const rule = 'retry: { codes: [503], backoff: 1ms, replayBytes: 1000 }';
    await withProxy(oneService([backend.port], { rule }), async (proxy) => {
      const body = Array.from({ length: size }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
      const text = await ask(proxy, request('POST', body));
      const decision = await proxy.decision();
      if (again) {
        assert.match(text, /ok$/);
        assert.deepEqual(bodies, [body, body]);
      } else {
        assert.match(text, /busy$/);
        assert.deepEqual(bodies, [body]);
        assert.deepEqual([decision.retryRefused, decision.attempts.length], ['body', 1]);
      }
      assert.equal(proxy.counter('a', 'retryOrShadowAbandoned'), again ? 0 : 1);
    });
    await backend.close();
  }
});

test('trailers of a replayed body are sent again too', async () => {
  const backend = await rawBackend((upstream) => {
    void (async () => {
      await upstream.until((t) => t.endsWith('0\r\nx-sum: 3\r\n\r\n'));
      upstream.send(
        backend.accepted.length === 1 ? `${FAILED.replace('\r\n', '\r\nConnection: close\r\n')}` : OK,
      );
    })();
  });
  const rule = 'retry: { codes: [503], backoff: 1ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    client.send('3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n');
    await client.until((t) => t.endsWith('ok'));
    client.destroy();
  });
  await backend.close();
});

test('a body that is still coming when its retry begins arrives whole', async () => {
  const backend = await rawBackend((upstream, index) => {
    void (async () => {
      if (index === 0) await upstream.until((t) => t.endsWith('first\r\n')).then(() => upstream.send(FAILED));
      else await upstream.until((t) => t.endsWith('0\r\n\r\n')).then(() => upstream.send(OK));
    })();
  });
  const rule = 'retry: { codes: [503], backoff: 1ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n');
    const second = await backend.connection(1);
    await second.until((t) => t.includes('first'));
    client.send('6\r\nsecond\r\n0\r\n\r\n');
    await client.until((t) => t.endsWith('ok'));
    assert.match(second.text, /5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n$/);
    await (backend.accepted[0] as RawClient).untilEnd();
    client.destroy();
  });
  await backend.close();
});

test('an endpoint that refuses connections costs a large body nothing: none of it was sent', async () => {
  const size = 200_000;
  const backend = await httpBackend((received, response) => {
    let bytes = 0;
    received.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    received.on('end', () => response.end(`got ${bytes}`));
  });
  const refusing = await freePort();
  const config = oneService([refusing, backend.port], {
    rule: 'retry: { attempts: 1, backoff: 1ms }',
    service: `${FREELY}\nloadBalancer: { policy: round-robin }`,
  });
  await withProxy(config, async (proxy) => {
    while (proxy.decisions.length === 0) {
      assert.match(await ask(proxy, request('POST', 'a'.repeat(size))), new RegExp(`got ${size}$`));
      await proxy.recorded();
    }
    assert.equal(proxy.decisions[0]?.attempts[0]?.outcome, 'connect-refused');
  });
  await backend.close();
});

test('the budget refuses retries beyond its share, and the record says so', async () => {
  const backend = await httpBackend((_, response) => response.writeHead(503).end('busy'));
  const config = oneService([backend.port], {
    rule: 'retry: { attempts: 1, backoff: 1ms }',
    service: 'retryBudget: { percent: 20, interval: 1m, minRetryRate: { count: 0 } }',
  });
  await withProxy(config, async (proxy) => {
    for (let i = 0; i < 10; i++)
      assert.match(await ask(proxy, request('GET')), /^HTTP\/1\.1 503 [\s\S]*busy$/);
    await proxy.recorded();
    const refused = proxy.decisions.filter((decision) => decision.retryRefused === 'budget');
    assert.deepEqual([refused.length, backend.requests.length], [8, 12]);
    for (const decision of refused) {
      assert.deepEqual([decision.flags, decision.attempts.length], ['UO', 1]);
      assert.match(decision.cure, /retry budget/);
    }
    assert.equal(proxy.counter('a', 'upstreamRqRetryOverflow'), 8);
  });
  await backend.close();
});

test('without a budget maxRetries bounds the retries under way, and each gives its unit back', async () => {
  const backend = await httpBackend((received, response, index) => {
    if (received.headers['x-hold'] === '1' && index > 0) return; // held until the client leaves
    response.writeHead(503).end('busy');
  });
  const config = oneService([backend.port], {
    rule: 'retry: { attempts: 1, backoff: 1ms }',
    service: 'retryBudget: off\ncircuitBreaker: { maxRetries: 1 }',
  });
  await withProxy(config, async (proxy) => {
    const holding = await RawClient.connect(proxy.port);
    holding.send(request('GET', '', 'X-Hold: 1'));
    await until(() => backend.requests.length === 2, 'the retry is under way');
    assert.equal(proxy.gauge('a', 'retries'), 1);
    assert.match(await ask(proxy, request('GET')), /^HTTP\/1\.1 503 [\s\S]*busy$/);
    const refused = await proxy.decision();
    assert.deepEqual([refused.retryRefused, refused.flags], ['max-retries', 'UO']);
    holding.destroy();
    await until(() => proxy.gauge('a', 'retries') === 0, 'the unit comes back');
    await ask(proxy, request('GET'));
    assert.equal(backend.requests.length, 5, 'the next one may retry again');
  });
  await backend.close();
});

test('a unit of maxRetries held during the wait comes back when the client leaves', async () => {
  const backend = await httpBackend((_, response) => response.writeHead(503, { 'retry-after': '30' }).end());
  const config = oneService([backend.port], {
    rule: 'timeouts: { request: 0s }',
    service: 'retryBudget: off\ncircuitBreaker: { maxRetries: 1 }',
  });
  await withProxy(config, async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(request('GET'));
    await until(() => proxy.gauge('a', 'retries') === 1, 'the retry waits');
    client.destroy();
    await until(() => proxy.gauge('a', 'retries') === 0, 'the unit comes back');
    assert.equal((await proxy.decision()).code, 'downstream-gone');
    assert.equal(backend.requests.length, 1);
  });
  await backend.close();
});

test('nothing is retried once the head has gone to the client', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('\r\n\r\n'))
      .then(async () => {
        upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun');
        await cut.promise;
        upstream.socket.resetAndDestroy();
      });
  });
  const cut = Promise.withResolvers<void>();
  const rule = 'retry: { attempts: 3, retryOn: [reset, 5xx], backoff: 1ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(request('GET')).until((t) => t.endsWith('begun'));
    cut.resolve();
    await client.untilClosed();
    const decision = await proxy.decision();
    assert.deepEqual([decision.code, decision.attempts.length], ['closed-mid-response', 1]);
    assert.equal(backend.accepted.length, 1);
  });
  await backend.close();
});

test('the rest of a short failed answer is read, so that its connection serves the retry', async () => {
  const backend = await rawBackend((upstream) => {
    let served = 0;
    upstream.socket.on('data', () => {
      if (served++ === 0)
        upstream.send('HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n');
      else upstream.send(OK);
    });
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { backoff: 20ms }' }), async (proxy) => {
    const text = await ask(proxy, request('GET'));
    assert.match(text, /\r\n\r\nok$/);
    assert.doesNotMatch(text, /busy/);
    assert.equal((await proxy.decision()).attempts[1]?.reusedConnection, true);
    assert.equal(backend.accepted.length, 1);
  });
  await backend.close();
});

test('a long failed answer is not read to its end: its connection is closed', async () => {
  const backend = await httpBackend((_, response, index) => {
    if (index > 0) response.end('ok');
    else response.writeHead(503).end('a'.repeat(10_000_000));
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { backoff: 1ms }' }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /\r\n\r\nok$/);
    const first = backend.requests[0]?.socket;
    await until(() => first?.destroyed === true, 'the connection of the failed answer is closed');
  });
  await backend.close();
});

test('a failed answer that does not end does not hold its connection for long', async () => {
  const backend = await rawBackend((upstream, index) => {
    upstream.socket.on('data', () => {
      upstream.send(index === 0 ? 'HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nhalf' : OK);
    });
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { backoff: 1ms }' }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /ok$/);
    await (backend.accepted[0] as RawClient).untilEnd();
    await until(() => proxy.gauge('a', 'connections') === 1, 'its slot comes back');
  });
  await backend.close();
});

test('the request timeout covers every attempt and every wait', async () => {
  const backend = await httpBackend((_, response, index) => {
    if (index === 0) response.writeHead(503).end('busy');
  });
  const rule = 'timeouts: { request: 150ms }\nretry: { attempts: 5, backoff: 10ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /^HTTP\/1\.1 504 [\s\S]*request-timeout \(UT\)/);
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.limit, decision.limitValue, decision.attempts.map(({ outcome }) => outcome)],
      ['timeouts.request', 150, ['503', 'request-timeout']],
    );
    assert.equal(proxy.counter('a', 'upstreamRqTimeout'), 1);
  });
  await backend.close();
});

test('an endpoint that does not accept is left for another after connectTimeout', async () => {
  const full = await unacceptingPort();
  const backend = await httpBackend((_, response) => response.end('ok'));
  const config = oneService([full.port, backend.port], {
    rule: 'retry: { attempts: 1, backoff: 1ms }',
    service: `connectTimeout: 50ms\n${FREELY}\nloadBalancer: { policy: round-robin }`,
  });
  await withProxy(config, async (proxy) => {
    while (proxy.decisions.length === 0) {
      assert.match(await ask(proxy, request('POST', 'body')), /ok$/);
      await proxy.recorded();
    }
    assert.deepEqual(
      proxy.decisions[0]?.attempts.map(({ endpoint, outcome }) => [endpoint, outcome]),
      [
        [`127.0.0.1:${full.port}`, 'connect-timeout'],
        [`127.0.0.1:${backend.port}`, '200'],
      ],
    );
    assert.equal(proxy.counter('a', 'upstreamCxConnectTimeout'), 1);
  });
  await full.close();
  await backend.close();
});

test('a client that leaves between two attempts ends the request', async () => {
  const backend = await httpBackend((_, response) => response.writeHead(503, { 'retry-after': '5' }).end());
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(request('GET'));
    await until(() => proxy.gauge('a', 'requests') === 0 && backend.requests.length === 1, 'the retry waits');
    client.destroy();
    const decision = await proxy.decision();
    assert.deepEqual([decision.code, decision.attempts.length], ['downstream-gone', 1]);
    assert.equal(proxy.active, 0);
  });
  await backend.close();
});
