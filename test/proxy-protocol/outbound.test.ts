/** The PROXY header to endpoints: what it says, that it comes first, and that nobody's requests go under another's name. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  createServer as createHttp2,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { createServer as createTls, type TLSSocket } from 'node:tls';
import { type ProxyHeader, readProxyHeader } from '../../src/message/index.ts';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { complete, tcpService } from './kit.ts';

type Whole = Extract<ProxyHeader, { readonly state: 'whole' }>;

/** What a test that failed has left open would keep this file from ending. */
const left = new Set<() => void>();
after(() => {
  for (const close of left) close();
});

/** Takes the header off each connection, and hands on the rest. */
async function proxied(use: (socket: Socket, header: Whole) => void) {
  const headers: Whole[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let bytes = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const read = readProxyHeader(bytes);
      if (read.state === 'more') return;
      assert.ok(read.state === 'whole', JSON.stringify(read));
      headers.push(read);
      socket.pause();
      socket.removeListener('data', onData);
      if (bytes.length > read.length) socket.unshift(bytes.subarray(read.length));
      use(socket, read);
    };
    socket.on('data', onData);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    left.delete(close);
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  left.add(close);
  return { port: (server.address() as { port: number }).port, headers, close };
}

/** Answers each request on a connection with the port that its header names. */
function answering(socket: Socket, header: Whole): void {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    while (text.includes('\r\n\r\n')) {
      text = text.slice(text.indexOf('\r\n\r\n') + 4);
      const body = String(header.addresses?.remotePort);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    }
  });
  socket.on('end', () => socket.end());
  socket.resume();
}

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

for (const version of ['v1', 'v2'] as const) {
  test(`${version}: each connection of a client has its own, for all of its requests`, async () => {
    const endpoint = await proxied(answering);
    const config = oneService([endpoint.port], { service: `proxyProtocol: ${version}` });
    await withProxy(config, async (proxy) => {
      const clients = await Promise.all([RawClient.connect(proxy.port), RawClient.connect(proxy.port)]);
      for (let round = 1; round <= 3; round++) {
        for (const client of clients) {
          const { localPort } = client.socket;
          await client.send(GET).until((text) => complete(text, round));
          assert.ok(client.text.endsWith(`\r\n\r\n${localPort}`), client.text);
        }
      }
      assert.equal(endpoint.headers.length, 2);
      for (const { version: said, addresses } of endpoint.headers) {
        assert.equal(said, version);
        assert.deepEqual(
          [addresses?.remoteAddress, addresses?.localAddress, addresses?.localPort],
          ['127.0.0.1', '127.0.0.1', proxy.port],
        );
      }
      for (const client of clients) client.destroy();
    });
    endpoint.close();
  });
}

test('what a PROXY header said on the way in is said on the way out', async () => {
  const endpoint = await proxied(answering);
  const config = oneService([endpoint.port], {
    listener: 'proxyProtocol: { trustedProxies: [127.0.0.1] }',
    service: 'proxyProtocol: v2',
  });
  await withProxy(config, async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(`PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n${GET}`);
    await client.until((text) => text.endsWith('4711'));
    assert.deepEqual(endpoint.headers[0]?.addresses, {
      remoteAddress: '2001:db8::7',
      remotePort: 4_711,
      localAddress: '2001:db8::1',
      localPort: 443,
    });
    client.destroy();
  });
  endpoint.close();
});

test('one client must wait for a slot that holds the idle connection of another, and gets it', async () => {
  const endpoint = await proxied(answering);
  const service = 'proxyProtocol: v1\ncircuitBreaker: { maxConnections: 1 }';
  await withProxy(oneService([endpoint.port], { service }), async (proxy) => {
    for (let i = 0; i < 3; i++) {
      const client = await RawClient.connect(proxy.port);
      const { localPort } = client.socket;
      await client.send(GET).until((text) => text.endsWith(`\r\n\r\n${localPort}`));
      client.destroy();
    }
    assert.equal(endpoint.headers.length, 3);
  });
  endpoint.close();
});

