/** gRPC calls through the exchange: what passes, when they are retried, and what the proxy itself answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { parse } from './echo.ts';
import {
  answered,
  callHead,
  chunk,
  complete,
  frame,
  headStatus,
  LAST,
  makeCall,
  trailersOnly,
} from './grpc-calls.ts';

/** Answers the calls in turn; the last answer again and again. */
async function answering(...answers: string[]) {
  let calls = 0;
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => {
      if (!complete(upstream.text)) return;
      upstream.text = '';
      upstream.send(answers[Math.min(calls++, answers.length - 1)] as string);
    });
    upstream.socket.on('end', () => upstream.socket.end());
  });
  return Object.assign(backend, { calls: () => calls });
}

test('a call and its trailers pass, and its status is written down', async () => {
  const backend = await answering(answered(0, 'one', 'two'), answered(5));
  const config = oneService([backend.port], { listener: 'trustedCallers: [127.0.0.1]' });
  await withProxy(config, async (proxy) => {
    const answer = await makeCall(proxy, 'x-envoy-force-trace: 1');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/grpc');
    const trailers = '0\r\ngrpc-status: 0\r\nx-cost: 7\r\n\r\n';
    assert.equal(answer.body, chunk(frame('one')) + chunk(frame('two')) + trailers);
    await makeCall(proxy, 'x-envoy-force-trace: 1');
    await proxy.recorded();
    assert.deepEqual(proxy.decisions, [], 'neither is the fault of anybody but the caller');
    assert.deepEqual(
      proxy.spans.map(({ name, kind, isError, attributes }) => [
        name,
        kind,
        isError,
        attributes['rpc.grpc.status_code'],
      ]),
      [
        ['shop.Cart/Add', 'server', false, 0],
        ['shop.Cart/Add', 'client', false, 0],
        ['shop.Cart/Add', 'server', false, 5],
        ['shop.Cart/Add', 'client', true, 5],
      ],
    );
  });
  await backend.close();
});

test('messages go both ways before either side has ended', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(callHead());
    const upstream = await backend.connection(0);
    await upstream.until((t) => t.endsWith('\r\n\r\n'));
    upstream.send('HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 20; i++) {
      client.send(chunk(frame(`ask ${i}`)));
      await upstream.until((t) => t.includes(frame(`ask ${i}`)));
      upstream.send(chunk(frame(`say ${i}`)));
      await client.until((t) => t.includes(frame(`say ${i}`)));
    }
    client.send(LAST);
    await upstream.until(complete);
    upstream.send('0\r\ngrpc-status: 0\r\n\r\n');
    await client.until((t) => t.endsWith('grpc-status: 0\r\n\r\n'));
    client.destroy();
  });
  await backend.close();
});

interface RetryCase {
  readonly name: string;
  readonly rule: string;
  readonly first: string;
  /** Reason of the retry; null: there is none. */
  readonly reason: string | null;
}

const on = (...conditions: string[]): string =>
  `retry: { backoff: 1ms, retryOn: [${conditions.join(', ')}] }`;

const RETRIES: readonly RetryCase[] = [
  { name: 'cancelled', rule: on('cancelled'), first: trailersOnly(1), reason: 'cancelled' },
  {
    name: 'deadline-exceeded',
    rule: on('deadline-exceeded'),
    first: trailersOnly(4),
    reason: 'deadline-exceeded',
  },
  {
    name: 'resource-exhausted',
    rule: on('resource-exhausted'),
    first: trailersOnly(8),
    reason: 'resource-exhausted',
  },
  { name: 'internal', rule: on('internal'), first: trailersOnly(13), reason: 'internal' },
  { name: 'unavailable', rule: on('unavailable'), first: trailersOnly(14), reason: 'unavailable' },
  { name: 'another status', rule: on('unavailable', 'cancelled'), first: trailersOnly(13), reason: null },
  { name: 'unavailable in trailers', rule: on('unavailable'), first: answered(14), reason: null },
  { name: 'unavailable, by default', rule: 'retry: { backoff: 1ms }', first: trailersOnly(14), reason: null },
  {
    name: '503 beside a gRPC condition',
    rule: on('unavailable', '5xx'),
    first: 'HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n',
    reason: '5xx',
  },
];

for (const { name, rule, first, reason } of RETRIES) {
  test(`retried or not: ${name}`, async () => {
    const backend = await answering(first, answered(0, 'ok'));
    await withProxy(oneService([backend.port], { rule }), async (proxy) => {
      const answer = await makeCall(proxy);
      assert.equal(backend.calls(), reason === null ? 1 : 2);
      const decision = await proxy.decision();
      if (reason === null) {
        assert.match(`${answer.headers.get('grpc-status')} ${answer.body}`, /1[34]/);
        assert.deepEqual([decision.verdict, decision.attempts.length], ['upstream-error', 1]);
        assert.match(decision.grpcStatus, /^INTERNAL|UNAVAILABLE$/);
        assert.match(decision.cure, /the endpoint itself answered/);
        return;
      }
      assert.match(answer.body, /grpc-status: 0\r\n/);
      assert.deepEqual([decision.verdict, decision.grpcStatus, decision.status], ['recovered', 'OK', 200]);
      assert.equal(decision.attempts[1]?.reason, reason);
      assert.equal(decision.attempts[1]?.outcome, 'OK');
      if (reason !== '5xx')
        assert.equal(decision.attempts[0]?.outcome, reason.toUpperCase().replace('-', '_'));
      assert.equal(proxy.counter('a', 'upstreamRqRetrySuccess'), 1);
    });
    await backend.close();
  });
}

