/** A client that keeps its endpoint by a cookie, or by a header. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { ask, type Endpoint, endpoints } from './choice-kit.ts';

const session = (parts = ''): { service: string } => ({
  service: `sessionPersistence: { sessionName: home${parts === '' ? '' : `, ${parts}`} }
loadBalancer: { policy: round-robin }
outlierDetection: { consecutiveGatewayErrors: 1, maxEjectionPercent: 100 }
panicThreshold: 0`,
});

const portsOf = (of: readonly Endpoint[]): number[] => of.map(({ port }) => port);

/** Name and value of the only cookie. */
function pairOf(cookies: readonly string[]): string {
  assert.equal(cookies.length, 1, `${cookies}`);
  return (cookies[0] as string).split(';')[0] as string;
}

/** As Envoy writes it: protobuf, field 1. */
const cookieFor = (port: number, ...more: number[]): string => {
  const address = `127.0.0.1:${port}`;
  return `home="${Buffer.from([10, address.length, ...Buffer.from(address), ...more]).toString('base64')}"`;
};

test('the first answer names the endpoint, in Envoy’s form, and the cookie leads back to it', async (t) => {
  const all = await endpoints(t, 4);
  await withProxy(oneService(portsOf(all), session()), async (proxy) => {
    const homes = new Set<number>();
    for (let client = 0; client < 40; client++) {
      const first = await ask(proxy.port);
      assert.equal(first.cookies[0], `${cookieFor(first.port)}; HttpOnly`);
      const cookie = pairOf(first.cookies);
      for (let i = 0; i < 3; i++) {
        const again = await ask(proxy.port, '/', { cookie: `a=1; ${cookie}; b=2` });
        assert.equal(again.port, first.port);
        assert.deepEqual(again.cookies, []);
      }
      homes.add(first.port);
    }
    assert.equal(homes.size, 4);
    assert.equal(proxy.counter('a', 'statefulSessionRouted'), 120);
  });
});

test('a permanent session says how long the client keeps it, and ends then', async (t) => {
  const all = await endpoints(t, 3);
  const parts = 'absoluteTimeout: 1h, cookieConfig: { lifetimeType: Permanent, path: /shop }';
  await withProxy(oneService(portsOf(all), session(parts)), async (proxy) => {
    const { cookies, port } = await ask(proxy.port);
    assert.match(cookies[0] as string, /^home="[A-Za-z0-9+/=]+"; Max-Age=3600; Path=\/shop; HttpOnly$/);
    const cookie = pairOf(cookies);
    for (let i = 0; i < 10; i++) assert.equal((await ask(proxy.port, '/', { cookie })).port, port);
    // Of 1 January 1970, 00:02:08.
    const over = cookieFor(port, 0x10, 0x80, 0x01);
    const again = await ask(proxy.port, '/', { cookie: over });
    assert.equal(again.cookies.length, 1);
  });
});

for (const [what, cookie] of [
  ['no base64', 'home=%%%'],
  ['not ours', 'home=c2Vzc2lvbi1pZA=='],
  ['an endpoint of nobody', cookieFor(1)],
  ['cut short', cookieFor(65_535).slice(0, 14)],
  ['an unknown field', cookieFor(1, 0x1a, 0x01)],
  ['a time that never ends', cookieFor(1, 0x10, 0xff)],
] as const)
  test(`a cookie that is ${what} is as none`, async (t) => {
    const all = await endpoints(t, 2);
    await withProxy(oneService(portsOf(all), session()), async (proxy) => {
      const { status, cookies } = await ask(proxy.port, '/', { cookie });
      assert.equal(status, 200);
      assert.equal(cookies.length, 1);
    });
  });

test('when its endpoint is ejected the client goes to another, and keeps that', async (t) => {
  const all = await endpoints(t, 3);
  await withProxy(oneService(portsOf(all), session()), async (proxy) => {
    const first = await ask(proxy.port);
    const home = all.find(({ port }) => port === first.port) as Endpoint;
    home.status = 503;
    // A GET that is answered 503 is tried again, elsewhere: that is the client's endpoint now.
    const moved = await ask(proxy.port, '/', { cookie: pairOf(first.cookies) });
    assert.equal(moved.status, 200);
    assert.notEqual(moved.port, first.port);
    assert.equal(pairOf(moved.cookies), cookieFor(moved.port));
    // Who still has the old cookie goes elsewhere at once: the endpoint is ejected.
    const late = await ask(proxy.port, '/', { cookie: pairOf(first.cookies) });
    assert.notEqual(late.port, first.port);
    assert.equal(proxy.counter('a', 'statefulSessionFailedOpen'), 1);
    const kept = await ask(proxy.port, '/', { cookie: pairOf(moved.cookies) });
    assert.equal(kept.port, moved.port);
    assert.deepEqual(kept.cookies, []);
  });
});

test('strict: a request whose endpoint is gone is refused, and told so', async (t) => {
  const all = await endpoints(t, 3);
  await withProxy(oneService(portsOf(all), session('strict: true')), async (proxy) => {
    const { status, requestId, cookies } = await ask(proxy.port, '/', { cookie: cookieFor(1) });
    assert.equal(status, 503);
    assert.deepEqual(cookies, []);
    const { flags, code, detail } = await proxy.decision(requestId);
    assert.equal(`${flags} ${code}`, 'UH no-endpoint');
    assert.equal(detail, 'the endpoint of the session, 127.0.0.1:1, may not be used');
    assert.equal(proxy.counter('a', 'statefulSessionFailedClosed'), 1);
    // A new client is welcome.
    assert.equal((await ask(proxy.port)).status, 200);
  });
});

const headerFor = (port: number): string => Buffer.from(`127.0.0.1:${port}`).toString('base64');

test('by header: the first answer names the endpoint, in Envoy’s form, and requests that say it again go there', async (t) => {
  const all = await endpoints(t, 4);
  const parts = session('type: Header').service.replace('home', 'X-Home');
  await withProxy(oneService(portsOf(all), { service: parts }), async (proxy) => {
    const homes = new Set<number>();
    for (let client = 0; client < 40; client++) {
      const first = await ask(proxy.port);
      assert.equal(first.headers['x-home'], headerFor(first.port));
      assert.deepEqual(first.cookies, []);
      for (let i = 0; i < 3; i++) {
        const again = await ask(proxy.port, '/', { 'x-home': headerFor(first.port) });
        assert.equal(again.port, first.port);
        assert.equal(again.headers['x-home'], undefined, 'the client knows');
      }
      homes.add(first.port);
    }
    assert.equal(homes.size, 4);
    for (const none of ['', '%%%', headerFor(1), 'A'.repeat(200)]) {
      const { status, port, headers } = await ask(proxy.port, '/', { 'x-home': none });
      assert.equal(status, 200);
      assert.equal(headers['x-home'], headerFor(port));
    }
  });
});

test('by header, when its endpoint is ejected the client is told of another', async (t) => {
  const all = await endpoints(t, 3);
  await withProxy(oneService(portsOf(all), session('type: Header')), async (proxy) => {
    const first = await ask(proxy.port);
    const home = all.find(({ port }) => port === first.port) as Endpoint;
    home.status = 503;
    const moved = await ask(proxy.port, '/', { home: headerFor(first.port) });
    assert.equal(moved.status, 200);
    assert.notEqual(moved.port, first.port);
    assert.equal(moved.headers.home, headerFor(moved.port));
  });
});
