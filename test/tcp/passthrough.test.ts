/** TLS through the proxy without an end there: routed by its server name, every byte as it was. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import { createCa, issueCertificate } from '../kit/certs.ts';
import { helloOf } from '../kit/hello.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { RawClient, rawBackend } from '../kit/raw.ts';
import { cuts, endpointsOf, inRecords, refusal, seeded } from './kit.ts';

const ca = createCa({ commonName: 'ca' });
/** What a test that failed has left open would keep the file from ending. */
const open: { destroy(): void }[] = [];
after(() => {
  for (const socket of open) socket.destroy();
});

interface Vault {
  readonly port: number;
}

/** A TLS server that says its name and repeats what it hears. */
async function vault(name: string): Promise<Vault> {
  const { certPem, keyPem } = issueCertificate(ca, { commonName: name, dnsNames: [name, `*.${name}`] });
  const options = { cert: certPem, key: keyPem, ALPNProtocols: ['echo'], allowHalfOpen: true };
  const server = createServer(options, (socket) => {
    socket.write(`${name} `);
    open.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return { port: (server.address() as { port: number }).port };
}

async function secure(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca: ca.certPem, ALPNProtocols: ['echo'], ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** Says something and resolves with everything that comes back. */
async function echoed(socket: TLSSocket, said: string): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.end(said);
  await once(socket, 'close');
  return text;
}

const a = await vault('a.shop');
const b = await vault('b.shop');

function config(listener: string, tcpRoutes = ''): string {
  return `
listeners:
  - { name: edge, address: 127.0.0.1:0${listener} }
tlsRoutes:
  - { name: to-a, parentRefs: [{ sectionName: edge }], hostnames: [a.shop], backendRefs: [{ name: a }] }
  - { name: to-b, parentRefs: [{ sectionName: edge }], hostnames: ["*.b.shop"], backendRefs: [{ name: b }] }
${tcpRoutes}
services:
  - { name: a, endpoints: ${endpointsOf([a.port])} }
  - { name: b, protocol: tcp, endpoints: ${endpointsOf([b.port])} }
`;
}

const TLS_ONLY = ', protocol: tls';

test('a handshake reaches the endpoint of its server name, and what is said inside stays inside', async () => {
  await withProxy(config(TLS_ONLY), async (proxy) => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await secure(proxy.port, { servername: 'a.shop', maxVersion });
      assert.deepEqual([first.alpnProtocol, first.getProtocol()], ['echo', maxVersion]);
      const long = 'x'.repeat(300_000);
      assert.equal(await echoed(first, long), `a.shop ${long}`);
      const second = await secure(proxy.port, { servername: 'X.b.shop', maxVersion });
      assert.equal(await echoed(second, 'hi'), 'b.shop hi');
    }
    await until(() => proxy.active === 0, 'all are over');
    await proxy.recorded();
    assert.deepEqual(proxy.decisions, []);
    assert.equal(proxy.listenerCounter('edge', 'sslHandshake'), 0);
  });
});

test('a session is resumed with the endpoint, through the proxy', async () => {
  await withProxy(config(TLS_ONLY), async (proxy) => {
    const first = connect({ host: '127.0.0.1', port: proxy.port, ca: ca.certPem, servername: 'a.shop' });
    const session = once(first, 'session');
    assert.equal(await echoed(first, 'once'), 'a.shop once');
    const second = await secure(proxy.port, { servername: 'a.shop', session: (await session)[0] as Buffer });
    assert.equal(second.isSessionReused(), true);
    assert.equal(await echoed(second, 'again'), 'a.shop again');
  });
});

test('an unknown name, or none, is refused: NR', async () => {
  await withProxy(config(TLS_ONLY), async (proxy) => {
    for (const [servername, authority] of [
      ['c.shop', 'c.shop'],
      ['b.shop', 'b.shop'],
      ['', ''],
    ] as const) {
      const hello = await helloOf(servername === '' ? {} : { servername });
      assert.match(await refusal(proxy.port, hello), /ECONNRESET/);
      const decision = await proxy.decision();
      proxy.decisions.length = 0;
      assert.deepEqual(
        [decision.code, decision.flags, decision.verdict, decision.authority, decision.service],
        ['no-route', 'NR', 'refused', authority, ''],
      );
      assert.match(decision.detail, servername === '' ? /states no server name/ : /server name [cb]\.shop/);
    }
  });
});

