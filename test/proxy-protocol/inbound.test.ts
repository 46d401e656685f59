/** The PROXY header of a client's connection: who may send it, what it changes, and what is refused. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { writeProxyHeader } from '../../src/message/index.ts';
import { ca, TLS, tlsSecrets } from '../exchange/tls.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';

const CLIENT = {
  remoteAddress: '203.0.113.7',
  remotePort: 56_324,
  localAddress: '192.0.2.1',
  localPort: 443,
};
const V1 = writeProxyHeader('v1', CLIENT).toString('latin1');
const V2 = writeProxyHeader('v2', CLIENT).toString('latin1');
const GET = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

const listening = (more = '', trusted = '127.0.0.0/8'): string =>
  `proxyProtocol: { trustedProxies: ["${trusted}"]${more === '' ? '' : `, ${more}`} }`;

async function echoing(): Promise<{ readonly port: number; close(): Promise<void> }> {
  return httpBackend((request, response) => {
    const { 'x-forwarded-for': address, 'x-forwarded-port': port } = request.headers;
    response.end(`${address} ${port}`);
  });
}

/** Everything that comes back for these bytes, each part written by itself. */
async function send(proxy: TestProxy, ...parts: string[]): Promise<string> {
  const client = await RawClient.connect(proxy.port);
  for (const part of parts) {
    client.send(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const text = await client.untilEnd();
  client.destroy();
  return text;
}

describe('a header of a trusted proxy', () => {
  for (const [version, header] of [
    ['v1', V1],
    ['v2', V2],
  ] as const) {
    test(`${version}: its addresses are the connection's, wherever it is cut`, async () => {
      const backend = await echoing();
      await withProxy(oneService([backend.port], { listener: listening() }), async (proxy) => {
        for (const parts of [[header + GET], [header, GET], [...header, GET], [`${header}GE`, GET.slice(2)]])
          assert.match(await send(proxy, ...parts), /203\.0\.113\.7 443$/);
        const counter = version === 'v1' ? 'proxyProtoFoundV1' : 'proxyProtoFoundV2';
        assert.equal(proxy.listenerCounter('web', counter), 4);
      });
      await backend.close();
    });
  }

  test('UNKNOWN and LOCAL speak for the proxy itself', async () => {
    const backend = await echoing();
    await withProxy(oneService([backend.port], { listener: listening() }), async (proxy) => {
      for (const version of ['v1', 'v2'] as const) {
        const own = writeProxyHeader(version, null).toString('latin1');
        assert.match(await send(proxy, own + GET), /127\.0\.0\.1 [0-9]+$/);
      }
    });
    await backend.close();
  });

  test('comes before TLS, whose connections keep its addresses', async () => {
    const backend = await echoing();
    const config = oneService([backend.port], { listener: `${listening()}\n${TLS}` });
    await withProxy(
      config,
      async (proxy) => {
        const socket = connect({ port: proxy.port, host: '127.0.0.1' });
        socket.write(V2, 'latin1');
        const secure = connectTls({ socket, servername: 'web', ca: ca.certPem, ALPNProtocols: ['http/1.1'] });
        secure.write(GET);
        let text = '';
        secure.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        await once(secure, 'end');
        assert.match(text, /203\.0\.113\.7 443$/);
      },
      { secrets: await tlsSecrets() },
    );
    await backend.close();
  });

  test('comes before HTTP/2', async () => {
    const backend = await echoing();
    await withProxy(oneService([backend.port], { listener: listening() }), async (proxy) => {
      const socket = connect({ port: proxy.port, host: '127.0.0.1' });
      socket.write(V1);
      const client = connectHttp2('http://x', { createConnection: () => socket });
      const request = client.request({ ':path': '/' });
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      await once(request, 'end');
      assert.equal(body, '203.0.113.7 443');
      client.destroy();
    });
    await backend.close();
  });

  test('is the address that callers are trusted by', async () => {
    const backend = await httpBackend((request, response) => {
      response.end(String(request.headers['x-envoy-external-address']));
    });
    const listener = `${listening()}\ntrustedCallers: [127.0.0.0/8]`;
    await withProxy(oneService([backend.port], { listener }), async (proxy) => {
      assert.match(await send(proxy, V2 + GET), /203\.0\.113\.7/);
    });
    await backend.close();
  });
});

/** What a refusal looks like: closed without an answer, and written down. */
async function refused(proxy: TestProxy, why: RegExp, ...parts: string[]): Promise<void> {
  const before = proxy.decisions.length;
  assert.equal(await send(proxy, ...parts), '');
  await until(() => {
    void proxy.recorded();
    return proxy.decisions.length === before + 1;
  }, 'a decision');
  const { code, flags, detail, status } = proxy.decisions[before] ?? {};
  assert.deepEqual([code, flags, status], ['proxy-protocol', 'DPE', 0]);
  assert.match(detail ?? '', why);
  assert.equal(proxy.listenerCounter('web', 'proxyProtoRefused'), before + 1);
  assert.equal(proxy.listenerCounter('web', 'downstreamRqTotal'), 0, 'there was no request');
}

describe('what is refused', () => {
  const backend = 1;

  test('no header where there has to be one, and a broken one', async () => {
    await withProxy(oneService([backend], { listener: listening() }), async (proxy) => {
      await refused(proxy, /begins with something else/, GET);
      await refused(proxy, /v1: expected TCP4/, `PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n${GET}`);
      await refused(proxy, /v2: version and command/, V2.slice(0, 12), '\x31\x11\0\x0c', GET);
    });
  });

  test('a version that the listener does not take', async () => {
    await withProxy(oneService([backend], { listener: listening('versions: [v2]') }), async (proxy) => {
      await refused(proxy, /version v1 is not among/, V1 + GET);
    });
  });

  test('anybody else, whatever he sends', async () => {
    await withProxy(oneService([backend], { listener: listening('', '10.0.0.0/8') }), async (proxy) => {
      await refused(proxy, /not among proxyProtocol.trustedProxies/, GET);
      await refused(proxy, /not among proxyProtocol.trustedProxies/, V1 + GET);
    });
  });

  test('one who is too slow; one who leaves is nobody to write down', async () => {
    const listener = `${listening()}\ntimeouts: { header: 300ms }`;
    await withProxy(oneService([backend], { listener }), async (proxy) => {
      await refused(proxy, /not complete in time/, 'PROXY TCP4 ');
      await refused(proxy, /not complete in time/);
      const visitor = await RawClient.connect(proxy.port);
      visitor.destroy();
      await until(() => proxy.connections === 0, 'its end');
      assert.equal(proxy.decisions.length, 2);
    });
  });
});

test('a reload that asks for it asks new connections', async () => {
  const backend = await echoing();
  const config = (listener: string): string => oneService([backend.port], { listener });
  await withProxy(config(''), async (proxy) => {
    const kept = await RawClient.connect(proxy.port);
    await kept
      .send(GET.replace('Connection: close\r\n', ''))
      .until((text) => /127\.0\.0\.1 [0-9]+/.test(text));
    await proxy.reload(config(listening()).replace('127.0.0.1:0', `127.0.0.1:${proxy.port}`));
    kept.text = '';
    await kept.send(GET).until((text) => /127\.0\.0\.1 [0-9]+/.test(text));
    kept.destroy();
    assert.equal(await send(proxy, GET), '');
    assert.match(await send(proxy, V2 + GET), /203\.0\.113\.7 443$/);
  });
  await backend.close();
});

describe('where it is optional', () => {
  test('connections without it have their own address', async () => {
    const backend = await echoing();
    const config = oneService([backend.port], { listener: listening('optional: true') });
    await withProxy(config, async (proxy) => {
      assert.match(await send(proxy, GET), /127\.0\.0\.1 [0-9]+$/);
      assert.match(await send(proxy, V1 + GET), /203\.0\.113\.7 443$/);
      assert.equal(proxy.listenerCounter('web', 'proxyProtoNotFoundAllowed'), 1);
    });
    await backend.close();
  });

  test('others than trusted proxies are served, and may send none', async () => {
    const backend = await echoing();
    const config = oneService([backend.port], { listener: listening('optional: true', '10.0.0.0/8') });
    await withProxy(config, async (proxy) => {
      assert.match(await send(proxy, GET), /127\.0\.0\.1/);
      assert.equal(await send(proxy, V2 + GET), '');
      assert.equal((await proxy.decision()).code, 'proxy-protocol');
    });
    await backend.close();
  });

  test('a server that speaks first does not wait for a client that waits for it', async () => {
    const backend = await rawBackend((server) => server.send('220 hello\r\n'));
    const config = `
listeners: [{ name: db, address: 127.0.0.1:0, protocol: tcp, ${listening('optional: true')}, timeouts: { detect: 20ms } }]
tcpRoutes: [{ name: db, backendRefs: [{ name: a }] }]
services: [{ name: a, protocol: tcp, endpoints: [{ address: 127.0.0.1:${backend.port} }] }]
`;
    await withProxy(config, async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      await client.until((text) => text.includes('220 hello'));
      client.destroy();
    });
    await backend.close();
  });
});
