/**
 * A worker that speaks the channel as the real one does, but serves a line protocol that makes it misbehave on
 * demand. It listens with SO_REUSEPORT, beats, acknowledges and counts in the real ledger.
 *
 * Commands: `info`; `hold` and `release` a request of the first service; `spin`, `throw`, `exit`; `block MS` (a call
 * into native code that nothing interrupts); `wait` (answers when the worker drains, `never` does not).
 * A listener called `faulty` is reported as one that can't listen. A tracing.serviceName of `crash-on-start`
 * ends every thread that starts with it.
 */
import { pbkdf2Sync } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { LIMITS, systemClock } from '../../src/base/index.ts';
import type { FromWorker, ListenFault, ToWorker, WorkerStart } from '../../src/channel/index.ts';
import { applyDelta, decodeSecrets, type Snapshot, type SnapshotDelta } from '../../src/config/index.ts';
import { attachLedger, GAUGE } from '../../src/ledger/index.ts';

const start = workerData as WorkerStart;
const port = parentPort as NonNullable<typeof parentPort>;
const ledger = attachLedger(start.ledger, start.index);
const servers = new Map<string, Server>();
const sockets = new Set<Socket>();
const waiting = new Set<Socket>();
let snapshot: Snapshot | null = null;
let deltas = 0;
let reopened = 0;
let secrets = decodeSecrets(start.secrets);
let onIdle: (() => void) | null = null;

const send = (message: FromWorker): void => port.postMessage(message);

async function apply(delta: SnapshotDelta): Promise<void> {
  snapshot = applyDelta(snapshot, delta);
  deltas++;
  const faults: ListenFault[] = [];
  const names = new Set(snapshot.listeners.map(({ name }) => name));
  for (const [name, server] of servers) {
    if (names.has(name)) continue;
    server.close();
    servers.delete(name);
  }
  for (const { name, host, port } of snapshot.listeners) {
    if (servers.has(name)) continue;
    if (name === 'faulty')
      faults.push({ listener: name, code: 'EFAULTY', message: `listener ${name}: out of order` });
    else servers.set(name, await listen(host, port));
  }
  ledger.acknowledge(snapshot.version);
  send({ type: 'applied', version: snapshot.version, faults });
}

function listen(host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.setEncoding('utf8');
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        waiting.delete(socket);
        if (sockets.size === 0) onIdle?.();
      });
      socket.on('data', (text: string) => {
        for (const line of text.split('\n')) if (line !== '') command(line, socket);
      });
    });
    server.once('error', reject);
    server.listen({ host, port, reusePort: true }, () => resolve(server));
  });
}

function command(line: string, socket: Socket): void {
  const [verb, argument] = line.split(' ');
  const service = snapshot?.services[0]?.slot ?? 0;
  switch (verb) {
    case 'info':
      socket.end(`${JSON.stringify(info())}\n`);
      return;
    case 'hold':
      socket.end(`${ledger.gauges.acquire(service, GAUGE.requests, 1_000)}\n`);
      return;
    case 'spin':
      for (;;);
    case 'throw':
      throw new Error('thrown on demand');
    case 'exit':
      process.exit(7);
      return;
    case 'block': {
      const endMs = systemClock.nowMs() + Number(argument);
      // One call must outlast the time given to end: about 0.3 s per million rounds.
      while (systemClock.nowMs() < endMs) pbkdf2Sync('x', 'y', 5_000_000, 32, 'sha512');
      return;
    }
    case 'wait':
      waiting.add(socket);
      return;
    default:
  }
}

function info(): Record<string, unknown> {
  return {
    column: start.index,
    waiting: waiting.size,
    version: snapshot?.version,
    deltas,
    services: snapshot?.services.map(({ name, slot }) => ({ name, slot })),
    serials: secrets.certificates.map(({ serial }) => serial),
    secretKeys: secrets.certificates.every(({ keyPem }) => keyPem.includes('PRIVATE KEY')),
    reopened,
  };
}

async function drain(timeoutMs: number): Promise<void> {
  for (const server of servers.values()) server.close();
  for (const socket of waiting) socket.end('drained\n');
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  const idle = new Promise<void>((resolve) => {
    onIdle = resolve;
    if (sockets.size === 0) resolve();
  });
  await Promise.race([idle, new Promise((resolve) => setTimeout(resolve, timeoutMs))]);
  send({ type: 'drained', aborted: sockets.size });
}

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'snapshot':
      void apply(message.delta);
      return;
    case 'secrets':
      secrets = decodeSecrets(message.secrets);
      return;
    case 'drain':
      void drain(message.timeoutMs);
      return;
    case 'reopen-logs':
      reopened++;
      return;
    case 'cpu-profile':
      setTimeout(() => send({ type: 'cpu-profile', profile: `{"of":${start.index}}` }), message.durationMs);
      return;
    default:
  }
});

if (start.snapshot.node?.tracing.serviceName === 'crash-on-start') throw new Error('crashed on start');
setInterval(() => ledger.beat(systemClock.nowMs()), LIMITS.heartbeatMs / 10);
void apply(start.snapshot);
