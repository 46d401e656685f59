/**
 * The shop as child processes: `web` → `cart` ×2 → `stock` ×3. Every call of theirs goes to the proxy's
 * inner listener, under the name of the service they want.
 *
 * Each child holds an IPC channel and ends when it breaks, so none outlives the demo, not even one
 * killed with SIGKILL.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOST, PORTS, SHOP_PORTS } from './ports.ts';
import type { ShopReport } from './shop/main.ts';

/** How long a child may take to end before it is killed. */
const END_MS = 6_000;
/** How long a child may take to listen; a loaded machine starts six Nodes in about two seconds. */
const START_MS = 20_000;

export interface Shop {
  readonly pids: readonly number[];
  /** Lets each finish what it is at, then ends it. */
  stop(): Promise<void>;
}

export interface Member {
  readonly role: 'web' | 'cart' | 'stock';
  readonly replica: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
}

/** Who runs in the demo. */
export function members(): Member[] {
  const next = (host: string): Record<string, string> => ({
    SHOP_NEXT: `http://${HOST}:${PORTS.mesh}`,
    SHOP_NEXT_HOST: host,
  });
  const traceUrl = `http://${HOST}:${PORTS.admin}/traces?format=text&id={id}`;
  // The slow replica is stock-3, which config/demo.yaml lists alone under stock-audit.
  const moods: Array<Record<string, string>> = [
    {},
    { SHOP_FAILING: '0.33', SHOP_SEED: '7' },
    { SHOP_SLOW_MS: '300-600', SHOP_CONCURRENCY: '4', SHOP_SEED: '11' },
  ];
  return [
    ...replicas('web', () => ({ ...next('cart.shop'), SHOP_TRACE_URL: traceUrl })),
    ...replicas('cart', () => next('stock.shop')),
    ...replicas('stock', (index) => moods[index] ?? {}),
  ];
}

/** Starts the whole shop; rejects, leaving nothing behind, when a member can't listen. */
export async function startShop(list: readonly Member[] = members()): Promise<Shop> {
  const children = list.map(start);
  const shop: Shop = {
    pids: children.map(({ pid }) => pid ?? 0),
    stop: async () => {
      await Promise.all(children.map(end));
    },
  };
  try {
    await Promise.all(children.map((child, index) => listening(child, list[index]?.replica ?? '')));
  } catch (error) {
    await shop.stop();
    throw error;
  }
  return shop;
}

function replicas(role: Member['role'], env: (index: number) => Record<string, string>): Member[] {
  return SHOP_PORTS[role].map((port, index) => ({
    role,
    replica: `${role}-${index + 1}`,
    port,
    env: env(index),
  }));
}

function start({ role, replica, port, env }: Member): ChildProcess {
  // Source runs as .ts, the built package as .js.
  const program = fileURLToPath(new URL(`./shop/main${extname(import.meta.url)}`, import.meta.url));
  return fork(program, [role], {
    env: { ...process.env, ...env, SHOP_REPLICA: replica, SHOP_HOST: HOST, SHOP_PORT: String(port) },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

async function listening(child: ChildProcess, replica: string): Promise<void> {
  const first = (async (): Promise<ShopReport> => {
    const [report] = await once(child, 'message', { signal: AbortSignal.timeout(START_MS) });
    return report;
  })();
  const gone = once(child, 'exit').then(
    ([code, signal]): ShopReport => ({
      error: `it ended with ${signal ?? `status ${code}`}`,
    }),
  );
  const report = await Promise.race([first, gone]).catch(
    (): ShopReport => ({
      error: `it did not listen within ${START_MS / 1000} s`,
    }),
  );
  if ('error' in report) throw new Error(`the demo's ${replica} can't start: ${report.error}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await ended;
  clearTimeout(kill);
}
