/** Two attempts of one request side by side: when the second begins, whose answer counts, and what becomes of the other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import type { Decision } from '../../src/telemetry/index.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { type HttpBackend, httpBackend, oneService, RawClient } from '../kit/raw.ts';
import { ask, FREELY, request } from './retrying.ts';

const PER_TRY =
  'timeouts: { backendRequest: 50ms }\nretry: { backoff: 1ms }\nhedging: { onPerTryTimeout: true }';

/** Keeps the first answer back, and answers the requests after it. */
async function slowAtFirst(status = 200): Promise<HttpBackend & { readonly held: () => ServerResponse }> {
  let first: ServerResponse | null = null;
  const backend = await httpBackend((incoming, response, index) => {
    incoming.resume();
    if (index === 0) first = response;
    else response.writeHead(status).end('answer');
  });
  return Object.assign(backend, { held: () => first as unknown as ServerResponse });
}

/** One for each attempt. A busy machine may make more of them than two. */
const outcomes = ({ attempts }: Decision): string[] => attempts.map(({ outcome }) => outcome);

/** Enough attempts for a percentile to be known, all of them quick and within its window: on one connection, at once. */
async function warm(proxy: TestProxy): Promise<void> {
  const client = await RawClient.connect(proxy.port);
  client.send(request('GET').repeat(100));
  await client.until((text) => text.split('quick').length > 100);
  client.destroy();
}

describe('on the per-try timeout', () => {
  test('the next attempt runs beside the overdue one, whose endpoint is told when it has lost', async () => {
    const backend = await slowAtFirst();
    await withProxy(oneService([backend.port], { rule: PER_TRY }), async (proxy) => {
      assert.match(await ask(proxy, request('GET')), /answer$/);
      const all = outcomes(await proxy.decision());
      assert.deepEqual([all[0], all.at(-1)], ['outrun', '200']);
      const { socket } = backend.held();
      if (socket?.destroyed === false) await once(socket, 'close');
    });
    await backend.close();
  });

  test('the overdue one may still win, and the other is cancelled', async () => {
    const late: ServerResponse[] = [];
    const backend = await httpBackend((_, response) => {
      late.push(response);
      if (late.length === 2) late[0]?.end('the first');
    });
    await withProxy(oneService([backend.port], { rule: PER_TRY }), async (proxy) => {
      const answer = ask(proxy, request('GET'));
      assert.match(await answer, /the first$/);
      const decision = await proxy.decision();
      assert.deepEqual([decision.verdict, decision.attempts[1]?.reason], ['hedged', 'per-try-timeout']);
      const [first, ...others] = outcomes(decision);
      assert.equal(first, '200');
      assert.ok(others.length > 0 && others.every((outcome) => outcome === 'outrun'), String(others));
      await until(() => late[1]?.socket?.destroyed !== false, 'the end of the connection that lost');
    });
    await backend.close();
  });

  test('an answer that is to be tried again gives way to the attempt that still runs', async () => {
    const backend = await slowAtFirst(503);
    await withProxy(oneService([backend.port], { rule: PER_TRY, service: FREELY }), async (proxy) => {
      const answer = ask(proxy, request('GET'));
      await until(() => backend.requests.length === 2, 'the second attempt');
      await until(() => proxy.gauge('a', 'requests') === 1, 'the end of the second attempt');
      backend.held().end('late');
      assert.match(await answer, /late$/);
      const [first, ...others] = outcomes(await proxy.decision());
      assert.equal(first, '200');
      assert.ok(others.length > 0 && others.every((outcome) => outcome === '503'), String(others));
    });
    await backend.close();
  });

  test('one that fails leaves the request to the attempt that still runs', async () => {
    let first: ServerResponse | null = null;
    const backend = await httpBackend((_, response, index) => {
      if (index === 0) first = response;
      else response.socket?.destroy();
    });
    const rule = PER_TRY.replace('backoff: 1ms', 'backoff: 1ms, attempts: 1');
    await withProxy(oneService([backend.port], { rule, service: FREELY }), async (proxy) => {
      const answer = ask(proxy, request('GET'));
      await until(() => backend.requests.length === 2, 'the second attempt');
      await until(() => proxy.gauge('a', 'requests') === 1, 'its end');
      (first as ServerResponse | null)?.end('late');
      assert.match(await answer, /^HTTP\/1\.1 200 [\s\S]*late$/);
      assert.deepEqual(outcomes(await proxy.decision()), ['200', 'closed-before-response']);
    });
    await backend.close();
  });

  test('a request that may not be sent twice simply goes on', async () => {
    const held: ServerResponse[] = [];
    const backend = await httpBackend((incoming, response, index) => {
      incoming.resume();
      if (index < 2) held.push(response);
      else response.end('hedged');
    });
    await withProxy(oneService([backend.port], { rule: PER_TRY }), async (proxy) => {
      const order = ask(proxy, request('POST', 'order'));
      await until(() => backend.requests.length === 1, 'the attempt');
      // The GET begins later, so when its timeout has passed, that of the POST has too.
      assert.match(await ask(proxy, request('GET')), /hedged$/);
      held[0]?.end('late');
      assert.match(await order, /late$/);
      assert.equal(backend.requests.filter(({ method }) => method === 'POST').length, 1);
    });
    await backend.close();
  });
});

