/** A neighbour that wants all of a node gets its share of it, counted over all workers, and the others notice nothing. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { type RunningNode, withNode } from '../kit/node.ts';
import { freePort, until } from '../kit/proxy.ts';
import { type HttpBackend, httpBackend } from '../kit/raw.ts';

const FLOODER = '127.0.0.5';
const UPLOADER = '127.0.0.6';
const LIMIT = 1_000;
const MIB = 2 ** 20;

function config(port: number, backend: number, callers: string): string {
  return `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }] }] }]
services: [{ name: a, endpoints: [{ address: 127.0.0.1:${backend} }] }]
callers: { ${callers} }
workers: 4
`;
}

async function withNeighbours(
  callers: string,
  use: (node: RunningNode, port: number) => Promise<void>,
  answer: Parameters<typeof httpBackend>[0] = (request, response) => {
    request.resume();
    response.end('ok');
  },
): Promise<void> {
  const backend: HttpBackend = await httpBackend(answer);
  const port = await freePort();
  await withNode(config(port, backend.port, callers), (node) => use(node, port));
  await backend.close();
}

/** Connections that stay open until they are closed, or were reset; those that are `open` have been answered a request. */
class Crowd {
  readonly open = new Set<Socket>();
  reset = 0;
  private readonly port: number;
  private readonly from: string;

  constructor(port: number, from: string) {
    this.port = port;
    this.from = from;
  }

  /** So many more, some at a time; resolves when each has been answered or reset. */
  async grow(count: number): Promise<void> {
    let left = count;
    const next = async (): Promise<void> => {
      while (left-- > 0) await this.one();
    };
    await Promise.all(Array.from({ length: 100 }, next));
  }

  close(): void {
    for (const socket of this.open) socket.destroy();
  }

  private one(): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port: this.port, localAddress: this.from });
    socket.on('error', () => {});
    return new Promise((resolve) => {
      socket.once('connect', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
      socket.once('data', () => {
        this.open.add(socket);
        resolve();
      });
      socket.once('close', () => {
        if (!this.open.delete(socket)) this.reset++;
        resolve();
      });
    });
  }
}

/** Workloads at addresses of their own that ask one request after the other, some of them on new connections. */
class Workloads {
  served = 0;
  private stopping = false;
  private readonly done: Promise<unknown>;

  constructor(port: number, count: number) {
    this.done = Promise.all(
      Array.from({ length: count }, (_, i) => this.run(port, `127.0.1.${i + 1}`, i % 2 === 0)),
    );
    this.done.catch(() => {}); // told by `stop`
  }

