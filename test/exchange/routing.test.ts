/** Routes, filters and the headers a proxy adds, end to end: what the endpoint is sent and what the client gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';
import { type TestProxy, withProxy } from '../kit/proxy.ts';
import { type HttpBackend, httpBackend, oneService, RawClient } from '../kit/raw.ts';

interface Seen {
  readonly backend: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A backend that answers with what it was sent. */
function echo(name = 'a'): Promise<HttpBackend> {
  return httpBackend((request, response) => {
    const { method, url, headers } = request;
    response.setHeader('x-from', name);
    response.setHeader('content-type', 'application/json');
    const body = JSON.stringify({ backend: name, method, url, headers });
    response.setHeader('content-length', Buffer.byteLength(body));
    response.end(body);
  });
}

async function ask(proxy: TestProxy, target: string, ...fields: string[]): Promise<Answer> {
  const client = await RawClient.connect(proxy.port);
  const host = fields.some((field) => /^host:/i.test(field)) ? [] : ['Host: shop'];
  client.send(`GET ${target} HTTP/1.1\r\n${[...host, ...fields, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  const answer = parse(await client.untilEnd());
  client.destroy();
  return answer;
}

function parse(text: string): Answer {
  const end = text.indexOf('\r\n\r\n');
  const [line = '', ...fields] = text.slice(0, end).split('\r\n');
  const headers = new Map(
    fields.map((field): [string, string] => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    }),
  );
  return { status: Number(line.slice(9, 12)), headers, body: text.slice(end + 4) };
}

async function seen(proxy: TestProxy, target: string, ...fields: string[]): Promise<Seen> {
  const answer = await ask(proxy, target, ...fields);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Seen;
}

async function withEcho(
  parts: Parameters<typeof oneService>[1],
  use: (proxy: TestProxy) => Promise<void>,
  more = '',
): Promise<void> {
  const backend = await echo();
  await withProxy(oneService([backend.port], parts) + more, use);
  await backend.close();
}

/** A rule that answers by itself, so that there is nothing behind it. */
function withAnswer(rule: string, use: (proxy: TestProxy) => Promise<void>): Promise<void> {
  return withProxy(oneService([9], { rule }).replace('backendRefs: [{ name: a }]', 'backendRefs: []'), use);
}

test('header modifiers change the request, then the answer', async () => {
  const rule = `
filters:
  - type: RequestHeaderModifier
    requestHeaderModifier:
      set: [{ name: X-Set, value: new }]
      add: [{ name: X-Add, value: more }]
      remove: [x-secret]
  - type: ResponseHeaderModifier
    responseHeaderModifier:
      set: [{ name: X-From, value: proxy }]
      remove: [content-type]`;
  await withEcho({ rule }, async (proxy) => {
    const fields = ['X-Set: old', 'X-Set: older', 'X-Add: one', 'X-Secret: s'];
    const answer = await ask(proxy, '/', ...fields);
    const { headers } = JSON.parse(answer.body) as Seen;
    assert.deepEqual(
      [headers['x-set'], headers['x-add'], headers['x-secret']],
      ['new', 'one, more', undefined],
    );
    assert.deepEqual(
      [answer.headers.get('x-from'), answer.headers.get('content-type')],
      ['proxy', undefined],
    );
  });
});

test('URLRewrite changes host and path; the query stays, and the record keeps what the client sent', async () => {
  const rule = `
matches: [{ path: { type: PathPrefix, value: /api } }]
filters:
  - { type: URLRewrite, urlRewrite: { hostname: inner.shop, path: { type: ReplacePrefixMatch, replacePrefixMatch: /v2 } } }`;
  await withEcho({ rule }, async (proxy) => {
    for (const [target, url] of [
      ['/api', '/v2'],
      ['/api/', '/v2/'],
      ['/api/items?q=/api', '/v2/items?q=/api'],
    ] as const) {
      const request = await seen(proxy, target);
      assert.deepEqual([request.url, request.headers.host], [url, 'inner.shop']);
      assert.equal(request.headers['x-forwarded-host'], 'shop');
    }
  });
});

test('a redirect is answered without an endpoint', async () => {
  const rule = `
filters:
  - { type: RequestRedirect, requestRedirect: { scheme: https, hostname: new.shop, statusCode: 301 } }`;
  await withAnswer(rule, async (proxy) => {
    const answer = await ask(proxy, '/a?b');
    assert.deepEqual([answer.status, answer.headers.get('location')], [301, 'https://new.shop/a?b']);
    assert.equal(answer.headers.get('content-length'), '0');
  });
});

test('a direct response is answered without an endpoint, to HEAD without its body', async () => {
  const rule = `
filters:
  - { type: DirectResponse, directResponse: { statusCode: 418, body: short and stout, contentType: text/x-pot } }`;
  await withAnswer(rule, async (proxy) => {
    const answer = await ask(proxy, '/');
    assert.deepEqual(
      [answer.status, answer.body, answer.headers.get('content-type')],
      [418, 'short and stout', 'text/x-pot'],
    );
    const client = await RawClient.connect(proxy.port);
    const text = await client.send('HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').untilEnd();
    assert.match(text, /^HTTP\/1\.1 418 .*content-length: 15\r\n.*\r\n\r\n$/is);
    client.destroy();
    await proxy.recorded();
    assert.equal(proxy.decisions.length, 0);
  });
});

test('a direct response leaves the connection to the next request, its body read or not', async () => {
  const rule = 'filters: [{ type: DirectResponse, directResponse: { statusCode: 200, body: hi } }]';
  await withAnswer(rule, async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel');
    await client.until((t) => t.endsWith('hi'));
    client.send('loGET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until((t) => t.split('HTTP/1.1 200 ').length === 3 && t.endsWith('hi'));
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50));
    await client.until((t) => t.split('HTTP/1.1 200 ').length === 53 && t.endsWith('hi'));
    client.destroy();
  });
});

test('weights: 0 takes nothing, equal ones share', async () => {
  const backends = [await echo('a'), await echo('b'), await echo('c')];
  const yaml = `
listeners: [{ name: web, address: '127.0.0.1:0' }]
routes:
  - name: all
    rules:
      - matches: [{ path: { value: /one } }]
        backendRefs: [{ name: a, weight: 0 }, { name: b, weight: 100 }]
      - matches: [{ path: { value: /both } }]
        backendRefs: [{ name: a, weight: 50 }, { name: b, weight: 50 }, { name: c, weight: 0 }]
services:
${['a', 'b', 'c'].map((name, i) => `  - { name: ${name}, endpoints: [{ address: '127.0.0.1:${backends[i]?.port}' }] }`).join('\n')}
`;
  await withProxy(yaml, async (proxy) => {
    for (let i = 0; i < 20; i++) assert.equal((await seen(proxy, '/one')).backend, 'b');
    // 1 in 2^59 that one of two gets nothing of 60.
    const names = new Set<string>();
    for (let i = 0; i < 60; i++) names.add((await seen(proxy, '/both')).backend);
    assert.deepEqual([...names].sort(), ['a', 'b']);
  });
  for (const backend of backends) await backend.close();
});

test('a rule whose backends all have weight 0 is 500 NC', async () => {
  const yaml = oneService([9], {}).replace('{ name: a }', '{ name: a, weight: 0 }');
  await withProxy(yaml, async (proxy) => {
    const answer = await ask(proxy, '/');
    assert.equal(answer.status, 500);
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.code, decision.flags, decision.verdict, decision.rule],
      ['no-service', 'NC', 'refused', 'all/0'],
    );
  });
});

test('no route is 404 NR, recorded, and the connection lives', async () => {
  const rule = 'matches: [{ path: { value: /only } }]';
  await withEcho({ rule }, async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send('GET /else HTTP/1.1\r\nHost: x\r\n\r\n').until((t) => t.includes('404 no-route (NR)'));
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.flags, decision.path, decision.authority, decision.service],
      ['NR', '/else', 'x', ''],
    );
    client.text = '';
    await client.send('GET /only HTTP/1.1\r\nHost: x\r\n\r\n').until((t) => t.startsWith('HTTP/1.1 200 '));
    client.destroy();
  });
});

test('hosts, methods and headers choose the rule', async () => {
  const backends = [await echo('a'), await echo('b')];
  const yaml = `
listeners: [{ name: web, address: '127.0.0.1:0' }]
routes:
  - name: a
    hostnames: ['*.shop']
    rules: [{ backendRefs: [{ name: a }] }]
  - name: b
    hostnames: [b.shop]
    rules:
      - matches: [{ method: GET, headers: [{ name: X-Canary, value: 'yes' }] }]
        backendRefs: [{ name: b }]
services:
${['a', 'b'].map((name, i) => `  - { name: ${name}, endpoints: [{ address: '127.0.0.1:${backends[i]?.port}' }] }`).join('\n')}
`;
  await withProxy(yaml, async (proxy) => {
    assert.equal((await seen(proxy, '/', 'Host: a.shop')).backend, 'a');
    assert.equal((await seen(proxy, '/', 'Host: A.SHOP:8080')).backend, 'a');
    assert.equal((await seen(proxy, '/', 'Host: b.shop', 'x-canary: yes')).backend, 'b');
    assert.equal((await ask(proxy, '/', 'Host: b.shop', 'x-canary: no')).status, 404);
    assert.equal((await ask(proxy, '/', 'Host: shop')).status, 404);
    assert.equal((await seen(proxy, 'http://b.shop/x', 'Host: a.shop', 'x-canary: yes')).url, '/x');
  });
  for (const backend of backends) await backend.close();
});

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
  const ca = createCa({ commonName: 'ca' });
  const certificate = issueCertificate(ca, { commonName: 'web', dnsNames: ['web'] });
  const loaded = await loadedSecrets({ 'file:/web.pem': certificate });
  const backend = await echo();
  const listener = 'tls: { certificates: [{ certFile: /web.pem, keyFile: /web.key }] }';
  await withProxy(
    oneService([backend.port], { listener }),
    async (proxy) => {
      const socket = connectTls({ port: proxy.port, host: '127.0.0.1', ca: ca.certPem, servername: 'web' });
      const client = new RawClient(socket);
      client.send('GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n');
      const { headers } = JSON.parse(parse(await client.untilEnd()).body) as Seen;
      assert.equal(headers['x-forwarded-proto'], 'https');
      client.destroy();
    },
    { secrets: { version: 1, ticketKeys: [], ...loaded } },
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

const PATHS: readonly (readonly [mode: string, target: string, url: string | null])[] = [
  ['BASE', '/a/../admin', '/admin'],
  ['BASE', '/a/%2e%2e/admin', '/admin'],
  ['BASE', '/a/%2E%2E/admin', '/admin'],
  ['BASE', '/./admin', '/admin'],
  ['BASE', '/a\\..\\admin', '/admin'],
  ['BASE', '/%61dmin', '/admin'],
  ['BASE', '//admin', '//admin'],
  ['BASE', '/a%2f..%2fadmin', '/a%2f..%2fadmin'],
  ['BASE', '/../../admin', '/admin'],
  ['BASE', '/a%00b', null],
  ['BASE', '/100%', null],
  ['MERGE_SLASHES', '//admin', '/admin'],
  ['MERGE_SLASHES', '/a//..//admin', '/a/admin'],
  ['DECODE_AND_MERGE_SLASHES', '/a%2f..%2fadmin', '/admin'],
  ['DECODE_AND_MERGE_SLASHES', '/%2Fadmin', '/admin'],
  ['NONE', '/a/../admin', '/a/../admin'],
  ['NONE', '//admin', '//admin'],
];

for (const mode of ['BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES', 'NONE']) {
  test(`${mode}: the path that is matched is the path that is sent`, async () => {
    const backends = [await echo('open'), await echo('admin')];
    const yaml = `
listeners: [{ name: web, address: '127.0.0.1:0', pathNormalization: ${mode} }]
routes:
  - name: all
    rules:
      - backendRefs: [{ name: open }]
      - matches: [{ path: { type: PathPrefix, value: /admin } }]
        backendRefs: [{ name: admin }]
services:
${['open', 'admin'].map((name, i) => `  - { name: ${name}, endpoints: [{ address: '127.0.0.1:${backends[i]?.port}' }] }`).join('\n')}
`;
    await withProxy(yaml, async (proxy) => {
      for (const [, target, url] of PATHS.filter(([when]) => when === mode)) {
        const answer = await ask(proxy, `${target}?q=/../x//`);
        if (url === null) {
          assert.deepEqual([answer.status, answer.body.includes('bad-path')], [400, true], target);
          continue;
        }
        const request = JSON.parse(answer.body) as Seen;
        assert.equal(request.url, `${url}?q=/../x//`, target);
        assert.equal(request.backend, url.startsWith('/admin') ? 'admin' : 'open', target);
      }
    });
    for (const backend of backends) await backend.close();
  });
}
