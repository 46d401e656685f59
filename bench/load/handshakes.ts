/**
 * A client that opens a TLS connection, asks once and closes, a given number of times; eight at a time. With `resume` it
 * offers the newest ticket it was given. Rates mean nothing here (a client's handshake costs as much as the server's):
 * who runs it divides the server's CPU by the number of connections. Arguments: PORT COUNT full|resume.
 */
import { connect } from 'node:tls';
import { hostOf, REQUEST_HEADERS } from './headers.ts';

export interface HandshakeResult {
  readonly connections: number;
  readonly resumed: number;
  readonly failed: number;
}

const AT_A_TIME = 8;
const [port = 0, count = 0] = process.argv.slice(2, 4).map(Number);
const resume = process.argv[4] === 'resume';
const fields = REQUEST_HEADERS.map(([name, value]) => `${name}: ${value}\r\n`).join('');

let ticket: Buffer | null = null;
let resumed = 0;
let failed = 0;

function once(service: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      servername: 'proxy.bench.example',
      rejectUnauthorized: false,
      ...(resume && ticket !== null ? { session: ticket } : {}),
    });
    socket.on('session', (session: Buffer) => {
      ticket = session;
    });
    socket.once('secureConnect', () => {
      if (socket.isSessionReused()) resumed++;
      socket.write(`GET /64 HTTP/1.1\r\nHost: ${hostOf(service)}\r\n${fields}Connection: close\r\n\r\n`);
    });
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      if (answer.length < 12) answer += chunk.toString('latin1', 0, 12);
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      if (!answer.startsWith('HTTP/1.1 200')) failed++;
      resolve();
    });
  });
}

// One ticket first, so that every connection that is counted has one to offer.
if (resume) {
  await once(0);
  resumed = 0;
}
let started = 0;
const lane = async (): Promise<void> => {
  while (started < count) await once(started++ % 100);
};
await Promise.all(Array.from({ length: AT_A_TIME }, lane));
process.stdout.write(
  `${JSON.stringify({ connections: count, resumed, failed } satisfies HandshakeResult)}\n`,
);
