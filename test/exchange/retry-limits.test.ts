/** What forbids a retry that is wanted, and what is sent again when it is not: attempts, budget, body. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { ask, FAILED, FREELY, OK, request } from './retrying.ts';

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
