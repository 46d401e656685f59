/** CORS as a browser keeps it: Chromium on pages of a site that is allowed, and of one that is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCa, issueCertificate } from '../kit/certs.ts';
import { withChromium } from '../kit/chromium.ts';
import { peer } from '../kit/peers.ts';
import { freePort, withProxy } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';

const chromium = peer('chromium');

const config = (port: number, backend: number): string => `
listeners: [{ name: web, address: "127.0.0.1:${port}" }]
routes:
  - name: pages
    rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200, body: "<title>page</title>", contentType: text/html } }] }]
  - name: api
    hostnames: [api.shop.example]
    rules:
      - backendRefs: [{ name: api }]
        filters:
          - type: CORS
            cors:
              allowOrigins: ["http://*.shop.example:${port}"]
              allowCredentials: true
              allowMethods: [PUT]
              allowHeaders: [X-Cart]
              exposeHeaders: [X-Count]
services: [{ name: api, endpoints: [{ address: "127.0.0.1:${backend}" }] }]
`;

/** In the page: what a script gets to see of an answer. */
const asking = (url: string, options: object): string =>
  `fetch(${JSON.stringify(url)}, ${JSON.stringify(options)}).then(
    async (answer) => [answer.status, await answer.text(), answer.headers.get('x-count'), answer.headers.get('x-secret')],
    (error) => [error.name])`;

const CASES = [
  ['a simple request', {}, [200, 'GET', '7', null]],
  ['one that is asked for first', { method: 'PUT', headers: { 'x-cart': '1' } }, [200, 'PUT', '7', null]],
  ['with credentials', { method: 'PUT', credentials: 'include' }, [200, 'PUT', '7', null]],
  ['a method that is not allowed', { method: 'DELETE' }, ['TypeError']],
  ['a header that is not allowed', { headers: { 'x-other': '1' } }, ['TypeError']],
] as const;

test('Chromium: who may read, and who may even ask', { skip: chromium.skip }, async () => {
  const { certPem } = issueCertificate(createCa({ commonName: 'ca' }), { commonName: 'web' });
  const asked: string[] = [];
  const backend = await httpBackend(({ method = '', headers }, response) => {
    asked.push(`${method} ${headers.origin?.includes('evil') ? 'evil' : 'shop'}`);
    response.writeHead(200, { 'x-count': '7', 'x-secret': 's' }).end(method);
  });
  const port = await freePort();
  await withProxy(config(port, backend.port), async (proxy) => {
    await withChromium(chromium.path as string, certPem, async (page) => {
      const api = `http://api.shop.example:${port}/`;
      await page.open(`http://www.shop.example:${port}/`);
      for (const [name, options, expected] of CASES)
        assert.deepEqual(await page.evaluate(asking(api, options)), expected, name);
      assert.deepEqual(asked.splice(0), ['GET shop', 'PUT shop', 'PUT shop']);

      await page.open(`http://evil.example:${port}/`);
      for (const [name, options] of CASES)
        assert.deepEqual(await page.evaluate(asking(api, options)), ['TypeError'], name);
      assert.deepEqual(asked, ['GET evil'], 'only what a form could send as well');
      assert.ok(proxy.listenerCounter('web', 'corsOriginInvalid') >= CASES.length);
    });
  });
  await backend.close();
});
