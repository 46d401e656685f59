/**
 * What counting callers costs, and what it costs to turn a connection away: nanoseconds for a connection and a request of a
 * known caller beside 200 others, and microseconds of a thread's processor time for each connection that is refused, by the
 * ways that Node has. Run: node bench/micro/callers.ts
 */
import { BlockList, connect, createServer, type Server, type Socket } from 'node:net';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { attachLedger, createLedger } from '../../src/ledger/index.ts';
import { measure } from '../harness/measure.ts';

const PER_ROUND = 10_000;
const SECONDS = 2;

function count(): void {
  const { callers } = attachLedger(createLedger({ workers: 4, maxServices: 1, maxEndpoints: 1 }).buffers, 0);
  for (let i = 0; i < 200; i++) callers.enter(`10.0.1.${i}`, 64, 1_000, 0);
  const slot = callers.enter('10.0.0.7', 64, 1_000, 0);
  measure('a connection: enter, leave', PER_ROUND, () => {
    callers.leave(callers.enter('10.0.0.7', 64, 1_000, 0));
  });
  measure('a request: acquire, release', PER_ROUND, () => {
    callers.acquireRequest(slot, 1_000);
    callers.releaseRequest(slot);
  });
}

class RefuseAll extends BlockList {
  count = 0;

  override check(): boolean {
    this.count++;
    return true;
  }
}

const WAYS: Readonly<Record<string, (socket: Socket) => void>> = {
  destroy: (socket) => socket.destroy(),
  resetAndDestroy: (socket) => socket.resetAndDestroy(),
};

async function refuse(way: string): Promise<void> {
  const blockList = new RefuseAll();
  let refused = 0;
  const options = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
  const server: Server = createServer(way === 'blockList' ? { ...options, blockList } : options, (socket) => {
    refused++;
    WAYS[way]?.(socket);
  });
  await new Promise<void>((resolve) =>
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, resolve),
  );
  const { port } = server.address() as { port: number };
  const clients = new Worker(new URL(import.meta.url), { workerData: port });
  await pause(500);
  refused = 0;
  blockList.count = 0;
  const before = process.threadCpuUsage();
  await pause(1_000 * SECONDS);
  const { user, system } = process.threadCpuUsage(before);
  const times = [user + system, user, system].map((us) => (us / (refused + blockList.count)).toFixed(1));
  console.log(
    `refused by ${way.padEnd(18)} ${times[0]} µs, of which JavaScript ${times[1]}, kernel ${times[2]}`,
  );
  await clients.terminate();
  await new Promise((resolve) => server.close(resolve));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Eight clients that come back at once. */
function comeBack(port: number): void {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.on('close', () => comeBack(port));
  socket.resume();
}

if (!isMainThread) for (let i = 0; i < 8; i++) comeBack(workerData as number);
else if (import.meta.main) {
  count();
  for (const way of [...Object.keys(WAYS), 'blockList']) await refuse(way);
}
