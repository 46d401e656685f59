/** Browsers' gRPC calls through the exchange, to endpoints that know nothing of gRPC-Web. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { freePort, type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { parse } from './echo.ts';
import { answered, chunk, complete, frame, headStatus, LAST, trailersOnly } from './grpc-calls.ts';

const TEXT = 'application/grpc-web-text';
const BINARY = 'application/grpc-web+proto';

function base64(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('base64');
}

/** As clients read a text body: groups of four, padding anywhere. */
function decoded(text: string): string {
  return text.replace(/.{4}/g, (group) => Buffer.from(group, 'base64').toString('latin1'));
}

/** A whole request has come, in chunks or, where it was binary, with its length. */
function whole(text: string): boolean {
  return complete(text) || text.endsWith(frame('ask'));
}

/** The bytes in the chunks of a body, and whether the last one has come. */
function unchunked(body: string): string {
  let bytes = '';
  for (let at = 0; ; ) {
    const line = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.slice(at, line), 16);
    if (line < 0 || !(size > 0)) return bytes;
    bytes += body.slice(line + 2, line + 2 + size);
    at = line + 4 + size;
  }
}

function webCall(type: string, body: string, ...fields: string[]): string {
  const all = [
    'Host: shop',
    `content-type: ${type}`,
    'x-grpc-web: 1',
    `Content-Length: ${body.length}`,
    ...fields,
  ];
  return `POST /shop.Cart/Add HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n${body}`;
}

async function ask(proxy: TestProxy, wire: string) {
  const client = await RawClient.connect(proxy.port);
  const answer = parse(await client.send(wire).untilEnd());
  client.destroy();
  return answer;
}

test('text: the endpoint sees gRPC, the client base64 with the trailers in it', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => upstream.send(answered(0, 'one', 'second')));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const body = base64(frame('ask')) + base64(frame('again'));
    const answer = await ask(proxy, webCall(TEXT, body, `Accept: ${TEXT}`, 'Connection: close'));
    const { text } = await backend.connection(0);
    assert.match(text, /\r\ncontent-type: application\/grpc\r\n/);
    assert.match(text, /\r\nte: trailers\r\n/);
    assert.match(text, /\r\nConnection: TE\r\n/);
    assert.doesNotMatch(text, /content-length/i);
    assert.equal(unchunked(text.slice(text.indexOf('\r\n\r\n') + 4)), frame('ask') + frame('again'));
    assert.equal(answer.headers.get('content-type'), TEXT);
    const trailers = frame('grpc-status: 0\r\nx-cost: 7\r\n', 0x80);
    assert.equal(decoded(unchunked(answer.body)), frame('one') + frame('second') + trailers);
    assert.match(answer.body, /\r\n0\r\n\r\n$/, 'no trailers after the last chunk');
  });
  await backend.close();
});

test('binary, to an endpoint that speaks HTTP/2', async () => {
  const server = createServer();
  const seen: unknown[] = [];
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    seen.push([headers['content-type'], headers.te]);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '5', 'Grpc-Message': 'none' }));
    stream.pipe(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await withProxy(oneService([port], { service: 'protocol: grpc' }), async (proxy) => {
    const answer = await ask(proxy, webCall(BINARY, frame('echo'), 'Connection: close'));
    assert.deepEqual(seen, [['application/grpc+proto', 'trailers']]);
    assert.equal(answer.headers.get('content-type'), BINARY);
    const trailers = frame('grpc-status: 5\r\ngrpc-message: none\r\n', 0x80);
    assert.equal(unchunked(answer.body), frame('echo') + trailers);
  });
  server.close();
  await once(server, 'close');
});

test('a message of a stream arrives whole before the next one is sent', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(webCall(TEXT, base64(frame('ask'))));
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    upstream.send('HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n');
    const body = (): string => decoded(unchunked(parse(client.text).body));
    let all = '';
    for (let i = 0; i < 12; i++) {
      all += frame('m'.repeat(i));
      upstream.send(chunk(frame('m'.repeat(i))));
      await client.until(() => body() === all);
    }
    upstream.send('0\r\ngrpc-status: 0\r\n\r\n');
    await client.until((t) => t.endsWith(LAST));
    client.destroy();
  });
  await backend.close();
});

