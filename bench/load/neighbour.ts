/**
 * A neighbour that wants more than its share, from an address of its own, until it is ended. `crowd`: opens 5,000 connections, a
 * thousand a second, asks once on each and keeps them; one that is reset is tried again after a while, as gRPC's clients do.
 * `upload`: sends 1 GB at 1.6 MB/s, and listens on SINK for what arrives of it. It makes FILE when it has begun, and at its end
 * writes into it how many connections are open, and how many were reset. Arguments: crowd|upload PORT FILE [SINK].
 *
 * It shares a processor with the workload that is watched. So it gets warm at a server of its own before it begins, because code that
 * is being compiled would be seen in the other's latencies; and it takes its ports in order and closes by resets, because a system
 * that has to find a free port among thousands that are in use or wait does little else, and nobody interrupts it.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';

const FROM = '127.0.0.9';
const PORTS = { first: 10_000, last: 60_000 } as const;
const CONNECTIONS = 5_000;
/** More would be all that the processor has which it shares with the workload that is watched. */
const TWO_EVERY_MS = 2;
/** To get warm: so many connections, of which every other is reset. */
const WARM_CONNECTIONS = 6_000;
/** gRPC's connection backoff. */
const BACKOFF = { firstMs: 1_000, factor: 1.6, maxMs: 120_000, jitter: 0.2 } as const;
const ASK = 'GET /64 HTTP/1.1\r\nHost: svc-0.bench.example\r\n\r\n';
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const PIECE = Buffer.alloc(16_384, 'x');
const PIECE_EVERY_MS = 10;

const [kind = 'crowd', portText = '0', file = '', sink = '0'] = process.argv.slice(2);
const sockets = new Set<Socket>();
let open = 0;
let reset = 0;
/** Another one in each process: those of the last may still wait. */
let localPort = PORTS.first + (process.pid % (PORTS.last - PORTS.first));

function reach(port: number): Socket {
  localPort = localPort === PORTS.last ? PORTS.first : localPort + 1;
  const socket = connect({ port, host: '127.0.0.1', localAddress: FROM, localPort });
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  return socket.on('error', () => {});
}

/** Asks on a new connection; `onSettled` hears whether it was answered, `onReset` that it was not and is closed. */
function attempt(port: number, onSettled: () => void, onReset: () => void): Socket {
  const socket = reach(port);
  let answered = false;
  socket.write(ASK);
  socket.once('data', () => {
    answered = true;
    open++;
    onSettled();
  });
  socket.once('close', () => {
    if (answered) open--;
    else {
      reset++;
      onSettled();
      onReset();
    }
  });
  return socket;
}

async function warm(): Promise<void> {
  let taken = 0;
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    if (taken++ % 2 === 0) socket.resetAndDestroy();
    else socket.on('data', () => socket.write(ANSWER));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  for (let i = 0; i < WARM_CONNECTIONS; i++)
    await new Promise<void>((resolve) => {
      const socket = attempt(
        port,
        () => socket.resetAndDestroy(),
        () => {},
      ).once('close', resolve);
    });
  server.close();
  reset = 0;
}

async function crowd(port: number): Promise<void> {
  await warm();
  /** Attempts that are due, and how long each waits for the next one should it be reset. */
  const due: number[] = new Array(CONNECTIONS).fill(BACKOFF.firstMs);
  const begun = (): void => {
    if (open + reset === 1) writeFileSync(file, '');
  };
  const tryOne = (waitMs: number | undefined): void => {
    if (waitMs === undefined) return;
    attempt(port, begun, () => {
      const jitter = 1 + BACKOFF.jitter * (2 * Math.random() - 1);
      setTimeout(() => due.push(Math.min(waitMs * BACKOFF.factor, BACKOFF.maxMs)), waitMs * jitter);
    });
  };
  setInterval(() => {
    tryOne(due.pop());
    tryOne(due.pop());
  }, TWO_EVERY_MS);
}

function upload(port: number): void {
  createServer((request) => request.resume().once('data', () => writeFileSync(file, ''))).listen(
    Number(sink),
    '127.0.0.1',
    () => {
      const socket = reach(port);
      socket.write(`POST /upload HTTP/1.1\r\nHost: sink.bench.example\r\nContent-Length: ${2 ** 30}\r\n\r\n`);
      setInterval(() => socket.writableLength === 0 && socket.write(PIECE), PIECE_EVERY_MS);
    },
  );
}

process.on('SIGTERM', () => {
  writeFileSync(file, JSON.stringify({ open, reset }));
  for (const socket of sockets) socket.resetAndDestroy();
  setImmediate(() => process.exit());
});
if (kind === 'upload') upload(Number(portText));
else await crowd(Number(portText));
