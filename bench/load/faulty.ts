/**
 * Five backends of which the last has a fault: it stalls (never answers), refuses connections, resets them on a request
 * or answers 503. Requests that reached each are told at `/counts` of the first port. Arguments: FAULT PORT,PORT,…
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export type Fault = 'stall' | 'refuse' | 'reset' | '503';

const [fault = '503', portList = ''] = process.argv.slice(2);
const ports = portList.split(',').map(Number);
const counts = ports.map(() => 0);

function answer(request: IncomingMessage, response: ServerResponse, index: number): void {
  if (index === 0 && request.url === '/counts') {
    response.end(JSON.stringify(counts));
    return;
  }
  counts[index] = (counts[index] ?? 0) + 1;
  if (index !== ports.length - 1) response.end('x'.repeat(64));
  else if (fault === 'reset') request.socket.resetAndDestroy();
  else if (fault === '503') response.writeHead(503).end();
}

ports.forEach((port, index) => {
  if (fault === 'refuse' && index === ports.length - 1) return;
  createServer({ keepAliveTimeout: 3_600_000 }, (request, response) =>
    answer(request, response, index),
  ).listen(port, '127.0.0.1');
});
