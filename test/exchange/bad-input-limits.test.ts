/** Clients that are too slow, send too much, or speak TLS where they should not and the reverse. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { assertOneDecision, assertRefusal, chunked, get, post } from './refusals.ts';
import { ca, TLS, tlsSecrets } from './tls.ts';

test('a head that never ends is cut off by the header timeout', async () => {
  const backend = await rawBackend();
  const listener = 'timeouts: { header: 60ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    const drip = setInterval(() => client.send('a'), 5);
    const text = await client.untilEnd();
    clearInterval(drip);
    assertRefusal(text, 408, 'header-timeout');
    await assertOneDecision(proxy, 408, 'header-timeout');
    client.destroy();
  });
  await backend.close();
});

test('a connection that was served before meets the header timeout again', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  const listener = 'timeouts: { header: 60ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(get('Host: x')).until((t) => t.endsWith('ok'));
    client.text = '';
    assertRefusal(await client.send('GET / HT').untilEnd(), 408, 'header-timeout');
    client.destroy();
  });
  await backend.close();
});

test('a body that stops coming is cut off by the idle timeout', async () => {
  const backend = await rawBackend();
  const listener = 'timeouts: { idle: 60ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client.send(`${post('Content-Length: 10')}abc`).untilEnd();
    assertRefusal(text, 408, 'body-timeout');
    await assertOneDecision(proxy, 408, 'body-timeout');
    await (await backend.connection(0)).untilEnd();
    client.destroy();
  });
  await backend.close();
});

test('a body larger than maxRequestBytes is refused by its Content-Length, unread', async () => {
  const backend = await rawBackend();
  const listener = 'limits: { maxRequestBytes: 1000 }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    assertRefusal(await client.send(post('Content-Length: 1001')).untilEnd(), 413, 'body-too-large');
    const decision = await assertOneDecision(proxy, 413, 'body-too-large');
    assert.deepEqual(
      [decision.limit, decision.limitValue, decision.observedValue],
      ['maxRequestBytes', 1000, 1001],
    );
    assert.equal(backend.accepted.length, 0);
    client.destroy();
  });
  await backend.close();
});

test('a chunked body is refused when it grows beyond maxRequestBytes; the endpoint sees it cut off', async () => {
  const backend = await rawBackend();
  const listener = 'limits: { maxRequestBytes: 1000 }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const chunk = `1f4\r\n${'a'.repeat(500)}\r\n`;
    client.send(chunked(chunk + chunk));
    const upstream = await backend.connection(0);
    await upstream.until((t) => (t.match(/a{500}/g) ?? []).length === 2);
    assertRefusal(await client.send(chunk).untilEnd(), 413, 'body-too-large');
    const decision = await assertOneDecision(proxy, 413, 'body-too-large');
    assert.deepEqual([decision.limitValue, decision.observedValue], [1000, 1500]);
    await upstream.untilEnd();
    assert.ok(!upstream.text.endsWith('0\r\n\r\n'));
    client.destroy();
  });
  await backend.close();
});

test('a body of exactly maxRequestBytes passes', async () => {
  const backend = await httpBackend((request, response) => {
    request.resume().on('end', () => response.end('ok'));
  });
  const listener = 'limits: { maxRequestBytes: 1000 }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(post('Content-Length: 1000') + 'a'.repeat(1000));
    await client.until((t) => t.includes(' 200 OK'));
    client.destroy();
  });
  await backend.close();
});

test('a rule has a bound of its own, higher, lower or none', async () => {
  const backend = await httpBackend((request, response) => {
    request.resume().on('end', () => response.end('ok'));
  });
  for (const [listener, rule, most] of [
    ['limits: { maxRequestBytes: 10 }', 'maxRequestBytes: 1000', 1_000],
    ['limits: { maxRequestBytes: 10 }', 'maxRequestBytes: 0', Number.POSITIVE_INFINITY],
    ['', 'maxRequestBytes: 10', 10],
  ] as const) {
    await withProxy(oneService([backend.port], { listener, rule }), async (proxy) => {
      for (const size of [10, 1_000, 1_001]) {
        const client = await RawClient.connect(proxy.port);
        client.send(post(`Content-Length: ${size}`) + 'a'.repeat(size));
        await client.until((t) => t.includes(size <= most ? ' 200 OK' : '413 body-too-large (DPE)'));
        client.destroy();
      }
    });
  }
  await backend.close();
});

test('the answer to a refused upload arrives although the client goes on sending', async () => {
  const backend = await rawBackend();
  const listener = 'limits: { maxRequestBytes: 1000 }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(post('Content-Length: 300000'));
    for (let i = 0; i < 30; i++) client.send('a'.repeat(10_000));
    assertRefusal(await client.untilEnd(), 413, 'body-too-large');
    assert.equal(client.error, null);
    client.destroy();
  });
  await backend.close();
});

test('plain HTTP on a TLS port is told so in plain HTTP', async () => {
  const backend = await rawBackend();
  await withProxy(
    oneService([backend.port], { listener: TLS }),
    async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      assertRefusal(await client.send(get('Host: x')).untilEnd(), 400, 'plain-on-tls-port');
      await assertOneDecision(proxy, 400, 'plain-on-tls-port');
      client.destroy();
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});

test('what looks like TLS and is none ends a TLS connection with one record', async () => {
  const backend = await rawBackend();
  await withProxy(
    oneService([backend.port], { listener: TLS }),
    async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      client.send(`\x16\x03\x01\x00\x10${'\xee'.repeat(16)}`);
      await client.untilEnd();
      assert.doesNotMatch(client.text, /HTTP/);
      const decision = await proxy.decision();
      assert.deepEqual([decision.status, decision.code, decision.flags], [0, 'tls-handshake', 'DPE']);
      client.destroy();
      await until(() => proxy.connections === 0, 'the connection is closed');
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});

test('a client of TLS that breaks HTTP is answered and closed as one of plain HTTP', async () => {
  const backend = await rawBackend();
  await withProxy(
    oneService([backend.port], { listener: TLS }),
    async (proxy) => {
      const socket = connectTls({ port: proxy.port, host: '127.0.0.1', ca: ca.certPem, servername: 'web' });
      const client = new RawClient(socket);
      client.send(get('Host: x', 'X-A : b'));
      assertRefusal(await client.untilEnd(), 400, 'space-before-colon');
      await assertOneDecision(proxy, 400, 'space-before-colon');
      client.destroy();
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});
