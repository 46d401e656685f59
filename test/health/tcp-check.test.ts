/** Checks over TCP against real sockets: what is sent, what has to come back, and how it fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import type { TcpHealthCheckConfig } from '../../src/config/index.ts';
import { NO_SECRETS } from '../../src/config/index.ts';
import { probeEndpoint } from '../../src/controlplane/health/index.ts';
import { check, checkWhole, listen, meshAuthority, target, tcpEndpoint } from './endpoints.ts';
import { CHECK } from './kit.ts';

const hex = (text: string): string => Buffer.from(text).toString('hex');
const tcp = (port: number, parts: Partial<TcpHealthCheckConfig> = {}) =>
  target(port, { protocol: 'tcp', check: { ...CHECK, tcp: { send: '', receive: [], ...parts } } });

test('to be connected is enough where nothing has to come back', async (t) => {
  const port = await tcpEndpoint(t);
  assert.deepEqual(await check(tcp(port)), { passed: true, reason: 'connected' });
  assert.deepEqual(await check(tcp(port, { send: '00' })), { passed: true, reason: 'connected' });
});

test('the blocks have to come in their order, with anything in between, in any pieces', async (t) => {
  const port = await tcpEndpoint(t, (socket) => {
    socket.once('data', (asked: Buffer) => {
      assert.equal(asked.toString(), 'PING\r\n');
      const answer = Buffer.from('+hello, world: PONG\r\n');
      let at = 0;
      const next = (): void => {
        if (at < answer.length) socket.write(answer.subarray(at, ++at), next);
        else socket.end();
      };
      next();
    });
  });
  const ask = (...receive: string[]) =>
    checkWhole(tcp(port, { send: hex('PING\r\n'), receive: receive.map(hex) }));
  assert.equal((await ask('PONG')).passed, true);
  assert.equal((await ask('hello', 'world', 'PONG')).passed, true);
  assert.equal((await ask('lo', 'o', 'o')).passed, false, 'each behind the one before it');
});

test('what closes, or says too much of something else, fails', async (t) => {
  const closing = await tcpEndpoint(t, (socket) => socket.end('no'));
  assert.deepEqual(await checkWhole(tcp(closing, { receive: [hex('yes')] })), {
    passed: false,
    reason: 'closed after 2 bytes without what is expected',
    failureType: 'ACTIVE',
  });
  const resetting = await tcpEndpoint(t, (socket) => socket.resetAndDestroy());
  const reset = await checkWhole(tcp(resetting, { receive: ['00'] }));
  assert.deepEqual([reset.passed, reset.reason, reset.failureType], [false, 'ECONNRESET', 'NETWORK']);
  const endless = await tcpEndpoint(t, (socket) => {
    const more = (): void => void (socket.destroyed || socket.write(Buffer.alloc(8_192, 1), more));
    more();
  });
  const much = await check(tcp(endless, { receive: ['00'] }));
  assert.match(much.reason, /bytes without what is expected/);
});

test('silence ends with the time for a check', async (t) => {
  const port = await tcpEndpoint(t);
  const abort = new AbortController();
  const result = probeEndpoint(tcp(port, { receive: ['00'] }), NO_SECRETS, abort.signal);
  setTimeout(() => abort.abort(), 20);
  assert.equal((await result).failureType, 'NETWORK_TIMEOUT');
});

test('bytes go over TLS where requests do', async (t) => {
  const mesh = meshAuthority();
  const server = createTlsServer(mesh.issue(), (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write('PONG'));
  });
  const port = await listen(t, server);
  const over = { ...tcp(port, { send: '00', receive: [hex('PONG')] }), tls: mesh.tls };
  assert.equal((await check(over, mesh.secrets)).passed, true);
});
