/**
 * Connections that are open and idle, and what each costs the proxy. They are held by a client of their own, so that its
 * memory is not counted and it can be ended at once.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Bench } from '../harness/bench.ts';
import { pssBytes } from '../harness/proc.ts';
import type { Running } from '../harness/processes.ts';
import { type Subject, startPair } from '../harness/subjects.ts';
import type { Reading } from './scenario.ts';

const CLIENT = fileURLToPath(new URL('../load/idle.ts', import.meta.url));
/** What grows once is not counted per connection: these are open before the first reading, and stay. */
const FIRST = 500;
const COUNTED = 2_000;
const SETTLE_MS = 3_000;
const ROUNDS = 3;

/** KiB per idle TLS connection that has carried one request, in fresh proxies, which have no freed memory to reuse. */
export async function idleMemory(bench: Bench): Promise<Reading> {
  const values: Record<string, number[]> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of await startPair(bench)) {
      const each = await perConnection(bench, subject, round);
      values[subject.name] ??= [];
      values[subject.name]?.push(each);
      bench.say(`idle TLS connection, ${subject.name}: ${each.toFixed(1)} KiB each`);
      await subject.stop();
    }
  }
  return { name: 'memory-per-idle-tls-connection', unit: 'KiB', values };
}

async function perConnection(bench: Bench, subject: Subject, round: number): Promise<number> {
  const port = Number(new URL(subject.urls.tls as string).port);
  const hold = (count: number): Promise<Running> =>
    idleClient(bench, join(bench.directory, `idle-${subject.name}-${round}-${count}`), count, [port], 'tls');
  const first = await hold(FIRST);
  await sleep(SETTLE_MS);
  const before = pssBytes(subject.pids);
  const counted = await hold(COUNTED);
  await sleep(SETTLE_MS);
  const after = pssBytes(subject.pids);
  await Promise.all([first.stop(), counted.stop()]);
  return (after - before) / COUNTED / 1024;
}

/** Resolves when all are open; `file` must not exist yet. */
export function idleClient(
  bench: Bench,
  file: string,
  count: number,
  ports: readonly number[],
  kind: 'tls' | 'plain',
): Promise<Running> {
  const command = [process.execPath, CLIENT, file, String(count), ports.join(','), kind];
  return bench.processes.start('idle connections', command, {
    core: bench.cores.load,
    ready: async () => existsSync(file),
  });
}
