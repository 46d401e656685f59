/** Copies of requests: what they say, that nobody waits for them, and that they leave nothing behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { freePort, type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, RawClient, rawBackend } from '../kit/raw.ts';
import { ask, request } from './retrying.ts';

function mirrored(port: number, shadowPort: number, { percent = 100, service = '' } = {}): string {
  return `
listeners: [{ name: web, address: "127.0.0.1:0" }]
routes:
  - name: all
    rules:
      - filters:
          - type: RequestMirror
            requestMirror: { backendRef: { name: shadow }, percent: ${percent} }
        backendRefs: [{ name: a }]
services:
  - { name: a, endpoints: [{ address: "127.0.0.1:${port}" }] }
  - { name: shadow, endpoints: [{ address: "127.0.0.1:${shadowPort}" }]${service} }
`;
}

/** The counters of the copies. */
const copies = (proxy: TestProxy): [number, number, number] => [
  proxy.counter('shadow', 'upstreamRqShadow'),
  proxy.counter('shadow', 'upstreamRq2xx'),
  proxy.counter('shadow', 'retryOrShadowAbandoned'),
];

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming) text += String(chunk);
  return text;
}

test('the copy says what the request says, and that it is one', async () => {
  const bodies: string[] = [];
  const shadow = await httpBackend(async (incoming, response) => {
    bodies.push(await bodyOf(incoming));
    response.end('nobody reads this');
  });
  const backend = await httpBackend(async (incoming, response) => response.end(await bodyOf(incoming)));
  await withProxy(mirrored(backend.port, shadow.port), async (proxy) => {
    const wire = 'POST /pay?n=1 HTTP/1.1\r\nHost: cart:8080\r\nX-Id: 7\r\nContent-Length: 5\r\n\r\nhello';
    assert.match(await ask(proxy, wire), /200 OK[\s\S]*hello$/);
    await until(() => copies(proxy)[1] === 1, 'the copy');
    const [copy] = shadow.requests;
    assert.deepEqual(
      [copy?.method, copy?.url, copy?.headers.host, copy?.headers['x-id'], bodies[0]],
      ['POST', '/pay?n=1', 'cart-shadow:8080', '7', 'hello'],
    );
    assert.equal(copy?.headers['x-request-id'], backend.requests[0]?.headers['x-request-id']);
    assert.equal(backend.requests[0]?.headers.host, 'cart:8080');
  });
  await shadow.close();
  await backend.close();
});

test('a shadow that is dead or answers 503 changes nothing, and is not asked again', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  const failing = await httpBackend((_, response) => response.writeHead(503).end());
  for (const port of [await freePort(), failing.port]) {
    await withProxy(mirrored(backend.port, port), async (proxy) => {
      for (let i = 0; i < 5; i++) assert.match(await ask(proxy, request('GET')), /200 OK[\s\S]*ok$/);
      await until(() => copies(proxy)[0] + copies(proxy)[2] === 5, 'the copies');
      assert.ok(copies(proxy)[0] >= 1);
      assert.equal(proxy.decisions.length, 0);
    });
  }
  assert.equal(failing.requests.length, 5);
  await failing.close();
  await backend.close();
});

test('copies obey the breaker of the shadow', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  const shadow = await rawBackend();
  const service = ', circuitBreaker: { maxRequests: 1 }';
  await withProxy(mirrored(backend.port, shadow.port, { service }), async (proxy) => {
    for (let i = 0; i < 5; i++) assert.match(await ask(proxy, request('GET')), /ok$/);
    assert.deepEqual(copies(proxy), [0, 0, 4]);
    const copy = await shadow.connection(0);
    await copy.until((text) => text.endsWith('\r\n\r\n'));
    copy.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await until(() => copies(proxy)[1] === 1, 'the copy');
  });
  await shadow.close();
  await backend.close();
});

test('a shadow that reads nothing loses the copy; the request goes on at its own speed', async () => {
  const megabytes = 8;
  const backend = await httpBackend(async (incoming, response) => {
    response.end(String((await bodyOf(incoming)).length));
  });
  const shadow = await rawBackend((client) => client.socket.pause());
  await withProxy(mirrored(backend.port, shadow.port), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${megabytes * 2 ** 20}\r\n\r\n`);
    const chunk = Buffer.alloc(2 ** 20, 'a');
    for (let i = 0; i < megabytes; i++) {
      if (!client.socket.write(chunk)) await once(client.socket, 'drain');
    }
    await client.until((text) => text.endsWith(String(megabytes * 2 ** 20)) || /0\r\n\r\n$/.test(text));
    assert.match(client.text, new RegExp(`^HTTP/1.1 200[\\s\\S]*${megabytes * 2 ** 20}`));
    assert.deepEqual(copies(proxy), [1, 0, 1]);
    client.destroy();
  });
  await shadow.close();
  await backend.close();
});

test('a client that leaves in the middle takes its copy along; a whole one goes on without it', async () => {
  const backend = await rawBackend();
  const shadow = await rawBackend();
  await withProxy(mirrored(backend.port, shadow.port), async (proxy) => {
    const half = await RawClient.connect(proxy.port);
    half.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
    await (await shadow.connection(0)).until((text) => text.endsWith('half'));
    half.destroy();
    await (await shadow.connection(0)).untilEnd();
    const whole = await RawClient.connect(proxy.port);
    whole.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const copy = await shadow.connection(1);
    await copy.until((text) => text.endsWith('\r\n\r\n'));
    whole.destroy();
    await until(() => proxy.active === 0, 'the end of the request');
    copy.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await until(() => copies(proxy)[1] === 1, 'the answer to the copy');
  });
  await shadow.close();
  await backend.close();
});

test('no copy at 0 %', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  await withProxy(mirrored(backend.port, await freePort(), { percent: 0 }), async (proxy) => {
    assert.match(await ask(proxy, request('GET')), /ok$/);
    assert.deepEqual(copies(proxy), [0, 0, 0]);
  });
  await backend.close();
});
