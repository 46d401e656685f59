/**
 * Five backends. At first all are well; after `/break` (on the first port, which stays well) the last one stalls, refuses
 * connections, resets them on a request or answers 503, so that a proxy meets the fault warm and with connections open.
 * `/counts` tells the requests that reached each since then. Arguments: FAULT PORT,PORT,…
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export type Fault = 'stall' | 'refuse' | 'reset' | '503';

const [fault = '503', portList = ''] = process.argv.slice(2);
const ports = portList.split(',').map(Number);
const counts = ports.map(() => 0);
let broken = false;

const servers = ports.map((port, index) =>
  createServer({ keepAliveTimeout: 3_600_000 }, (request, response) =>
    answer(request, response, index),
  ).listen(port, '127.0.0.1'),
);

function answer(request: IncomingMessage, response: ServerResponse, index: number): void {
  if (index === 0 && request.url === '/counts') response.end(JSON.stringify(counts));
  else if (index === 0 && request.url === '/break') {
    breakLast();
    response.end();
  } else {
    counts[index] = (counts[index] ?? 0) + 1;
    if (!broken || index !== ports.length - 1) response.end('x'.repeat(64));
    else if (fault === 'reset') request.socket.resetAndDestroy();
    else if (fault === '503') response.writeHead(503).end();
  }
}

function breakLast(): void {
  broken = true;
  counts.fill(0);
  const last = servers.at(-1);
  if (fault !== 'refuse' || last === undefined) return;
  last.close();
  last.closeAllConnections();
}
