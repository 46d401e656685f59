/** TLS that ends at a TCP listener: its bytes go on in plain. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial } from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { ca, TLS, tlsSecrets } from '../exchange/tls.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { RawClient, rawBackend } from '../kit/raw.ts';
import { tcpService } from './kit.ts';

test('a server that speaks first is heard, and each side ends on its own', async () => {
  const backend = await rawBackend((upstream) => upstream.send('220 mail'));
  await withProxy(
    tcpService([backend.port], { listener: TLS }),
    async (proxy) => {
      const target = { host: '127.0.0.1', port: proxy.port, ca: ca.certPem, servername: 'web' };
      const socket = connect({ ...target, allowHalfOpen: true } as object);
      const client = new RawClient(socket);
      await client.until((t) => t === '220 mail');
      const server = await backend.connection(0);
      client.send('QUIT').socket.end();
      assert.equal(await server.untilEnd(), 'QUIT');
      server.send(' bye').socket.end();
      assert.equal(await client.untilClosed(), '220 mail bye');
      assert.deepEqual([client.error, server.error], [null, null]);
      await until(() => proxy.active === 0, 'it is over');
      await proxy.recorded();
      assert.deepEqual(proxy.decisions, []);
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});

test('a client that speaks no TLS is closed and recorded, and not answered in HTTP', async () => {
  const backend = await rawBackend();
  await withProxy(
    tcpService([backend.port], { listener: TLS }),
    async (proxy) => {
      for (const said of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '*1\r\n$4\r\nPING\r\n']) {
        proxy.decisions.length = 0;
        const client = (await RawClient.connect(proxy.port)).send(said);
        await client.untilEnd();
        assert.doesNotMatch(client.text, /HTTP/);
        client.destroy();
        const decision = await proxy.decision();
        assert.deepEqual([decision.code, decision.listener], ['tls-handshake', 'db']);
        assert.match(decision.detail, /not-tls/);
      }
      assert.equal(backend.accepted.length, 0);
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});

test('a client that vanishes without close_notify is no end of what it had to say', async () => {
  const backend = await rawBackend();
  await withProxy(
    tcpService([backend.port], { listener: TLS }),
    async (proxy) => {
      const raw = dial({ host: '127.0.0.1', port: proxy.port });
      const socket = connect({ socket: raw, ca: ca.certPem, servername: 'web' }).on('error', () => {});
      await once(socket, 'secureConnect');
      socket.write('half a');
      const server = await backend.connection(0);
      await server.until((t) => t === 'half a');
      raw.resetAndDestroy();
      await server.untilClosed();
      assert.equal(server.error?.code, 'ECONNRESET');
      assert.equal((await proxy.decision()).flags, 'DC');
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});
