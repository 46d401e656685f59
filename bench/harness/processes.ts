/**
 * Every process that a benchmark starts: pinned to a core, waited for until ready, and ended whatever happens. A
 * benchmark that leaves a proxy running falsifies the next one, so the end comes in four ways: `stopAll` in a finally,
 * the same on SIGINT and SIGTERM, SIGKILL to what is left when this process exits, and the kernel's parent-death signal
 * for when this process is killed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;
/** The end of what a process wrote, kept to explain why it did not start. */
const OUTPUT_CHARS_MAX = 4_000;

/** SIGTERM rather than SIGKILL: nginx ends its own children then. Not every setpriv can. */
const ORPHANS_END =
  spawnSync('setpriv', ['--pdeathsig', 'TERM', 'true']).status === 0
    ? ['setpriv', '--pdeathsig', 'TERM']
    : [];

/**
 * What is measured, and what measures it, goes before what else the machine does: kernel threads have a core for milliseconds at a
 * time. `nice` says on stderr when this user may not ask for it; then everything stays as it is.
 */
const PREFER = ['nice', '-n', '-20'];
const asked = spawnSync('nice', [...PREFER.slice(1), 'true']);
const MAY_PREFER = asked.status === 0 && asked.stderr.length === 0;

/** SCHED_IDLE: at a mere lower priority a process still keeps its processor to the end of its slice when others wake up. */
const GIVE_WAY = ['chrt', '--idle', '0'];

export interface StartOptions {
  readonly core: number;
  /** Runs only where the processor would be idle, instead of at the highest priority. */
  readonly givesWay?: boolean;
  /** Resolves to true once it serves; asked every 20 ms. */
  readonly ready: () => Promise<boolean>;
}

export interface Running {
  readonly name: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export interface RunOptions {
  readonly core: number;
  readonly timeoutMs: number;
}

export class Processes {
  readonly #alive = new Set<ChildProcess>();
  readonly #onExit = (): void => {
    for (const child of this.#alive) child.kill('SIGKILL');
  };

  constructor() {
    process.on('exit', this.#onExit);
  }

  /** Starts a server and resolves when it is ready; rejects with the end of its output when it isn't. */
  async start(name: string, command: readonly string[], options: StartOptions): Promise<Running> {
    const { child, output } = this.#spawn(command, options.core, options.givesWay);
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!(await options.ready())) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        await this.#stop(child);
        throw new Error(`${name} did not start: ${command.join(' ')}\n${output()}`);
      }
      await sleep(20);
    }
    return { name, pid: child.pid as number, stop: () => this.#stop(child) };
  }

  /** Runs a program to its end and gives what it wrote to stdout; one that takes too long is ended and is an error. */
  async run(command: readonly string[], options: RunOptions): Promise<string> {
    const { child, output, stdout } = this.#spawn(command, options.core);
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    clearTimeout(timer);
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code ?? signal}\n${output()}`);
    return stdout();
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#alive].map((child) => this.#stop(child)));
    process.off('exit', this.#onExit);
  }

  #spawn(command: readonly string[], core: number, givesWay = false) {
    const priority = givesWay ? GIVE_WAY : MAY_PREFER ? PREFER : [];
    const [program = '', ...args] = [...ORPHANS_END, ...priority, 'taskset', '-c', String(core), ...command];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let tail = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      tail = (tail + chunk).slice(-OUTPUT_CHARS_MAX);
    });
    child.on('error', (error) => {
      tail += error.message;
      this.#alive.delete(child);
    });
    child.on('exit', () => this.#alive.delete(child));
    this.#alive.add(child);
    return { child, stdout: () => out, output: () => (out + tail).slice(-OUTPUT_CHARS_MAX) };
  }

  async #stop(child: ChildProcess): Promise<void> {
    if (!this.#alive.has(child)) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }
}

/** Whether something accepts connections on a loopback port. */
export function portAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
