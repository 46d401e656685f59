/**
 * A supervisor with stub workers on real threads, its configuration in a directory of its own, and its log in an
 * array that can be waited for.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type LogFields,
  type Logger,
  type Supervisor,
  type SupervisorOptions,
  startSupervisor,
} from '../../src/supervisor.ts';

export interface LogEntry {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export class TestLog implements Logger {
  level: Logger['level'] = 'info';
  readonly entries: LogEntry[] = [];
  private waiters: (() => void)[] = [];

  debug(fields: LogFields, message: string): void {
    this.write('debug', fields, message);
  }
  info(fields: LogFields, message: string): void {
    this.write('info', fields, message);
  }
  warn(fields: LogFields, message: string): void {
    this.write('warn', fields, message);
  }
  error(fields: LogFields, message: string): void {
    this.write('error', fields, message);
  }

  has(pattern: RegExp): boolean {
    return this.entries.some(({ message }) => pattern.test(message));
  }

  /** Resolves when so many entries have matched. */
  async until(pattern: RegExp, count = 1): Promise<LogEntry[]> {
    for (;;) {
      const found = this.entries.filter(({ message }) => pattern.test(message));
      if (found.length >= count) return found;
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  private write(level: string, fields: LogFields, message: string): void {
    this.entries.push({ level, message, fields });
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}

export interface Bench {
  readonly log: TestLog;
  readonly directory: string;
  readonly configFile: string;
  /** Replaces the configuration file; the watch notices it by itself, too. */
  write(yaml: string): void;
  /** Starts a supervisor that is stopped with the test. */
  start(yaml: string, options?: Partial<SupervisorOptions>): Promise<Supervisor>;
}

const STUB = new URL('./stub-worker.ts', import.meta.url);

export function bench(t: TestContext): Bench {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-supervisor-'));
  const configFile = join(directory, 'outboard.yaml');
  const log = new TestLog();
  const running: Supervisor[] = [];
  t.after(async () => {
    for (const supervisor of running) await supervisor.drainAndStop();
    rmSync(directory, { recursive: true, force: true });
  });
  const write = (yaml: string): void => writeFileSync(configFile, yaml);
  return {
    log,
    directory,
    configFile,
    write,
    async start(yaml, options = {}) {
      write(yaml);
      const supervisor = await startSupervisor({ configFile, logger: log, workerUrl: STUB, ...options });
      running.push(supervisor);
      return supervisor;
    },
  };
}

/** A configuration of so many workers, with whatever else is added. */
export function config(parts: {
  readonly workers?: number;
  readonly listeners?: string;
  readonly services?: string;
  readonly more?: string;
}): string {
  const {
    workers = 2,
    listeners = '{ name: web, address: "127.0.0.1:0" }',
    services = 'a',
    more = '',
  } = parts;
  const names = services.split(' ');
  const list = names.map((name) => `{ name: ${name}, endpoints: [{ address: "127.0.0.1:9" }] }`).join(', ');
  return `
listeners: [${listeners}]
routes: [{ name: all, rules: [{ backendRefs: [{ name: ${names[0]} }] }] }]
services: [${list}]
admin: { address: "127.0.0.1:0" }
drainTimeout: 2s
workers: ${workers}
${more}
`;
}

/** Sends one command to a stub worker and resolves with what it answers until the connection ends. */
export function ask(supervisor: Supervisor, command: string, listener = 'web'): Promise<string> {
  const address = supervisor.address(listener);
  if (!address) throw new Error(`no listener ${listener}`);
  return new Promise((resolve, reject) => {
    const socket = connect(address.port, address.host);
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text.trim()));
    socket.write(`${command}\n`);
  });
}

export interface StubInfo {
  readonly column: number;
  /** Connections that said `wait`. */
  readonly waiting: number;
  readonly version: number;
  readonly deltas: number;
  readonly services: readonly { readonly name: string; readonly slot: number }[];
  readonly serials: readonly string[];
  readonly secretKeys: boolean;
  readonly reopened: number;
}

/**
 * Asks until so many different workers have answered, and gives one answer of each. A connection that waits to be
 * accepted when a draining worker closes its listener is reset (net.ipv4.tcp_migrate_req is 0): it is made again.
 */
export async function askAll(supervisor: Supervisor, workers: number): Promise<StubInfo[]> {
  const answers = new Map<number, StubInfo>();
  while (answers.size < workers) {
    const text = await ask(supervisor, 'info').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') return '';
      throw error;
    });
    if (text === '') continue;
    const info = JSON.parse(text) as StubInfo;
    answers.set(info.column, info);
  }
  return [...answers.values()];
}

/** Commands that end the worker before it answers. */
export async function order(supervisor: Supervisor, command: string): Promise<void> {
  await ask(supervisor, command).catch(() => '');
}

export async function admin(supervisor: Supervisor, path: string, method = 'GET'): Promise<Response> {
  const { host, port } = supervisor.adminAddress;
  return fetch(`http://${host}:${port}${path}`, { method });
}

export async function adminJson<T>(supervisor: Supervisor, path: string): Promise<T> {
  return (await (await admin(supervisor, path)).json()) as T;
}