test('a trailers-only answer, a retry of one, and answers of our own stay fields', async () => {
  let calls = 0;
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => {
      if (!whole(upstream.text)) return;
      upstream.text = '';
      upstream.send(trailersOnly(calls++ === 0 ? 14 : 7, 'grpc-message: no'));
    });
  });
  const rule = 'retry: { attempts: 1, retryOn: [unavailable], backoff: 1ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    for (const type of [TEXT, BINARY]) {
      const body = type === TEXT ? base64(frame('ask')) : frame('ask');
      const answer = await ask(proxy, webCall(type, body, 'Connection: close'));
      assert.deepEqual([answer.status, answer.headers.get('grpc-status')], [200, '7']);
      assert.equal(answer.headers.get('content-type'), type);
      assert.equal(unchunked(answer.body), '');
    }
    assert.equal(calls, 3);
  });
  await backend.close();
  await withProxy(oneService([await freePort()], { rule: 'retry: { attempts: 0 }' }), async (proxy) => {
    const answer = await ask(proxy, webCall(TEXT, base64(frame('ask')), 'Connection: close'));
    assert.deepEqual(headStatus(answer), [200, '14', '']);
    assert.equal(answer.headers.get('content-type'), TEXT);
    assert.equal((await proxy.decision()).grpcStatus, 'UNAVAILABLE');
  });
});

test('a body that is no base64 is INTERNAL, its attempt is given up, and the connection goes on', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => {
      if (complete(upstream.text)) upstream.send(answered(0));
    });
    upstream.socket.on('end', () => upstream.socket.end());
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(webCall(TEXT, 'AAAAAA*AAAAA').slice(0, -6));
    await (await backend.connection(0)).until((t) => t.endsWith('\r\n3\r\n\0\0\0\r\n'));
    client.send('*AAAAA');
    await client.until((t) => t.includes('grpc-status: 13'));
    assert.match(client.text, /grpc-message: bad-grpc-web \(DPE\): byte 0x2a in base64: /);
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.code, decision.flags, decision.grpcStatus],
      ['bad-grpc-web', 'DPE', 'INTERNAL'],
    );
    await (await backend.connection(0)).untilEnd();
    client.text = '';
    client.send(webCall(TEXT, base64(frame('ask'))));
    await client.until((t) => t.endsWith(LAST));
    client.destroy();
  });
  await backend.close();
});

test("a rule's edits of answers reach the browser", async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(whole).then(() => upstream.send(answered(0)));
  });
  const rule = `filters:
  - type: ResponseHeaderModifier
    responseHeaderModifier: { set: [{ name: access-control-allow-origin, value: "https://shop" }] }`;
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const answer = await ask(proxy, webCall(BINARY, frame('ask'), 'Connection: close'));
    assert.equal(answer.headers.get('access-control-allow-origin'), 'https://shop');
  });
  await backend.close();
});

const MIB = 1024 * 1024;
/** More than the kernel keeps for the sockets of two hops; see backpressure.test.ts. */
const TOTAL = 120 * MIB;
const TAKEN_MAX = 80 * MIB;

test('a browser that does not read pauses the endpoint; when it reads on, everything arrives', async () => {
  const message = Buffer.alloc(MIB - 5, 'outboard');
  const part = Buffer.concat([Buffer.from(frame('')), message]);
  part.writeUInt32BE(message.length, 1);
  const wire = Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
  let taken = 0;
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => {
      const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n';
      upstream.send(head);
      const more = (): void => {
        while (taken < TOTAL) {
          taken += MIB;
          if (!upstream.socket.write(wire)) return;
        }
        upstream.socket.removeListener('drain', more);
        upstream.send('0\r\ngrpc-status: 0\r\n\r\n');
      };
      upstream.socket.on('drain', more);
      more();
    });
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.socket.pause();
    client.send(webCall(TEXT, base64(frame('ask'))));
    let last = 0;
    let since = Date.now();
    await until(() => {
      if (taken !== last) since = Date.now();
      last = taken;
      return last > 0 && Date.now() - since > 150;
    }, 'a standstill');
    assert.ok(taken < TAKEN_MAX, `the endpoint was paused after ${taken / MIB} MiB`);
    client.socket.removeAllListeners('data');
    let bytes = 0;
    let tail = '';
    client.socket.on('data', (piece: Buffer) => {
      bytes += piece.length;
      tail = (tail + piece.subarray(-100).toString('latin1')).slice(-100);
    });
    client.socket.resume();
    await until(() => tail.endsWith(LAST), 'the end of the answer');
    assert.ok(bytes > (TOTAL * 4) / 3, `${bytes} bytes of base64`);
    assert.equal(taken, TOTAL);
    client.destroy();
  });
  await backend.close();
});
