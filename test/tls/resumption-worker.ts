/** A terminator on a thread of its own, as a proxy worker has one. Posts its port, then every handshake. */
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/base/index.ts';
import { decodeSecrets, type ListenerTls } from '../../src/config/secrets.ts';
import { createTlsTerminator } from '../../src/dataplane/transport/tls-server.ts';

const { secrets, tls } = workerData as { secrets: ArrayBuffer; tls: ListenerTls };
const terminator = createTlsTerminator({
  listener: 'web',
  tls,
  secrets: decodeSecrets(secrets),
  clock: systemClock,
  handshakeTimeoutMs: 5_000,
  onSecure(socket, _raw, facts) {
    socket.on('error', () => {});
    socket.resume();
    socket.end(facts.peer?.uriSans[0] ?? 'nobody');
  },
  onFailure() {},
});
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', (chunk: Buffer) => {
    socket.pause();
    terminator.accept(socket, chunk);
  });
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as { port: number }).port));
