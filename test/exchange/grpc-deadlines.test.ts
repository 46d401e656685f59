/** The time of gRPC calls: whose deadline holds, from when it counts, and what endpoints are told of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withProxy } from '../kit/proxy.ts';
import { oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { parse } from './echo.ts';
import {
  answered,
  CALL_BODY,
  callHead,
  chunk,
  complete,
  frame,
  headStatus,
  makeCall,
  trailersOnly,
} from './grpc-calls.ts';

interface DeadlineCase {
  readonly name: string;
  readonly rule: string;
  readonly stated: string;
  readonly code: string;
  /** Limit that decided, and its value. */
  readonly limit: readonly [string, number];
}

const DEADLINES: readonly DeadlineCase[] = [
  { name: "the client's", rule: '', stated: '60m', code: 'deadline', limit: ['grpc-timeout', 60] },
  {
    name: "the client's, in another unit",
    rule: 'timeouts: { request: 10s }',
    stated: '60000u',
    code: 'deadline',
    limit: ['grpc-timeout', 60],
  },
  {
    name: "the rule's, which is shorter",
    rule: 'timeouts: { request: 60ms }',
    stated: '10S',
    code: 'request-timeout',
    limit: ['timeouts.request', 60],
  },
  {
    name: "the rule's, where the client's is malformed",
    rule: 'timeouts: { request: 60ms }',
    stated: '1ms',
    code: 'request-timeout',
    limit: ['timeouts.request', 60],
  },
];

for (const { name, rule, stated, code, limit } of DEADLINES) {
  test(`a deadline passes: ${name}`, async () => {
    const backend = await rawBackend();
    await withProxy(oneService([backend.port], { rule }), async (proxy) => {
      const started = performance.now();
      const answer = await makeCall(proxy, `grpc-timeout: ${stated}`);
      assert.ok(performance.now() - started >= 55, 'not before it');
      assert.deepEqual(headStatus(answer), [200, '4', '']);
      assert.match(answer.headers.get('grpc-message') ?? '', new RegExp(`^${code} \\(UT\\): `));
      const decision = await proxy.decision();
      assert.deepEqual(
        [decision.code, decision.flags, decision.grpcStatus, decision.verdict],
        [code, 'UT', 'DEADLINE_EXCEEDED', 'failed'],
      );
      assert.deepEqual([decision.limit, decision.limitValue], limit);
      assert.equal(proxy.counter('a', 'upstreamRqTimeout'), 1);
      assert.equal(proxy.counter('a', 'upstreamRqTxReset'), 1);
      await (await backend.connection(0)).untilEnd();
    });
    await backend.close();
  });
}

test('a deadline counts from the start, also while the request is still being sent', async () => {
  for (const [rule, stated] of [
    ['', 'grpc-timeout: 60m'],
    ['timeouts: { request: 60ms }', 'x-none: 1'],
  ] as const) {
    const backend = await rawBackend();
    await withProxy(oneService([backend.port], { rule }), async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      client.send(callHead(stated) + chunk(frame('more to come')));
      const answer = parse(await client.until((t) => t.endsWith('\r\n\r\n')));
      assert.deepEqual(headStatus(answer), [200, '4', '']);
      client.destroy();
    });
    await backend.close();
  }
});

test('a deadline that passes after the answer has begun cuts it off', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until(complete)
      .then(() => upstream.send(answered(0, 'one').replace(/0\r\ngrpc[\s\S]*/, '')));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(callHead('grpc-timeout: 80m') + CALL_BODY).untilClosed();
    assert.equal(client.error?.code, 'ECONNRESET');
    assert.ok(client.text.includes(frame('one')));
    const decision = await proxy.decision();
    assert.deepEqual([decision.code, decision.status, decision.grpcStatus], ['deadline', 200, '']);
    await (await backend.connection(0)).untilEnd();
  });
  await backend.close();
});

