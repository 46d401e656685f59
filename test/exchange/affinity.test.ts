/** Requests that keep to an endpoint, through the whole proxy. */
import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService } from '../kit/raw.ts';

async function backends(t: TestContext, count: number): Promise<number[]> {
  const made = await Promise.all(
    Array.from({ length: count }, async () => {
      const backend = await httpBackend((_request, response) => response.end(String(backend.port)));
      return backend;
    }),
  );
  t.after(() => Promise.all(made.map((backend) => backend.close())));
  return made.map(({ port }) => port);
}

const hashing = (policy: string, key: string): { service: string } => ({
  service: `loadBalancer: { policy: ${policy}, consistentHash: { ${key} } }`,
});

async function ask(
  port: number,
  headers: Record<string, string> = {},
  path = '/',
): Promise<{ body: string; cookies: readonly string[] }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ port, path, headers, agent: false }, resolve).on('error', reject).end();
  });
  let body = '';
  for await (const chunk of response) body += String(chunk);
  assert.equal(response.statusCode, 200);
  return { body, cookies: response.headers['set-cookie'] ?? [] };
}

for (const policy of ['ring-hash', 'maglev'])
  test(`${policy} by a header: the same user finds the same endpoint, users are spread`, async (t) => {
    const ports = await backends(t, 4);
    await withProxy(oneService(ports, hashing(policy, 'httpHeaderName: X-User')), async (proxy) => {
      const homes = new Map<string, string>();
      for (let round = 0; round < 3; round++) {
        for (let user = 0; user < 80; user++) {
          const { body } = await ask(proxy.port, { 'x-user': `user-${user}` });
          assert.equal(body, homes.get(`${user}`) ?? body);
          homes.set(`${user}`, body);
        }
      }
      assert.equal(new Set(homes.values()).size, 4);
    });
  });

test('by a cookie: a new client is given one, which leads back', async (t) => {
  const ports = await backends(t, 4);
  const config = hashing('maglev', 'httpCookie: { name: home, path: /shop, ttl: 1h }');
  await withProxy(oneService(ports, config), async (proxy) => {
    const homes = new Set<string>();
    for (let client = 0; client < 80; client++) {
      const first = await ask(proxy.port);
      assert.equal(first.cookies.length, 1);
      const [, key] = /^home=([0-9a-f]{16}); Max-Age=3600; Path=\/shop; HttpOnly$/.exec(
        first.cookies[0] as string,
      ) as RegExpExecArray;
      const again = await ask(proxy.port, { cookie: `other=1; home=${key}` });
      assert.equal(again.body, first.body);
      assert.deepEqual(again.cookies, []);
      homes.add(first.body);
    }
    assert.equal(homes.size, 4);
  });
});

test('by a cookie without ttl nobody is given one', async (t) => {
  const ports = await backends(t, 2);
  await withProxy(oneService(ports, hashing('maglev', 'httpCookie: { name: home }')), async (proxy) => {
    assert.deepEqual((await ask(proxy.port)).cookies, []);
  });
});

test('by a query parameter, and by the address of the client', async (t) => {
  const ports = await backends(t, 4);
  await withProxy(oneService(ports, hashing('ring-hash', 'httpQueryParameterName: cart')), async (proxy) => {
    const homes = new Set<string>();
    for (let cart = 0; cart < 80; cart++) {
      const { body } = await ask(proxy.port, {}, `/a?x=1&cart=${cart}`);
      assert.equal((await ask(proxy.port, {}, `/b?cart=${cart}&y=2`)).body, body);
      homes.add(body);
    }
    assert.equal(homes.size, 4);
  });
  await withProxy(oneService(ports, hashing('ring-hash', 'useSourceIp: true')), async (proxy) => {
    const homes = new Set<string>();
    for (let i = 0; i < 10; i++) homes.add((await ask(proxy.port)).body);
    assert.equal(homes.size, 1);
  });
});
