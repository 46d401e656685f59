/** When a retry is made, what becomes of the answer it replaces, and how it ends early. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend, unacceptingPort } from '../kit/raw.ts';
import { ask, FREELY, OK, request } from './retrying.ts';

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