test("an endpoint is not blamed for its caller's deadline, but for the rule's", async () => {
  for (const [rule, stated, ejected] of [
    ['', 'grpc-timeout: 20m', false],
    ['timeouts: { request: 20ms }', 'x-none: 1', true],
  ] as const) {
    const backends = [await rawBackend(), await rawBackend()];
    const config = oneService(
      backends.map(({ port }) => port),
      { rule, service: 'outlierDetection: { consecutiveLocalOriginFailures: 1 }' },
    );
    await withProxy(config, async (proxy) => {
      await makeCall(proxy, stated);
      await makeCall(proxy, stated);
      await proxy.recorded();
      const asked = new Set(proxy.decisions.map(({ attempts }) => attempts[0]?.endpoint));
      if (ejected) assert.equal(asked.size, 2, 'the second call avoids the first endpoint');
      const slots = backends.map(({ port }) => proxy.endpointSlot('a', port));
      const states = slots.map((slot) => proxy.ledger.endpoints.read(slot, 0).ejections);
      assert.deepEqual(states.includes(1), ejected);
    });
    for (const backend of backends) await backend.close();
  }
});

/** The grpc-timeout of each call that an endpoint was sent, in ms. */
function toldIn(text: string): string {
  return /\r\ngrpc-timeout: ([^\r]*)/.exec(text)?.[1] ?? '';
}

test('each attempt is told what is left', async () => {
  const told: string[] = [];
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => {
      if (!complete(upstream.text)) return;
      told.push(toldIn(upstream.text));
      upstream.text = '';
      if (told.length < 3) setTimeout(() => upstream.send(trailersOnly(14)), 15);
      else upstream.send(answered(0, 'ok'));
    });
  });
  const rule = 'retry: { attempts: 2, retryOn: [unavailable], backoff: 1ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const started = performance.now();
    const answer = await makeCall(proxy, 'grpc-timeout: 20S');
    const tookMs = performance.now() - started;
    assert.match(answer.body, /grpc-status: 0\r\n/);
    const [first, second, third] = told.map((text) => {
      const match = /^([0-9]{1,8})([mS])$/.exec(text);
      assert.ok(match, text);
      return Number(match[1]) * (match[2] === 'S' ? 1_000 : 1);
    }) as [number, number, number];
    // Less the time that it took to connect.
    assert.ok(first <= 20_000, told.join(', '));
    assert.ok(second <= first - 14 && third <= second - 14, told.join(', '));
    assert.ok(third >= 20_000 - tookMs - 1, `${told.join(', ')} of a call that took ${tookMs} ms`);
  });
  await backend.close();
});

/** Rule, grpc-timeout that came → what the endpoint is told. */
const TOLD: readonly (readonly [string, string, RegExp])[] = [
  ['timeouts: { request: 3s }', '', /^(3000|29[0-9]{2})m$/],
  ['timeouts: { request: 3s }', '10S', /^(3000|29[0-9]{2})m$/],
  ['timeouts: { request: 20s, backendRequest: 2s }', '10S', /^2000m$/],
  ['timeouts: { request: 20s, backendRequest: 2s }', '1S', /^(1S|9[0-9]{2}m)$/],
  ['', '1500m', /^1[45][0-9]{2}m$/],
  ['', '', /^$/],
  ['timeouts: { backendRequest: 2s }', '', /^$/],
  ['', '123456789S', /^123456789S$/],
];

for (const [rule, stated, expected] of TOLD) {
  test(`an endpoint is told ${expected.source} under "${rule}", where the client said "${stated}"`, async () => {
    const backend = await rawBackend((upstream) => {
      void upstream.until(complete).then(() => upstream.send(answered(0)));
    });
    await withProxy(oneService([backend.port], { rule }), async (proxy) => {
      await makeCall(proxy, ...(stated === '' ? [] : [`grpc-timeout: ${stated}`]));
      assert.match(toldIn((await backend.connection(0)).text), expected);
    });
    await backend.close();
  });
}

test('grpc-timeout says nothing in a request that is no gRPC', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('\r\n\r\n'))
      .then(() => setTimeout(() => upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 60));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\ngrpc-timeout: 10m\r\n\r\n');
    await client.until((t) => t.endsWith('ok'));
    assert.equal(toldIn((await backend.connection(0)).text), '10m');
    client.destroy();
  });
  await backend.close();
});
