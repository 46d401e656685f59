/** Clients and backends that speak bytes, for what no HTTP library would send or show. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { after } from 'node:test';

/** What a test that failed has left open would keep its file from ending. */
const open = new Set<{ close(): Promise<void> }>();
after(() => Promise.all([...open].map((backend) => backend.close())));

/** A TCP client that keeps everything it is sent. */
export class RawClient {
  readonly socket: Socket;
  text = '';
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | null = null;
  private waiters: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      this.wake();
    });
    socket.on('end', () => {
      this.ended = true;
      this.wake();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error;
    });
    socket.on('close', () => {
      this.closed = true;
      this.wake();
    });
  }

  /** `from`: the address it has. */
  static async connect(port: number, from = '127.0.0.1'): Promise<RawClient> {
    const local = { localAddress: from };
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true, ...local });
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Resolves when what was received satisfies `test`; rejects when the connection ends before. */
  async until(test: (text: string) => boolean): Promise<string> {
    while (!test(this.text)) {
      if (this.closed || this.ended)
        throw new Error(`the connection ended; received ${JSON.stringify(this.text)}`);
      await this.change();
    }
    return this.text;
  }

  /** Resolves with everything received when the peer has ended its side. */
  async untilEnd(): Promise<string> {
    while (!this.ended && !this.closed) await this.change();
    return this.text;
  }

  async untilClosed(): Promise<string> {
    while (!this.closed) await this.change();
    return this.text;
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Resolves when something comes; a test that would wait for ever fails with what came before. */
  private change(): Promise<void> {
    return new Promise((resolve, reject) => {
      const overdue = setTimeout(() => {
        reject(new Error(`nothing came for 10 s; received ${JSON.stringify(this.text.slice(-2_000))}`));
      }, 10_000);
      this.waiters.push(() => {
        clearTimeout(overdue);
        resolve();
      });
    });
  }

  private wake(): void {
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter();
  }
}

export interface RawBackend {
  readonly port: number;
  /** Connections accepted so far. */
  readonly accepted: RawClient[];
  /** Resolves with the connection at this index once it has been accepted. */
  connection(index: number): Promise<RawClient>;
  close(): Promise<void>;
}

/** A TCP server whose connections the test scripts. */
export async function rawBackend(
  onConnection: (client: RawClient, index: number) => void = () => {},
): Promise<RawBackend> {
  const accepted: RawClient[] = [];
  let wake: (() => void)[] = [];
  const server: NetServer = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const client = new RawClient(socket);
    accepted.push(client);
    onConnection(client, accepted.length - 1);
    for (const waiter of wake) waiter();
    wake = [];
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend: RawBackend = {
    port: (server.address() as { port: number }).port,
    accepted,
    async connection(index) {
      while (accepted[index] === undefined) await new Promise<void>((resolve) => wake.push(resolve));
      return accepted[index] as RawClient;
    },
    async close() {
      open.delete(backend);
      for (const client of accepted) client.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  open.add(backend);
  return backend;
}

/**
 * A port whose listener accepts nothing and whose accept queue is full, so that the kernel answers no further
 * SYN: connecting to it hangs, as behind a firewall that drops packets.
 */
export async function unacceptingPort(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', UNACCEPTING], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  const filling = Array.from({ length: 8 }, () => connect({ host: '127.0.0.1', port }).on('error', () => {}));
  await Promise.race(filling.map((socket) => once(socket, 'connect')));
  const backend = {
    port,
    async close() {
      open.delete(backend);
      for (const socket of filling) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
  open.add(backend);
  return backend;
}

const UNACCEPTING = `
const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  require('node:fs').writeSync(1, String(server.address().port));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

export interface HttpBackend {
  readonly port: number;
  /** Requests seen, in order. */
  readonly requests: IncomingMessage[];
  readonly server: Server;
  close(): Promise<void>;
}

/** An ordinary HTTP backend. */
export async function httpBackend(
  handle: (request: IncomingMessage, response: ServerResponse, index: number) => void,
): Promise<HttpBackend> {
  const requests: IncomingMessage[] = [];
  const server = createHttpServer((request, response) => {
    requests.push(request);
    handle(request, response, requests.length - 1);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend: HttpBackend = {
    port: (server.address() as { port: number }).port,
    requests,
    server,
    async close() {
      open.delete(backend);
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  open.add(backend);
  return backend;
}

/** The configuration of one listener, one service and a rule in between. */
export function oneService(
  ports: readonly number[],
  parts: { readonly listener?: string; readonly rule?: string; readonly service?: string } = {},
): string {
  const endpoints = ports.map((port) => `{ address: 127.0.0.1:${port} }`).join(', ');
  return `
listeners:
  - name: web
    address: 127.0.0.1:0
${indent(parts.listener, 4)}
routes:
  - name: all
    rules:
      - backendRefs: [{ name: a }]
${indent(parts.rule, 8)}
services:
  - name: a
    endpoints: [${endpoints}]
${indent(parts.service, 4)}
`;
}

function indent(text: string | undefined, spaces: number): string {
  return (text ?? '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ' '.repeat(spaces) + line)
    .join('\n');
}