  /** Fails if one request has. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.done;
  }

  private async run(port: number, localAddress: string, keepAlive: boolean): Promise<void> {
    const agent = new Agent({ keepAlive, maxSockets: 1 });
    while (!this.stopping) {
      const status = await new Promise((resolve, reject) => {
        const request = httpRequest({ host: '127.0.0.1', port, agent, localAddress }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode));
        });
        request.on('error', (error) =>
          reject(new Error(`a request of ${localAddress} failed: ${error.message}`)),
        );
        request.end();
      });
      assert.equal(status, 200, `an answer to ${localAddress}`);
      this.served++;
    }
    agent.destroy();
  }
}

async function callerOf(node: RunningNode, address: string): Promise<Record<string, number>> {
  const [caller] = (await (await node.admin(`/callers?address=${address}`)).json()) as Record<
    string,
    number
  >[];
  assert.ok(caller, `${address} is known`);
  return caller;
}

async function metric(node: RunningNode, pattern: RegExp): Promise<number> {
  const text = await (await node.admin('/metrics')).text();
  return text
    .split('\n')
    .filter((line) => pattern.test(line))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function residentMib(pid: number): number {
  const kib = /VmRSS:\s+([0-9]+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kib) / 1_024;
}

test('of five thousand connections of one neighbour as many as are allowed stay, over four workers; all others are served', async () => {
  await withNeighbours(`maxConnections: ${LIMIT}`, async (node, port) => {
    const workloads = new Workloads(port, 6);
    const crowd = new Crowd(port, FLOODER);
    await crowd.grow(5_000);
    assert.equal(crowd.open.size, LIMIT);
    assert.equal(crowd.reset, 5_000 - LIMIT);
    const caller = await callerOf(node, FLOODER);
    assert.deepEqual([caller.connections, caller.refusedConnections], [LIMIT, 5_000 - LIMIT]);
    assert.equal(
      await metric(node, /^outboard_requests_failed_total\{.*kind="caller-connections"/),
      5_000 - LIMIT,
    );
    assert.equal(await metric(node, /^outboard_callers_connections_max /), LIMIT);
    const before = workloads.served;
    await until(() => workloads.served > before + 100, 'the others are served');
    await workloads.stop();
    const decisions = (await (await node.admin('/decisions?limit=5000')).json()) as { code: string }[];
    const recorded = decisions.filter(({ code }) => code === 'caller-connections').length;
    assert.ok(recorded > 0 && recorded < 1_000, `${recorded} decision records`);
    crowd.close();
  });
});

test('connections of a worker that ends are its callers’ again', async () => {
  await withNeighbours('maxConnections: 200', async (node, port) => {
    const crowd = new Crowd(port, FLOODER);
    await crowd.grow(200);
    assert.equal(crowd.open.size, 200);
    await node.admin('/workers/0/restart?drain=false', 'POST');
    await until(() => crowd.open.size < 200, 'the connections of the worker end');
    let caller = await callerOf(node, FLOODER);
    while (caller.connections !== crowd.open.size) caller = await callerOf(node, FLOODER);
    await node.ready();
    const lost = 200 - crowd.open.size;
    await crowd.grow(lost + 20);
    assert.equal(crowd.open.size, 200);
    assert.equal(crowd.reset, 20);
    crowd.close();
  });
});

test('a gigabyte sent slowly, and one that its receiver does not read, cost no memory', async () => {
  let received = 0;
  await withNeighbours(
    `maxBufferedBytes: ${4 * MIB}`,
    async (node, port) => {
      const workloads = new Workloads(port, 4);
      await until(() => workloads.served > 200, 'the others are served');
      const pid = node.process.pid as number;
      const before = residentMib(pid);
      const upload = connect({ host: '127.0.0.1', port, localAddress: UPLOADER });
      upload.write(`POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: ${2 ** 30}\r\n\r\n`);
      const unread = Array.from({ length: 20 }, () => {
        const socket = connect({ host: '127.0.0.1', port, localAddress: FLOODER });
        socket.on('error', () => {});
        socket.pause();
        socket.write('GET /big HTTP/1.1\r\nHost: x\r\n\r\n');
        return socket;
      });
      const piece = Buffer.alloc(64 * 1_024, 'x');
      const sending = setInterval(() => upload.writableLength === 0 && upload.write(piece), 5);
      await until(() => received > 8 * MIB, 'some of the upload arrives');
      clearInterval(sending);
      const { bufferedBytes = 0 } = await callerOf(node, FLOODER);
      assert.ok(bufferedBytes > MIB && bufferedBytes < 12 * MIB, `${bufferedBytes} bytes wait`);
      assert.equal((await callerOf(node, UPLOADER)).bufferedBytes, 0);
      await workloads.stop();
      const grown = residentMib(pid) - before;
      assert.ok(grown < 128, `${grown.toFixed(0)} MiB more`);
      for (const socket of [upload, ...unread]) socket.destroy();
    },
    (request, response) => {
      const count = (chunk: Buffer): void => {
        received += chunk.length;
      };
      if (request.url === '/upload') request.on('data', count);
      else request.resume();
      if (request.url !== '/big') request.on('end', () => response.end('ok'));
      else {
        response.writeHead(200, { 'content-length': 2 ** 30 });
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(64 * 1_024)));
        };
        response.on('drain', more);
        more();
      }
      request.on('error', () => {});
      response.on('error', () => {});
    },
  );
});
