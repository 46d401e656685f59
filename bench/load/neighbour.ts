/**
 * A neighbour that wants more than its share, from an address of its own, until it is ended. `crowd`: opens 5,000 connections, a
 * thousand a second, asks once on each and keeps them; one that is reset is tried again after a while, as gRPC's clients do.
 * `elsewhere`: the same at a server in this process, which keeps a thousand and resets the others. `upload`: sends 1 GB at
 * 1.6 MB/s, and listens on SINK for what arrives of it. It makes FILE when it has begun, and at its end writes into it how many
 * connections are open, and how many were reset. Arguments: crowd|elsewhere|upload PORT FILE [SINK].
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';

const FROM = '127.0.0.9';
const CONNECTIONS = 5_000;
const KEPT_ELSEWHERE = 1_000;
/** More would be all that the processor has which it shares with the workload that is watched. */
const TWO_EVERY_MS = 2;
/** gRPC's connection backoff. */
const BACKOFF = { firstMs: 1_000, factor: 1.6, maxMs: 120_000, jitter: 0.2 } as const;
const PIECE = Buffer.alloc(16_384, 'x');
const PIECE_EVERY_MS = 10;

const [kind = 'crowd', portText = '0', file = '', sink = '0'] = process.argv.slice(2);
let port = Number(portText);
let open = 0;
let reset = 0;

function reach(): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress: FROM });
  return socket.on('error', () => {});
}

/** Attempts that are due, and how long each waits for the next one should it be reset. */
const due: number[] = [];

function tryOne(waitMs: number | undefined): void {
  if (waitMs === undefined) return;
  let answered = false;
  const socket = reach();
  const settled = (): void => {
    if (open + reset === 1) writeFileSync(file, '');
  };
  socket.on('connect', () => socket.write('GET /64 HTTP/1.1\r\nHost: svc-0.bench.example\r\n\r\n'));
  socket.once('data', () => {
    answered = true;
    open++;
    settled();
  });
  socket.once('close', () => {
    if (answered) {
      open--;
      return;
    }
    reset++;
    settled();
    const jitter = 1 + BACKOFF.jitter * (2 * Math.random() - 1);
    setTimeout(() => due.push(Math.min(waitMs * BACKOFF.factor, BACKOFF.maxMs)), waitMs * jitter);
  });
}

function crowd(): void {
  for (let i = 0; i < CONNECTIONS; i++) due.push(BACKOFF.firstMs);
  setInterval(() => {
    tryOne(due.pop());
    tryOne(due.pop());
  }, TWO_EVERY_MS);
}

function crowdElsewhere(): void {
  let kept = 0;
  const server = createTcpServer((socket) => {
    if (kept++ >= KEPT_ELSEWHERE) socket.resetAndDestroy();
    else socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1', () => {
    ({ port } = server.address() as AddressInfo);
    crowd();
  });
}

function upload(): void {
  createServer((request) => request.resume().once('data', () => writeFileSync(file, ''))).listen(
    Number(sink),
    '127.0.0.1',
    () => {
      const socket = reach();
      socket.write(`POST /upload HTTP/1.1\r\nHost: sink.bench.example\r\nContent-Length: ${2 ** 30}\r\n\r\n`);
      setInterval(() => socket.writableLength === 0 && socket.write(PIECE), PIECE_EVERY_MS);
    },
  );
}

process.on('SIGTERM', () => {
  writeFileSync(file, JSON.stringify({ open, reset }));
  process.exit();
});
if (kind === 'upload') upload();
else if (kind === 'elsewhere') crowdElsewhere();
else crowd();