test('the endpoint gets the hello byte for byte, however it was cut and framed', async () => {
  const seed = Date.now() >>> 0;
  const random = seeded(seed);
  const backend = await rawBackend();
  const yaml = config(TLS_ONLY).replace(endpointsOf([a.port]), endpointsOf([backend.port]));
  const hello = await helloOf({ servername: 'a.shop', ecdhCurve: 'X25519MLKEM768:X25519' });
  await withProxy(yaml, async (proxy) => {
    for (let round = 0; round < 40; round++) {
      const rest = Buffer.from(Array.from({ length: random(200) }, () => random(256)));
      const framed = random(2) === 0 ? hello : inRecords(hello, 1 + random(1_000));
      const bytes = Buffer.concat([framed, rest]);
      const client = dial({ host: '127.0.0.1', port: proxy.port, noDelay: true });
      for (const part of cuts(bytes, random)) {
        client.write(part);
        if (random(3) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      const server = await backend.connection(round);
      await server.until((t) => t.length >= bytes.length);
      assert.equal(server.text, bytes.toString('latin1'), `seed ${seed}, round ${round}`);
      client.destroy();
    }
  });
  await backend.close();
});

test('what is no TLS is told so in HTTP, and what only begins like it is closed and recorded', async () => {
  await withProxy(config(TLS_ONLY), async (proxy) => {
    const plain = (await RawClient.connect(proxy.port)).send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await plain.until((t) => t.includes('400 plain-on-tls-port (DPE)'));
    plain.destroy();
    await proxy.recorded();
    proxy.decisions.length = 0;
    assert.notEqual(await refusal(proxy.port, Buffer.from('160301000401fffffffff', 'hex')), 'answered');
    const decision = await proxy.decision();
    assert.equal(decision.code, 'tls-handshake');
    assert.match(decision.detail, /ClientHello cannot be read/);
  });
});

test('a ClientHello that does not come to its end in time is closed and recorded', async () => {
  const hello = await helloOf({ servername: 'a.shop' });
  await withProxy(config(`${TLS_ONLY}, timeouts: { header: 50ms }`), async (proxy) => {
    assert.equal(await refusal(proxy.port, hello.subarray(0, 60)), 'closed');
    const decision = await proxy.decision();
    assert.match(decision.detail, /not complete in time/);
    assert.equal(proxy.listenerCounter('edge', 'downstreamHeaderTimeout'), 1);
  });
});

const HTTP =
  'routes: [{ name: all, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200, body: page } }] }] }]';

test('auto: TLS passes through, requests are answered, on one port', async () => {
  await withProxy(config('') + HTTP, async (proxy) => {
    const tls = await secure(proxy.port, { servername: 'a.shop' });
    assert.equal(await echoed(tls, 'hi'), 'a.shop hi');
    const web = (await RawClient.connect(proxy.port)).send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await web.until((t) => t.endsWith('page'));
    web.destroy();
  });
});

test('auto with a TCP route: TLS, HTTP and anything else each find their way, a silent client too', async () => {
  const backend = await rawBackend((upstream) => upstream.send('bytes here'));
  const routes =
    'tcpRoutes: [{ name: rest, parentRefs: [{ sectionName: edge }], backendRefs: [{ name: c }] }]';
  const yaml = `${config(', timeouts: { detect: 60ms }', routes)}  - { name: c, endpoints: ${endpointsOf([backend.port])} }\n${HTTP}`;
  await withProxy(yaml, async (proxy) => {
    const tls = await secure(proxy.port, { servername: 'a.shop' });
    assert.equal(await echoed(tls, 'hi'), 'a.shop hi');
    const web = (await RawClient.connect(proxy.port)).send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await web.until((t) => t.endsWith('page'));
    web.destroy();
    assert.equal(backend.accepted.length, 0);

    let index = 0;
    const reaches = async (said: string | Buffer, end: boolean): Promise<void> => {
      const client = await RawClient.connect(proxy.port);
      if (said.length > 0) client.socket.write(said);
      if (end) client.socket.end();
      await client.until((t) => t === 'bytes here');
      const server = await backend.connection(index++);
      const heard = said.toString('latin1');
      await until(() => server.text === heard && (!end || server.ended), 'every byte, and the end');
      client.destroy();
    };
    await reaches('*1\r\n$4\r\nPING\r\n', false);
    await reaches('', false); // after timeouts.detect
    await reaches('GET /slow', false);
    await reaches('half a line', true);
    await reaches('', true);
    await reaches(await helloOf({ servername: 'unknown.shop' }), false);
    await reaches(Buffer.from('1603010000', 'hex'), false);
  });
  await backend.close();
});

test('a plain listener without a TLS route refuses TLS as before', async () => {
  const yaml = `listeners: [{ name: web, address: "127.0.0.1:0" }]\n${HTTP}`;
  await withProxy(yaml, async (proxy) => {
    const client: Socket = dial({ host: '127.0.0.1', port: proxy.port });
    client.write(await helloOf({ servername: 'a.shop' }));
    const [answer] = (await once(client, 'data')) as [Buffer];
    assert.match(answer.toString('latin1'), /tls-on-plain-port/);
    client.destroy();
  });
});
