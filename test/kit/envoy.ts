/** The real Envoy beside a test: one thread, static configuration. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './jaeger.ts';

export interface Envoy {
  stop(): Promise<void>;
}

/** Resolves when Envoy accepts connections at `port`, which its configuration names. */
export async function startEnvoy(path: string, config: unknown, port: number): Promise<Envoy> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-envoy-'));
  const file = join(directory, 'envoy.json');
  writeFileSync(file, JSON.stringify(config));
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
  const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(directory, { recursive: true });
  };
  try {
    await eventually('Envoy accepts connections', async () => {
      assert.equal(child.exitCode, null, `Envoy ended: ${said}`);
      return accepts(port);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const open = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  return open;
}
