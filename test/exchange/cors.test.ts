/** CORS through the whole proxy: what browsers of other sites are told, and what is written down of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient } from '../kit/raw.ts';
import { parse } from './echo.ts';

const FILTER =
  'filters: [{ type: CORS, cors: { allowOrigins: ["https://*.shop.example"], allowCredentials: true, allowMethods: [PUT], exposeHeaders: [x-count] } }]';
const PAGE = 'Origin: https://www.shop.example';
const STRANGER = 'Origin: https://evil.example';

async function send(port: number, method: string, ...fields: string[]) {
  const client = await RawClient.connect(port);
  client.send(`${method} / HTTP/1.1\r\n${['Host: x', ...fields, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  const answer = parse(await client.untilEnd());
  client.destroy();
  return answer;
}

async function counting() {
  let hits = 0;
  const backend = await httpBackend((_, response) => {
    hits++;
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('vary', 'accept-encoding');
    response.end('ok');
  });
  return Object.assign(backend, { hits: () => hits });
}

test('a preflight is answered here; one of a stranger gets no leave, and a decision that says why', async () => {
  const backend = await counting();
  await withProxy(oneService([backend.port], { rule: FILTER }), async (proxy) => {
    const ask = 'Access-Control-Request-Method: PUT';
    const granted = await send(proxy.port, 'OPTIONS', PAGE, ask);
    assert.deepEqual(
      [
        granted.status,
        granted.headers.get('access-control-allow-origin'),
        granted.headers.get('access-control-allow-methods'),
      ],
      [200, 'https://www.shop.example', 'PUT'],
    );
    assert.equal(granted.headers.get('access-control-allow-credentials'), 'true');
    const refused = await send(proxy.port, 'OPTIONS', STRANGER, ask);
    assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [200, undefined]);
    assert.equal(refused.headers.get('vary'), 'Origin');
    assert.equal(backend.hits(), 0);
    const { verdict, limit, cure } = await proxy.decision();
    assert.deepEqual([verdict, limit], ['refused', 'cors.allowOrigins']);
    assert.match(cure, /allowOrigins/);
    await until(() => proxy.listenerCounter('web', 'corsOriginInvalid') === 1, 'the counter');
    assert.equal(proxy.listenerCounter('web', 'corsOriginValid'), 1);
  });
  await backend.close();
});

test('actual requests are sent on, and their answers marked; errors of our own are too', async () => {
  const backend = await counting();
  await withProxy(oneService([backend.port], { rule: FILTER }), async (proxy) => {
    const page = await send(proxy.port, 'GET', PAGE);
    assert.deepEqual(
      [
        page.status,
        page.headers.get('access-control-allow-origin'),
        page.headers.get('access-control-expose-headers'),
      ],
      [200, 'https://www.shop.example', 'x-count'],
    );
    assert.equal(page.headers.get('vary'), 'accept-encoding, Origin');
    const plain = await send(proxy.port, 'OPTIONS', PAGE);
    assert.equal(plain.status, 200);
    assert.equal(backend.hits(), 2, 'OPTIONS without a method asked for is sent on');
    await backend.close();
    const failed = await send(proxy.port, 'POST', PAGE, 'Content-Length: 0');
    assert.deepEqual(
      [failed.status, failed.headers.get('access-control-allow-origin')],
      [503, 'https://www.shop.example'],
    );
  });
});

test('redirects and direct responses of the rule are marked', async () => {
  const rule = `${FILTER.slice(0, -1)}, { type: RequestRedirect, requestRedirect: { scheme: https } }]`;
  const config = `listeners: [{ name: web, address: 127.0.0.1:0 }]\nroutes: [{ name: r, rules: [{ ${rule} }] }]\n`;
  await withProxy(config, async (proxy) => {
    const { status, headers } = await send(proxy.port, 'GET', PAGE);
    assert.deepEqual([status, headers.get('access-control-allow-origin')], [302, 'https://www.shop.example']);
  });
});
