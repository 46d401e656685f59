/** A directory of its own, a file source in it, and everything that the source says, one after the other. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '../../src/base/index.ts';
import type { Fault } from '../../src/config/load/index.ts';
import {
  type ConfigInput,
  createFileSource,
  type FileSource,
  type FileSourceOptions,
} from '../../src/controlplane/sources/index.ts';

export type Said =
  | { readonly type: 'config'; readonly input: ConfigInput }
  | { readonly type: 'rejected'; readonly faults: readonly Fault[] }
  | { readonly type: 'unresolved'; readonly service: string; readonly name: string };

export interface Rig {
  readonly directory: string;
  readonly file: string;
  readonly clock: FakeClock;
  readonly source: FileSource;
  /** What the source says next; waits for it. */
  next(): Promise<Said>;
  /** What it has said and nobody took. */
  readonly pending: readonly Said[];
}

export async function withSource(
  options: Partial<FileSourceOptions>,
  run: (rig: Rig) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-source-'));
  const file = options.file ?? join(directory, 'c.yaml');
  const clock = new FakeClock();
  const pending: Said[] = [];
  const waiting: ((said: Said) => void)[] = [];
  const say = (said: Said): void => {
    const taker = waiting.shift();
    if (taker) taker(said);
    else pending.push(said);
  };
  const source = createFileSource({
    debounceMs: 5,
    pollMs: 60_000,
    ...options,
    file: options.file ?? file,
    clock,
    onConfig: (input) => say({ type: 'config', input }),
    onRejected: (faults) => say({ type: 'rejected', faults }),
    onResolveFailed: (service, name) => say({ type: 'unresolved', service, name }),
  });
  // The source keeps no process alive; while a test waits for it, this does.
  const alive = setInterval(() => undefined, 60_000);
  try {
    await run({
      directory,
      file,
      clock,
      source,
      pending,
      next() {
        const said = pending.shift();
        if (said) return Promise.resolve(said);
        const { promise, resolve } = Promise.withResolvers<Said>();
        waiting.push(resolve);
        return promise;
      },
    });
  } finally {
    source.stop();
    clearInterval(alive);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A valid file that differs by `port`. */
export function configText(port: number, services = ''): string {
  return `listeners: [{ name: web, address: ":${port}" }]\nroutes: [{ name: r, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200 } }] }] }]\n${services}`;
}
