/** Real programs as children of a test: run to their end, or kept until the test is over. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a program may take to start; far more than it does. */
const PATIENCE_MS = 20_000;

/** Runs it to its end and gives what it wrote. */
export async function run(
  path: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const parts: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => parts.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => parts.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output: Buffer.concat(parts).toString() };
}

/**
 * Runs `use` while the program runs, once it accepts connections at this port of the loopback interface. Its
 * argument gives what the program has written so far.
 */
export async function whileListening<T>(
  path: string,
  args: readonly string[],
  port: number,
  use: (output: () => string) => Promise<T>,
): Promise<T> {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  try {
    await accepts(child, port);
    return await use(() => output);
  } finally {
    await ended(child);
  }
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function accepts(child: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const socket = connect({ host: '127.0.0.1', port });
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended by itself with ${child.exitCode}`);
    if (performance.now() > deadline) throw new Error(`${child.spawnfile} does not accept connections`);
    await sleep(20);
  }
}
