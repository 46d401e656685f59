/** The headers that a proxy adds, end to end: who asked, which request it is, which trace it belongs to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient } from '../kit/raw.ts';
import { ask, echo, parse, type Seen, seen, withEcho } from './echo.ts';
import { ca, TLS, tlsSecrets } from './tls.ts';

test('x-forwarded-*: nothing that a client says is believed where no hop is trusted', async () => {
  await withEcho({}, async (proxy) => {
    const { headers } = await seen(
      proxy,
      '/',
      'X-Forwarded-For: 203.0.113.7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: evil',
      'X-Forwarded-Port: 1',
      'X-Forwarded-Client-Cert: Hash=1',
    );
    assert.deepEqual(
      ['for', 'proto', 'host', 'port', 'client-cert'].map((part) => headers[`x-forwarded-${part}`]),
      ['203.0.113.7, 127.0.0.1', 'http', 'shop', String(proxy.port), undefined],
    );
  });
});

test('x-forwarded-*: a trusted hop is believed', async () => {
  await withEcho({ listener: 'trustedHops: 1' }, async (proxy) => {
    const { headers } = await seen(
      proxy,
      '/',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: front',
      'X-Forwarded-Port: 443',
    );
    assert.deepEqual(
      ['for', 'proto', 'host', 'port'].map((part) => headers[`x-forwarded-${part}`]),
      ['127.0.0.1', 'https', 'front', '443'],
    );
  });
});

test('x-forwarded-proto and x-forwarded-port tell of TLS', async () => {
  const backend = await echo();
  await withProxy(
    oneService([backend.port], { listener: TLS }),
    async (proxy) => {
      const socket = connectTls({ port: proxy.port, host: '127.0.0.1', ca: ca.certPem, servername: 'web' });
      const client = new RawClient(socket);
      client.send('GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n');
      const { headers } = JSON.parse(parse(await client.untilEnd()).body) as Seen;
      assert.equal(headers['x-forwarded-proto'], 'https');
      client.destroy();
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});

test('via is added in both directions, behind what is there', async () => {
  await withEcho({}, async (proxy) => {
    const answer = await ask(proxy, '/', 'Via: 1.0 other');
    assert.equal((JSON.parse(answer.body) as Seen).headers.via, '1.0 other, 1.1 outboard');
    assert.equal(answer.headers.get('via'), '1.1 outboard');
  });
});

test('x-request-id is kept when it is sane, made otherwise, and told to the client', async () => {
  await withEcho({}, async (proxy) => {
    const kept = await ask(proxy, '/', 'X-Request-Id: abc-1');
    assert.equal((JSON.parse(kept.body) as Seen).headers['x-request-id'], 'abc-1');
    assert.equal(kept.headers.get('x-request-id'), 'abc-1');
    for (const fields of [[], ['X-Request-Id: a"b'], [`X-Request-Id: ${'a'.repeat(200)}`]]) {
      const made = await ask(proxy, '/', ...fields);
      const id = (JSON.parse(made.body) as Seen).headers['x-request-id'];
      assert.match(id as string, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.equal(made.headers.get('x-request-id'), id);
    }
  });
});

const TRACE = '0af7651916cd43dd8448eb211c80319c';

test('a trace goes on: the endpoint is told the span of its attempt, a child of ours', async () => {
  await withEcho(
    {},
    async (proxy) => {
      const { headers } = await seen(
        proxy,
        '/',
        `traceparent: 00-${TRACE}-b7ad6b7169203331-01`,
        'tracestate: a=b',
      );
      await proxy.recorded();
      const [server, attempt] = proxy.spans;
      assert.equal(proxy.spans.length, 2);
      assert.deepEqual([server?.traceId, server?.parentSpanId], [TRACE, 'b7ad6b7169203331']);
      assert.deepEqual([attempt?.traceId, attempt?.parentSpanId], [TRACE, server?.spanId]);
      assert.equal(headers.traceparent, `00-${TRACE}-${attempt?.spanId}-01`);
      assert.equal(headers.tracestate, 'a=b');
    },
    'tracing: { sampling: 100% }\n',
  );
});

test('each attempt is a span of its own, and the endpoint is told which', async () => {
  const parents: string[] = [];
  const backend = await httpBackend((request, response, index) => {
    parents.push(String(request.headers.traceparent).split('-')[2] as string);
    response.writeHead(index === 0 ? 503 : 200).end();
  });
  const yaml = `${oneService([backend.port], { rule: 'retry: { backoff: 1ms }' })}tracing: { sampling: 100% }\n`;
  await withProxy(yaml, async (proxy) => {
    await ask(proxy, '/');
    await proxy.recorded();
    const [server, first, second] = proxy.spans;
    assert.deepEqual(parents, [first?.spanId, second?.spanId]);
    assert.deepEqual([first?.parentSpanId, second?.parentSpanId], [server?.spanId, server?.spanId]);
  });
  await backend.close();
});

test('B3 and Jaeger come in and go on in their own form', async () => {
  await withEcho(
    {},
    async (proxy) => {
      const b3 = await seen(proxy, '/', `b3: ${TRACE}-b7ad6b7169203331-1`);
      assert.match(b3.headers.b3 as string, new RegExp(`^${TRACE}-[0-9a-f]{16}-1`));
      const multi = await seen(
        proxy,
        '/',
        `X-B3-TraceId: ${TRACE}`,
        'X-B3-SpanId: b7ad6b7169203331',
        'X-B3-Sampled: 1',
      );
      assert.equal(multi.headers['x-b3-traceid'], TRACE);
      assert.notEqual(multi.headers['x-b3-spanid'], 'b7ad6b7169203331');
      const jaeger = await seen(proxy, '/', `uber-trace-id: ${TRACE}:b7ad6b7169203331:0:1`);
      assert.match(jaeger.headers['uber-trace-id'] as string, new RegExp(`^${TRACE}:[0-9a-f]{16}:`));
      assert.ok(jaeger.headers.traceparent?.includes(TRACE));
    },
    'tracing: { sampling: 0% }\n',
  );
});

test('a request that is not sampled makes no span, and tells the endpoint so', async () => {
  await withEcho(
    {},
    async (proxy) => {
      const { headers } = await seen(proxy, '/', `traceparent: 00-${TRACE}-b7ad6b7169203331-00`);
      assert.match(headers.traceparent as string, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
      await proxy.recorded();
      assert.equal(proxy.spans.length, 0);
    },
    'tracing: { sampling: 100% }\n',
  );
});
