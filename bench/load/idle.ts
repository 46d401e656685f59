/**
 * A client that opens connections, asks once on each and then keeps them open until it is ended. It makes a file when
 * all are open. Arguments: FILE COUNT PORT[,PORT…] tls|plain.
 */
import { writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { hostOf, REQUEST_HEADERS } from './headers.ts';

const AT_A_TIME = 16;
const [file = '', countText = '0', portList = '', kind = 'plain'] = process.argv.slice(2);
const count = Number(countText);
const ports = portList.split(',').map(Number);
const fields = REQUEST_HEADERS.map(([name, value]) => `${name}: ${value}\r\n`).join('');

function open(index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const to = { host: '127.0.0.1', port: ports[index % ports.length] as number };
    const socket =
      kind === 'tls'
        ? connectTls({ ...to, servername: 'proxy.bench.example', rejectUnauthorized: false })
        : connectPlain(to);
    socket.once(kind === 'tls' ? 'secureConnect' : 'connect', () => {
      socket.write(`GET /64 HTTP/1.1\r\nHost: ${hostOf(index % 100)}\r\n${fields}\r\n`);
    });
    socket.once('data', () => resolve());
    socket.on('error', reject);
  });
}

let started = 0;
const lane = async (): Promise<void> => {
  while (started < count) await open(started++);
};
await Promise.all(Array.from({ length: AT_A_TIME }, lane));
writeFileSync(file, String(count));
