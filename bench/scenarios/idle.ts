/** Connections held open by a client of their own, so that its memory is not counted and it can be ended at once. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Bench } from '../harness/bench.ts';
import type { Running } from '../harness/processes.ts';

const CLIENT = fileURLToPath(new URL('../load/idle.ts', import.meta.url));

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
