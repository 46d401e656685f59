/** Routes, filters and paths, end to end: what the endpoint is sent and what the client gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestProxy, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient } from '../kit/raw.ts';
import { ask, echo, type Seen, seen, withEcho } from './echo.ts';

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
