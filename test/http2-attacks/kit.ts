/** What the attacks share: a well-behaved client beside the attacker, and the memory that the proxy holds. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { after } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Clock, systemClock } from '../../src/base/index.ts';
import { type Answer, type SessionClient, sessionClient } from '../kit/http2.ts';
import { type TestProxy, until } from '../kit/proxy.ts';

export const KIB = 1024;
export const MIB = 1024 * KIB;

export interface Backend {
  readonly port: number;
  /** Requests for this path so far. */
  hits(path: string): number;
  /** Requests whose answer is outstanding. */
  readonly active: number;
  close(): Promise<void>;
}

const open = new Set<Backend>();
after(() => Promise.all([...open].map((backend) => backend.close())));

/**
 * An HTTP/1.1 endpoint that keeps nothing but counts. `/never` is not answered; all else by `answer`, or with `ok` after
 * the request's end.
 */
export async function backend(
  answer: (request: IncomingMessage, response: ServerResponse) => void = (request, response) => {
    request.resume().on('end', () => response.end('ok'));
  },
): Promise<Backend> {
  const counts = new Map<string, number>();
  let active = 0;
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    counts.set(path, (counts.get(path) ?? 0) + 1);
    active++;
    response.on('close', () => active--);
    response.on('error', () => {});
    request.on('error', () => {});
    if (path !== '/never') answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const made: Backend = {
    port: (server.address() as { port: number }).port,
    hits: (path) => counts.get(path) ?? 0,
    get active() {
      return active;
    },
    async close() {
      open.delete(made);
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  open.add(made);
  return made;
}

/** A client that goes on asking, one request after the other, until it is told to stop. */
export class Bystander {
  served = 0;
  readonly latenciesMs: number[] = [];
  private readonly client: SessionClient;
  private readonly path: string;
  private stopping = false;
  private readonly done: Promise<void>;

  private constructor(client: SessionClient, path: string) {
    this.client = client;
    this.path = path;
    this.done = this.run();
    this.done.catch(() => {}); // told by `stop`
  }

  static async start(port: number, path = '/bystander'): Promise<Bystander> {
    const client = await sessionClient(port);
    await until(() => !client.session.settling, 'settings');
    return new Bystander(client, path);
  }

  /** Fails if a single request has failed, or none was made. */
  async stop(): Promise<void> {
    const before = this.served;
    // At least one more from now on: whatever was done before has not hurt.
    await Promise.race([until(() => this.served > before + 1, 'another answer'), this.done]);
    this.stopping = true;
    await this.done;
    this.client.close();
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      const startedMs = performance.now();
      let answer: Answer;
      try {
        answer = await this.client.request(this.path, null);
      } catch (error) {
        throw new Error(`request ${this.served} of the well-behaved client failed: ${error}`);
      }
      assert.equal(answer.status, 200, `request ${this.served} of the well-behaved client`);
      this.latenciesMs.push(performance.now() - startedMs);
      this.served++;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** Runs `attack` beside a well-behaved client, all of whose requests must be answered with 200. */
export async function besides<T>(port: number, attack: () => Promise<T>): Promise<T> {
  const bystander = await Bystander.start(port);
  let outcome: T;
  try {
    outcome = await attack();
  } catch (error) {
    await bystander.stop().catch(() => {});
    throw error;
  }
  await bystander.stop();
  return outcome;
}

/** The system's clock, and what a test adds to it. */
export class MovedClock implements Clock {
  private addedMs = 0;

  nowMs(): number {
    return systemClock.nowMs() + this.addedMs;
  }

  wallMs(): number {
    return systemClock.wallMs() + this.addedMs;
  }

  advance(ms: number): void {
    this.addedMs += ms;
  }
}

/** Lets the wheel's interval come round, and what follows of it. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10));
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use after a collection: the heap, and buffers beside it, which are given back some time after it. */
export async function heldBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return least;
}

/** There is a decision record of this kind with such a detail. */
export async function assertRecorded(proxy: TestProxy, kind: string, detail: RegExp): Promise<void> {
  await proxy.recorded();
  const found = proxy.decisions.map((decision) => `${decision.code}: ${decision.detail}`);
  assert.ok(
    found.some((text) => text.startsWith(`${kind}: `) && detail.test(text)),
    `a decision of kind ${kind} that matches ${detail}; there are ${JSON.stringify([...new Set(found)])}`,
  );
}