describe('after a percentile of latency', () => {
  const rule = 'hedging: { latencyPercentile: 95, maxExtraPercent: 5 }\nretry: { attempts: 0 }';

  async function pair(
    slow: (index: number) => boolean,
  ): Promise<{ backends: HttpBackend[]; held: ServerResponse[] }> {
    const held: ServerResponse[] = [];
    let count = 0;
    const answer = (incoming: { resume(): void }, response: ServerResponse): void => {
      incoming.resume();
      if (slow(count++)) held.push(response);
      else response.end('quick');
    };
    return { backends: [await httpBackend(answer), await httpBackend(answer)], held };
  }

  const twoEndpoints = (backends: readonly HttpBackend[], stated = rule): string =>
    oneService(
      backends.map(({ port }) => port),
      { rule: stated },
    );

  test('a second attempt goes to another endpoint, and the slow one is cancelled there', async () => {
    const { backends, held } = await pair((index) => index === 100);
    await withProxy(twoEndpoints(backends), async (proxy) => {
      await warm(proxy);
      assert.match(await ask(proxy, request('GET')), /quick$/);
      const { verdict, attempts } = await proxy.decision();
      assert.equal(verdict, 'hedged');
      assert.deepEqual(
        attempts.map(({ outcome, reason }) => [outcome, reason]),
        [
          ['outrun', ''],
          ['200', 'hedge'],
        ],
      );
      assert.notEqual(attempts[0]?.endpoint, attempts[1]?.endpoint);
      if (held[0]?.socket?.destroyed === false) await once(held[0].socket, 'close');
      assert.deepEqual(
        [proxy.counter('a', 'upstreamRqHedge'), proxy.counter('a', 'upstreamRqHedgeSuccess')],
        [1, 1],
      );
      assert.equal(proxy.counter('a', 'upstreamRqRetry'), 0, 'it is no retry');
    });
    for (const backend of backends) await backend.close();
  });

  test('never more than the share of the requests that is allowed', async () => {
    const { backends, held } = await pair((index) => index >= 100);
    await withProxy(twoEndpoints(backends), async (proxy) => {
      await warm(proxy);
      const asked = Array.from({ length: 40 }, () => ask(proxy, request('GET')));
      // 5 % of 140 requests.
      await until(() => proxy.counter('a', 'upstreamRqHedgeOverflow') === 33, 'refusals');
      await until(() => held.length === 47, 'attempts');
      for (const response of held) response.end('late');
      for (const answer of asked) assert.match(await answer, /late$/);
      assert.equal(proxy.counter('a', 'upstreamRqHedge'), 7);
    });
    for (const backend of backends) await backend.close();
  });

  test('a POST is sent once', async () => {
    const { backends, held } = await pair((index) => index === 100 || index === 101);
    await withProxy(twoEndpoints(backends), async (proxy) => {
      await warm(proxy);
      const order = ask(proxy, request('POST', 'order'));
      await until(() => held.length === 1, 'the slow attempt');
      // The GET begins later, so when it is slow, the POST is too.
      assert.match(await ask(proxy, request('GET')), /quick$/);
      held[0]?.end('late');
      assert.match(await order, /late$/);
      assert.equal(proxy.counter('a', 'upstreamRqHedge'), 1);
    });
    for (const backend of backends) await backend.close();
  });

  test('a POST of a rule with `methods: ANY` may be sent twice', async () => {
    const { backends } = await pair((index) => index === 100);
    await withProxy(
      twoEndpoints(backends, rule.replace('maxExtra', 'methods: ANY, maxExtra')),
      async (proxy) => {
        await warm(proxy);
        assert.match(await ask(proxy, request('POST', 'order')), /quick$/);
        assert.equal(proxy.counter('a', 'upstreamRqHedge'), 1);
      },
    );
    for (const backend of backends) await backend.close();
  });
});