test('attempts used up: the last status goes to the caller, and the retry was no success', async () => {
  const backend = await answering(trailersOnly(14, 'grpc-message: not now'));
  await withProxy(oneService([backend.port], { rule: on('unavailable') }), async (proxy) => {
    const answer = await makeCall(proxy);
    assert.deepEqual(headStatus(answer), [200, '14', '']);
    assert.equal(answer.headers.get('grpc-message'), 'not now');
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.verdict, decision.flags, decision.attempts.map(({ outcome }) => outcome)],
      ['upstream-error', 'URX', ['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']],
    );
    assert.equal(proxy.counter('a', 'upstreamRqRetrySuccess'), 0);
  });
  await backend.close();
});

test('an answer that is no gRPC passes as it is, and counts as what a client makes of it', async () => {
  const backend = await httpBackend((request, response) => {
    request.resume();
    response.writeHead(502, { 'content-type': 'text/plain' }).end('a gateway');
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const answer = await makeCall(proxy);
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [502, 'text/plain']);
    assert.match(answer.body, /a gateway/);
    const decision = await proxy.decision();
    assert.deepEqual([decision.status, decision.grpcStatus], [502, 'UNAVAILABLE']);
  });
  await backend.close();
});

interface OwnCase {
  readonly name: string;
  readonly parts: Parameters<typeof oneService>[1];
  readonly status: string;
  readonly says: RegExp;
  /** Of the decision record; empty: there is none. */
  readonly code: string;
}

const OWN: readonly OwnCase[] = [
  {
    name: 'no endpoint listens',
    parts: { rule: 'retry: { attempts: 0 }' },
    status: '14',
    says: /^connect-refused \(UF\): nothing listens .*; request [0-9a-f-]{36}$/,
    code: 'connect-refused',
  },
  {
    name: 'no route',
    parts: { rule: 'matches: [{ path: { value: /elsewhere } }]' },
    status: '12',
    says: /^no-route \(NR\): /,
    code: 'no-route',
  },
  {
    name: 'a body over the limit',
    parts: { listener: 'limits: { maxRequestBytes: 3 }' },
    status: '8',
    says: /^body-too-large \(DPE\): [0-9]+ of 3 bytes: /,
    code: 'body-too-large',
  },
];

for (const { name, parts, status, says, code } of OWN) {
  test(`answered here: ${name}`, async () => {
    await withProxy(oneService([await freePort()], parts), async (proxy) => {
      const answer = await makeCall(proxy);
      assert.deepEqual(headStatus(answer), [200, status, '']);
      assert.equal(answer.headers.get('content-type'), 'application/grpc');
      assert.match(answer.headers.get('grpc-message') ?? '', says);
      const decision = await proxy.decision();
      assert.deepEqual([decision.code, decision.status], [code, 200]);
      assert.notEqual(decision.grpcStatus, '');
    });
  });
}

test('answered here: a breaker is open', async () => {
  const backend = await rawBackend();
  const config = oneService([backend.port], { service: 'circuitBreaker: { maxRequests: 1 }' });
  await withProxy(config, async (proxy) => {
    const first = await RawClient.connect(proxy.port);
    first.send(callHead());
    await backend.connection(0);
    const answer = await makeCall(proxy);
    assert.deepEqual(headStatus(answer), [200, '14', '']);
    assert.match(answer.headers.get('grpc-message') ?? '', /^max-requests \(UO\): /);
    const decision = await proxy.decision();
    assert.deepEqual([decision.verdict, decision.grpcStatus], ['refused', 'UNAVAILABLE']);
    first.destroy();
  });
  await backend.close();
});

const filters = (...all: string[]): string => `
listeners: [{ name: web, address: 127.0.0.1:0 }]
routes: [{ name: all, rules: [{ filters: [${all.join(', ')}] }] }]
services: []
`;

test('answered here: a direct response and a redirect', async () => {
  const direct =
    '{ type: DirectResponse, directResponse: { statusCode: 503, body: "closed: 50 %", contentType: text/plain } }';
  const added =
    '{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-why, value: night }] } }';
  await withProxy(filters(direct, added), async (proxy) => {
    const answer = await makeCall(proxy);
    assert.deepEqual(headStatus(answer), [200, '14', '']);
    assert.equal(answer.headers.get('grpc-message'), 'closed: 50 %25');
    assert.equal(answer.headers.get('content-type'), 'application/grpc');
    assert.equal(answer.headers.get('x-why'), 'night');
  });
  const redirect = '{ type: RequestRedirect, requestRedirect: { hostname: other, statusCode: 301 } }';
  await withProxy(filters(redirect), async (proxy) => {
    const answer = await makeCall(proxy);
    assert.deepEqual(headStatus(answer), [200, '2', '']);
    assert.match(answer.headers.get('location') ?? '', /^http:\/\/other/);
  });
});

test('an answer that fails after it has begun is cut off, and states no status', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => {
      upstream.send(answered(0, 'one').slice(0, -30));
      upstream.socket.end();
    });
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client.send(callHead() + chunk(frame('ask')) + LAST).untilClosed();
    assert.equal(client.error?.code, 'ECONNRESET');
    assert.doesNotMatch(text, /grpc-status/);
    const decision = await proxy.decision();
    assert.deepEqual([decision.code, decision.grpcStatus], ['closed-mid-response', '']);
  });
  await backend.close();
});

test('other requests on the same connection are answered as HTTP', async () => {
  await withProxy(oneService([await freePort()], { rule: 'retry: { attempts: 0 }' }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(callHead() + LAST);
    await client.until((t) => t.includes('grpc-status: 14'));
    client.text = '';
    client.send(
      'POST / HTTP/1.1\r\nHost: x\r\ncontent-type: application/grpc-status\r\nContent-Length: 0\r\n\r\n',
    );
    assert.equal(parse(await client.until((t) => t.includes('\nrequest '))).status, 503);
    client.destroy();
  });
});