test('it comes before TLS', async () => {
  const ca = createCa({ commonName: 'ca' });
  const { certPem, keyPem } = issueCertificate(ca, { commonName: 'shop', dnsNames: ['shop'] });
  let header: Whole | null = null;
  const secure = createTls({ cert: certPem, key: keyPem }, (socket: TLSSocket) => {
    if (header !== null) answering(socket, header);
  });
  const endpoint = await proxied((socket, read) => {
    header = read;
    secure.emit('connection', socket);
  });
  const service = 'proxyProtocol: v2\ntls: { caFile: /ca.pem, sni: shop }';
  const secrets = { version: 1, ticketKeys: [], ...(await loadedSecrets({}, { 'file:/ca.pem': ca })) };
  await withProxy(
    oneService([endpoint.port], { service }),
    async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      const { localPort } = client.socket;
      for (let round = 1; round <= 2; round++) await client.send(GET).until((text) => complete(text, round));
      assert.ok(client.text.endsWith(`\r\n\r\n${localPort}`), client.text);
      assert.equal(endpoint.headers.length, 1);
      client.destroy();
    },
    { secrets },
  );
  endpoint.close();
});

test('HTTP/2: streams of one client share a connection, those of two do not', async () => {
  const http2 = createHttp2();
  const sessions = new Set<ServerHttp2Session>();
  http2.on('session', (session) => sessions.add(session));
  http2.on('stream', (stream: ServerHttp2Stream) => stream.respond({ ':status': 200 }, { endStream: true }));
  const endpoint = await proxied((socket) => http2.emit('connection', socket));
  const config = oneService([endpoint.port], { service: 'protocol: http2\nproxyProtocol: v2' });
  await withProxy(config, async (proxy) => {
    const clients = [0, 1].map(() => connectHttp2(`http://127.0.0.1:${proxy.port}`));
    await Promise.all(
      clients.flatMap((client) =>
        Array.from({ length: 5 }, async () => {
          const request = client.request({ ':path': '/' });
          request.resume();
          await once(request, 'end');
        }),
      ),
    );
    assert.equal(endpoint.headers.length, 2);
    for (const client of clients) client.destroy();
  });
  for (const session of sessions) session.destroy();
  endpoint.close();
});

test('TCP: the header, and then the bytes', async () => {
  const endpoint = await proxied((socket, header) => {
    socket.on('data', (chunk: Buffer) => socket.write(`${header.addresses?.remotePort} ${chunk}`));
    socket.on('end', () => socket.end());
    socket.resume();
  });
  await withProxy(tcpService(endpoint.port, 'proxyProtocol: v1'), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const { localPort } = client.socket;
    await client.send('hello').until((text) => text === `${localPort} hello`);
    client.destroy();
  });
  endpoint.close();
});

test('a reload that switches it on gives no request to an older connection', async () => {
  const plain = await rawBackend((server) => {
    server.socket.on('data', () => {
      const header = readProxyHeader(Buffer.from(server.text, 'latin1'));
      const said = header.state === 'whole' ? 'told' : 'not told';
      if (server.text.endsWith('\r\n\r\n'))
        server.send(`HTTP/1.1 200 OK\r\nContent-Length: ${said.length}\r\n\r\n${said}`);
    });
    server.socket.on('end', () => server.socket.end());
  });
  const config = (service: string): string =>
    oneService([plain.port], { service }).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  let port = 0;
  await withProxy(oneService([plain.port]), async (proxy) => {
    port = proxy.port;
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((text) => text.endsWith('not told'));
    await proxy.reload(config('proxyProtocol: v1'));
    client.text = '';
    await client.send(GET).until((text) => text.endsWith('\r\n\r\ntold'));
    await proxy.reload(config(''));
    client.text = '';
    await client.send(GET).until((text) => text.endsWith('not told'));
    client.destroy();
    await until(() => proxy.connections === 0, 'its end');
  });
  await plain.close();
});
