/**
 * WebSockets of Node's client and of node:http2 through the proxy, each way of asking for one (HTTP/1.1's Upgrade, RFC
 * 8441's extended CONNECT) with each way of being asked.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService } from '../kit/raw.ts';
import { echoFrames, echoWebSockets, talkWebSocket } from '../kit/websocket.ts';

const BYTES = 3_000_000;

interface Backend {
  readonly protocol: string;
  readonly port: number;
}

async function byUpgrade(t: TestContext): Promise<Backend> {
  const backend = await httpBackend((_request, response) => response.end());
  echoWebSockets(backend.server);
  t.after(() => backend.close());
  return { protocol: 'http', port: backend.port };
}

async function byConnect(t: TestContext): Promise<Backend> {
  const server = createServer({ settings: { enableConnectProtocol: true } });
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    assert.equal(headers[':protocol'], 'websocket');
    assert.equal(headers['sec-websocket-version'], '13');
    stream.respond({ ':status': 200, 'sec-websocket-protocol': 'echo' });
    echoFrames(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { protocol: 'http2', port: (server.address() as { port: number }).port };
}

for (const backend of [byUpgrade, byConnect]) {
  test(`Node's WebSocket through the proxy, to a server reached ${backend.name}`, async (t) => {
    const { port, protocol } = await backend(t);
    await withProxy(oneService([port], { service: `protocol: ${protocol}` }), async (proxy) => {
      const talk = await talkWebSocket(`ws://127.0.0.1:${proxy.port}/echo`, BYTES);
      assert.deepEqual(talk, {
        texts: ['hello', '„ü🙂“'],
        binary: BYTES,
        same: true,
        code: 4001,
        clean: true,
        protocol: 'echo',
      });
    });
  });

  test(`extended CONNECT through the proxy, to a server reached ${backend.name}`, async (t) => {
    const { port, protocol } = await backend(t);
    await withProxy(oneService([port], { service: `protocol: ${protocol}` }), async (proxy) => {
      const session = connect(`http://127.0.0.1:${proxy.port}`);
      const [settings] = await once(session, 'remoteSettings');
      assert.equal(settings.enableConnectProtocol, true);
      const stream = session.request({
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': '/echo',
        'sec-websocket-version': '13',
        'sec-websocket-protocol': 'echo',
      });
      const [headers] = await once(stream, 'response');
      assert.equal(headers[':status'], 200);
      assert.equal(headers['sec-websocket-protocol'], 'echo');
      // A text frame whose mask is zero, then a close frame with code 1000.
      stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 104, 105]));
      stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 232]));
      const parts: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => parts.push(chunk));
      await once(stream, 'end');
      assert.deepEqual(Buffer.concat(parts), Buffer.from([0x81, 2, 104, 105, 0x88, 2, 3, 232]));
      stream.end();
      await once(stream, 'close');
      session.close();
      await once(session, 'close');
    });
  });
}
