/**
 * Loopback ports that are free now, and stay so: they are below those that systems give to connections, so that a port
 * which is used minutes later has not become a client's meanwhile. None is given twice.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Linux gives connections those from 32,768 on. */
const RANGE = { first: 16_000, last: 32_000 } as const;

/** Two benchmarks at a time begin at different ones. */
let next = RANGE.first + (process.pid % (RANGE.last - RANGE.first));

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count; tried++) {
    if (tried > RANGE.last - RANGE.first) throw new Error(`fewer than ${count} loopback ports are free`);
    const port = next;
    next = port === RANGE.last ? RANGE.first : port + 1;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const heard = once(server, 'listening').catch(() => null);
  server.listen(port, '127.0.0.1');
  if ((await heard) === null) return false;
  server.close();
  await once(server, 'close');
  return true;
}
