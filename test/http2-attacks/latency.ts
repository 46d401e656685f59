/**
 * What a good client notices of each attack: its latencies beside the attack and without, through the real process with
 * one worker. The attacker has a thread of its own and connects again as soon as it is cut off. Prints, and
 * asserts nothing: machines differ.
 *
 * Run: node test/http2-attacks/latency.ts --seconds 3
 */
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  continuation,
  END_HEADERS,
  END_STREAM,
  field,
  get,
  headers,
  INITIAL_WINDOW,
  OPEN,
  PING,
  requestBlock,
  rst,
  settings,
  windowUpdate,
} from '../kit/frames.ts';
import { sessionClient } from '../kit/http2.ts';
import { withNode } from '../kit/node.ts';
import { freePort, until } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { endpoint } from './endpoints.ts';
import { FramePeer } from './peer.ts';

const LARGE = field('x', 'y'.repeat(3_900), 0x40);
const BOMB = Buffer.concat([requestBlock('GET', '/'), LARGE, Buffer.alloc(10_000, 0x80 | 62)]);

/** Frames of the `i`th step on one connection. */
const ATTACKS: Readonly<Record<string, (i: number) => Buffer>> = {
  'rapid reset': (i) => Buffer.concat([get(2 * i + 1), rst(2 * i + 1)]),
  'made to reset (CVE-2025-8671)': (i) => Buffer.concat([get(2 * i + 1), windowUpdate(2 * i + 1, 0)]),
  PING: () => PING,
  SETTINGS: () => settings(),
  CONTINUATION: (i) =>
    i === 0 ? headers(1, requestBlock('GET', '/'), OPEN) : continuation(1, Buffer.alloc(0)),
  'HPACK bombs': (i) => headers(2 * i + 1, BOMB, END_HEADERS | END_STREAM),
  'a hundred answers of 1 GB, not read': (i) => (i < 100 ? get(2 * i + 1, '/big') : Buffer.alloc(0)),
};

/** What as many connections cost without an attack: the measure for all others, where proxy and attacker share processors. */
const HONEST = 'no attack, a connection per request';

async function askHonestly(port: number): Promise<void> {
  for (let connections = 1; ; connections++) {
    const peer = await FramePeer.connect(port);
    peer.send(get(1));
    await until(() => peer.ended(1), 'an answer');
    peer.destroy();
    parentPort?.postMessage(connections);
  }
}

/** In a thread: one connection after the other, until the thread is ended. */
async function attack(name: string, port: number): Promise<void> {
  if (name === HONEST) await askHonestly(port);
  const step = ATTACKS[name] as (i: number) => Buffer;
  for (let connections = 1; ; connections++) {
    const peer = await FramePeer.connect(port, INITIAL_WINDOW, 0);
    parentPort?.postMessage(connections);
    for (let i = 0; !peer.closed && peer.goaway === '' && i < 100_000; i += 100) {
      const bytes = Buffer.concat(Array.from({ length: 100 }, (_, j) => step(i + j)));
      if (bytes.length > 0) await peer.sent(bytes);
      else await peer.untilClosed().catch(() => {});
      await new Promise((resolve) => setImmediate(resolve));
    }
    peer.destroy();
  }
}

/** Latencies of one request after the other, sorted. */
async function measure(port: number, seconds: number): Promise<number[]> {
  const client = await sessionClient(port);
  await until(() => !client.session.settling, 'settings');
  const latenciesMs: number[] = [];
  const deadline = performance.now() + 1_000 * seconds;
  while (performance.now() < deadline) {
    const startedMs = performance.now();
    const { status } = await client.request('/', null);
    if (status !== 200) throw new Error(`the good client got ${status}`);
    latenciesMs.push(performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  client.close();
  return latenciesMs.sort((a, b) => a - b);
}

function show(name: string, latenciesMs: readonly number[], connections: number): void {
  const at = (share: number): string =>
    (latenciesMs[Math.floor(share * (latenciesMs.length - 1))] ?? 0).toFixed(2).padStart(8);
  console.log(
    `${name.padEnd(38)}${at(0.5)}${at(0.99)}${at(1)}${String(latenciesMs.length).padStart(8)}${String(connections).padStart(8)}`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: 'string' } } });
  const seconds = Number(values.seconds ?? 3);
  const upstream = await endpoint('1.1');
  const port = await freePort();
  const config = oneService([upstream.port]).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withNode(`${config}\nworkers: 1\n`, async () => {
    console.log(`${'milliseconds'.padEnd(38)}     p50     p99     max  answers  attackers`);
    await measure(port, 1);
    show('alone', await measure(port, seconds), 0);
    for (const name of [HONEST, ...Object.keys(ATTACKS)]) {
      const thread = new Worker(new URL(import.meta.url), { workerData: { name, port } });
      let connections = 0;
      thread.on('message', (count: number) => {
        connections = count;
      });
      await until(() => connections > 0, 'the attacker');
      show(name, await measure(port, seconds), connections);
      await thread.terminate();
    }
    show('alone', await measure(port, seconds), 0);
  });
  await upstream.close();
}

if (!isMainThread && workerData !== null) await attack(workerData.name, workerData.port);
else if (import.meta.main) await main();
