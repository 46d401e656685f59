/**
 * What a client does wrong, over real sockets: a coded answer, the connection closed, one record that names the
 * fault, nothing for the endpoint, and the proxy serves the next one as if nothing had been.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { assertOneDecision, assertRefusal, chunked, get, post } from './refusals.ts';

type Case = readonly [name: string, wire: string, status: number, code: string];

/** Refused by the head: the endpoint never hears of them. */
const HEADS: readonly Case[] = [
  ['two Content-Lengths', `${post('Content-Length: 3', 'Content-Length: 4')}abcd`, 400, 'bad-content-length'],
  [
    'equal Content-Lengths',
    `${post('Content-Length: 3', 'Content-Length: 3')}abc`,
    400,
    'bad-content-length',
  ],
  ['a list in Content-Length', `${post('Content-Length: 3, 3')}abc`, 400, 'bad-content-length'],
  ['a negative Content-Length', post('Content-Length: -1'), 400, 'bad-content-length'],
  ['a Content-Length with a sign', `${post('Content-Length: +3')}abc`, 400, 'bad-content-length'],
  ['a hexadecimal Content-Length', `${post('Content-Length: 0x3')}abc`, 400, 'bad-content-length'],
  ['an immense Content-Length', post('Content-Length: 99999999999999999999'), 400, 'bad-content-length'],
  [
    'Content-Length with Transfer-Encoding',
    `${post('Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    400,
    'length-conflict',
  ],
  [
    'Transfer-Encoding with Content-Length',
    `${post('Transfer-Encoding: chunked', 'Content-Length: 3')}0\r\n\r\n`,
    400,
    'length-conflict',
  ],
  ['chunked twice', `${post('Transfer-Encoding: chunked, chunked')}0\r\n\r\n`, 400, 'bad-transfer-encoding'],
  ['chunked not last', `${post('Transfer-Encoding: chunked, gzip')}0\r\n\r\n`, 400, 'bad-transfer-encoding'],
  [
    'another coding',
    `${post('Transfer-Encoding: gzip, chunked')}0\r\n\r\n`,
    501,
    'unknown-transfer-encoding',
  ],
  ['a disguised coding', `${post('Transfer-Encoding: xchunked')}0\r\n\r\n`, 400, 'bad-transfer-encoding'],
  ['obs-fold', get('Host: x', 'X-A: b', ' c'), 400, 'obs-fold'],
  ['obs-fold of Transfer-Encoding', post('Transfer-Encoding:', ' chunked'), 400, 'obs-fold'],
  ['a bare LF after a field', 'GET / HTTP/1.1\r\nHost: x\n\r\n', 400, 'bare-lf'],
  ['bare LFs only', 'GET / HTTP/1.1\nHost: x\n\n', 400, 'bare-lf'],
  ['a bare CR in a field', get('Host: x', 'X-A: b\rc'), 400, 'bare-cr'],
  ['NUL in a field', get('Host: x', 'X-A: b\0c'), 400, 'control-byte'],
  ['NUL in the target', 'GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad-target'],
  ['a control byte in a field', get('Host: x', 'X-A: \x01'), 400, 'control-byte'],
  ['DEL in a field', get('Host: x', 'X-A: \x7f'), 400, 'control-byte'],
  ['white space before the colon', get('Host: x', 'X-A : b'), 400, 'space-before-colon'],
  ['white space before the colon of a length', `${post('Content-Length : 3')}abc`, 400, 'space-before-colon'],
  ['no field name', get('Host: x', ': b'), 400, 'bad-header'],
  [
    'Connection: Content-Length',
    `${post('Connection: Content-Length', 'Content-Length: 3')}abc`,
    400,
    'bad-connection-header',
  ],
  ['Connection: Host', get('Host: x', 'Connection: close, Host'), 400, 'bad-connection-header'],
  [
    'Connection: X-Forwarded-For',
    get('Host: x', 'Connection: x-forwarded-for'),
    400,
    'bad-connection-header',
  ],
  [
    'HTTP/1.0 with Transfer-Encoding',
    'POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'http10-transfer-encoding',
  ],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400, 'missing-host'],
  ['two Hosts', get('Host: x', 'Host: x'), 400, 'bad-host'],
  ['a Host that is a list', get('Host: x, y'), 400, 'bad-host'],
  ['a Host with user information', get('Host: me@x'), 400, 'bad-host'],
  ['an unreadable request line', 'GET  /\r\n\r\n', 400, 'bad-request-line'],
  ['another version', 'GET / HTTP/2.0\r\nHost: x\r\n\r\n', 505, 'version-not-supported'],
  ['CONNECT', 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n', 501, 'method-not-implemented'],
  [
    'Upgrade with a body',
    `${post('Connection: upgrade', 'Upgrade: a', 'Content-Length: 3')}abc`,
    400,
    'bad-upgrade',
  ],
  ['an unknown expectation', post('Expect: wonders', 'Content-Length: 3'), 417, 'expectation-failed'],
  ['a too long URI', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414, 'uri-too-long'],
  ['too many bytes of headers', get('Host: x', `X-A: ${'a'.repeat(70_000)}`), 431, 'headers-too-large'],
  ['too many headers', get('Host: x', ...Array<string>(101).fill('X-A: b')), 431, 'headers-too-large'],
  ['TLS on a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'tls-on-plain-port'],
  ['binary garbage', '\x80\x9d\xff\x00\x01', 400, 'bad-request-line'],
];

/** Refused by the body, which comes together with its head: the endpoint gets none of it. */
const BODIES: readonly Case[] = [
  ['a chunk size that is none', chunked('xyz\r\n'), 400, 'bad-chunk'],
  ['a signed chunk size', chunked('-1\r\n'), 400, 'bad-chunk'],
  ['a chunk size with 0x', chunked('0x3\r\nabc\r\n0\r\n\r\n'), 400, 'bad-chunk'],
  ['an empty chunk size', chunked('\r\nabc\r\n0\r\n\r\n'), 400, 'bad-chunk'],
  ['an immense chunk size', chunked('fffffffffffffffff\r\n'), 400, 'bad-chunk'],
  ['a chunk longer than its size', chunked('2\r\nabc\r\n0\r\n\r\n'), 400, 'bad-chunk'],
  ['a bare LF after a chunk size', chunked('3\nabc\r\n0\r\n\r\n'), 400, 'bare-lf'],
  ['a chunk extension without end', chunked(`1;${'a'.repeat(5_000)}`), 400, 'bad-chunk'],
  ['a framing field in the trailers', chunked('0\r\nContent-Length: 3\r\n\r\n'), 400, 'bad-trailer'],
  ['a bare LF in the trailers', chunked('0\r\nx: y\n\r\n'), 400, 'bare-lf'],
  ['too many trailers', chunked(`0\r\n${'x: y\r\n'.repeat(40)}\r\n`), 431, 'headers-too-large'],
];

for (const [name, wire, status, code] of [...HEADS, ...BODIES]) {
  test(`refused: ${name}`, async () => {
    const backend = await rawBackend();
    await withProxy(oneService([backend.port]), async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      const text = await client.send(wire).untilEnd();
      assertRefusal(text, status, code);
      client.destroy();
      await assertOneDecision(proxy, status, code);
      assert.ok(
        backend.accepted.every((connection) => connection.text === ''),
        'the endpoint got nothing',
      );
      await assertServes(proxy, backend);
    });
    await backend.close();
  });
}

test('refused: the preface of HTTP/2, where a listener takes HTTP/1 only', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port], { listener: 'protocol: http' }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').untilEnd();
    assertRefusal(text, 505, 'version-not-supported');
    client.destroy();
    await assertOneDecision(proxy, 505, 'version-not-supported');
    assert.equal(backend.accepted.length, 0);
    await assertServes(proxy, backend);
  });
  await backend.close();
});

test('a fault in the middle of a body, which the endpoint has begun to receive, ends both sides', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(chunked('3\r\nabc\r\n'));
    const upstream = await backend.connection(0);
    await upstream.until((t) => t.endsWith('3\r\nabc\r\n'));
    assertRefusal(await client.send('zz\r\n').untilEnd(), 400, 'bad-chunk');
    await upstream.untilEnd();
    assert.ok(!upstream.text.includes('0\r\n\r\n'), 'the endpoint can tell that the request is incomplete');
    await assertOneDecision(proxy, 400, 'bad-chunk');
    client.destroy();
  });
  await backend.close();
});

test('a fault in the body after the answer has begun resets the connection', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('abc\r\n'))
      .then(() => upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(chunked('3\r\nabc\r\n')).until((t) => t.endsWith('half'));
    client.send('zz\r\n');
    await client.untilClosed();
    assert.equal(client.error?.code, 'ECONNRESET');
    await assertOneDecision(proxy, 200, 'bad-chunk');
  });
  await backend.close();
});

test('what follows a refused request on its connection is not looked at', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client.send(get('Host: x', 'X-A : b') + get('Host: x') + get('Host: x')).untilEnd();
    assert.equal(text.split('HTTP/1.1 ').length, 2);
    assert.equal(backend.requests.length, 0);
    client.destroy();
  });
  await backend.close();
});

test('requests before a bad one on the same connection are answered first, in order', async () => {
  const backend = await httpBackend((request, response) => response.end(`<${request.url}>`));
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client
      .send(`GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n${get('Host: x', ' fold')}`)
      .untilEnd();
    assert.match(
      text,
      /^HTTP\/1\.1 200 [\s\S]*<\/1>HTTP\/1\.1 200 [\s\S]*<\/2>HTTP\/1\.1 400 [\s\S]*obs-fold/,
    );
    client.destroy();
  });
  await backend.close();
});

test('a declined Upgrade followed by a second request: the second is not served', async () => {
  const backend = await httpBackend((request, response) => response.end(`<${request.url}>`));
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET /1 HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
    const text = await client.until((t) => t.includes('</1>'));
    client.send('GET /2 HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(await client.untilEnd(), text);
    assert.match(text, /\r\nconnection: close\r\n/i);
    assert.deepEqual(
      backend.requests.map((request) => request.url),
      ['/1'],
    );
    client.destroy();
  });
  await backend.close();
});

test('a client that leaves in the middle of a head leaves nothing behind', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    for (const part of ['G', 'GET / HTTP/1.1\r\nHo', '\r\n']) {
      const client = await RawClient.connect(proxy.port);
      client.send(part);
      await until(() => proxy.connections === 1, 'the connection is accepted');
      client.socket.end();
      await client.untilClosed();
    }
    await until(() => proxy.connections === 0, 'the connections are closed');
  });
  await backend.close();
});

test('many bad clients at once leave no connection behind', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  await withProxy(oneService([backend.port]), async (proxy) => {
    const clients = await Promise.all(HEADS.map(() => RawClient.connect(proxy.port)));
    for (const [index, client] of clients.entries()) client.send((HEADS[index] as Case)[1]);
    await Promise.all(clients.map((client) => client.untilEnd()));
    for (const client of clients) client.destroy();
    await until(() => proxy.connections === 0, 'every connection is closed');
    await proxy.recorded();
    assert.equal(proxy.decisions.length, HEADS.length);
    const good = await RawClient.connect(proxy.port);
    await good.send(get('Host: x')).until((t) => t.endsWith('ok'));
    good.destroy();
  });
  await backend.close();
});

async function assertServes(
  proxy: TestProxy,
  backend: Awaited<ReturnType<typeof rawBackend>>,
): Promise<void> {
  const next = backend.accepted.length;
  const client = await RawClient.connect(proxy.port);
  client.send(get('Host: x', 'Connection: close'));
  const upstream = await Promise.race([
    backend.connection(next),
    ...backend.accepted
      .slice(0, next)
      .map((known) => known.until((t) => t.includes('\r\n\r\n')).then(() => known)),
  ]);
  await upstream.until((t) => t.includes('\r\n\r\n'));
  upstream.send('HTTP/1.1 204 No Content\r\n\r\n');
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 204 /);
  client.destroy();
}
