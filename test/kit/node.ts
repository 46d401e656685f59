/** The real process, started as a user starts it, with its workers as threads. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './proxy.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** How long starting or stopping may take before the test fails; far more than it does. */
const PATIENCE_MS = 30_000;

export interface RunningNode {
  /** Directory of the configuration, removed at the end. */
  readonly directory: string;
  readonly configFile: string;
  readonly adminUrl: string;
  readonly process: ChildProcess;
  /** Everything it has written so far. */
  output(): string;
  /** Resolves when its output has matched. */
  said(pattern: RegExp): Promise<string>;
  admin(path: string, method?: string): Promise<Response>;
  /** Resolves when `/ready` answers 200. */
  ready(): Promise<void>;
  /** Sends the signal and resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Runs `outboard run` on this configuration (the admin address is added) and `use` with it once it is ready;
 * afterwards it is stopped and must exit with 0.
 */
export async function withNode<T>(
  yaml: string,
  use: (node: RunningNode) => Promise<T>,
  files: Readonly<Record<string, string>> = {},
  /** Descriptors that it may have; null: as many as the test. */
  descriptors: number | null = null,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-test-'));
  const adminPort = await freePort();
  const configFile = join(directory, 'outboard.yaml');
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  writeFileSync(configFile, `${yaml}\nadmin: { address: 127.0.0.1:${adminPort} }\n`);
  const command = [process.execPath, MAIN, 'run', '--config', configFile];
  const limited = descriptors === null ? [] : ['sh', '-c', `ulimit -n ${descriptors}; exec "$@"`, 'sh'];
  const [program = '', ...args] = [...limited, ...command];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let listeners: (() => void)[] = [];
  const onOutput = (chunk: Buffer): void => {
    output += chunk.toString();
    const waiting = listeners;
    listeners = [];
    for (const listener of waiting) listener();
  };
  child.stdout.on('data', onOutput);
  child.stderr.on('data', onOutput);
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const node: RunningNode = {
    directory,
    configFile,
    adminUrl,
    process: child,
    output: () => output,
    async said(pattern) {
      while (!pattern.test(output)) {
        if (child.exitCode !== null) throw new Error(`it exited; it said:\n${output}`);
        await new Promise<void>((resolve) => listeners.push(resolve));
      }
      return output;
    },
    ready: () => ready(node, child),
    admin: (path, method = 'GET') => fetch(adminUrl + path, { method }),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null) child.kill(signal);
      const [code] = await exited;
      return code;
    },
  };
  try {
    await ready(node, child);
    const outcome = await use(node);
    const code = await node.stop();
    if (code !== 0) throw new Error(`it exited with ${code}; it said:\n${output}`);
    return outcome;
  } catch (error) {
    if (process.env.OUTBOARD_TEST_OUTPUT) console.error(output);
    throw error;
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

async function ready(node: RunningNode, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it did not start; it said:\n${node.output()}`);
    const answer = await node.admin('/ready').catch(() => null);
    if (answer?.status === 200) return;
    if (performance.now() > deadline) throw new Error(`it was not ready in time; it said:\n${node.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
