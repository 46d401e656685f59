/**
 * The configuration file as a source: read at start, on every change and on request. A file with faults is
 * refused whole and told; what is in force stays. A file that was refused is looked at again with every
 * poll, because what it lacked may be another file, such as a certificate that is written later.
 */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Clock, LIMITS } from '../../base/index.ts';
import type { ConfigDraft } from '../../config/index.ts';
import { ConfigLoader, type Fault, formatFault } from '../../config/load/index.ts';
import { DnsEndpoints, type Resolver, systemResolver } from './dns.ts';
import { FileWatch } from './watch.ts';

export interface ConfigInput {
  /** Valid, with the addresses of `dns` services filled in. */
  readonly draft: ConfigDraft;
  readonly warnings: readonly Fault[];
  /** `file`: the file changed, or is loaded for the first time; `dns`: only endpoints differ. */
  readonly cause: 'file' | 'dns';
}

export interface FileSourceOptions {
  readonly file: string;
  readonly clock: Clock;
  /** Where relative paths in the file start. Default: the file's directory. */
  readonly directory?: string;
  /** A configuration to put in force. Called from `start` at the earliest, never again after `stop`. */
  onConfig(input: ConfigInput): void;
  /** The file was refused, or can't be read; what is in force stays. */
  onRejected(faults: readonly Fault[]): void;
  /** A name of a `dns` service did not resolve; its last addresses stay. Told once per outage. */
  onResolveFailed?(service: string, name: string, error: string): void;
  /** Default: the system's resolver, with its hosts file and search domains. */
  readonly resolver?: Resolver;
  /** Milliseconds that a changed file has to rest before it is read. Default 100. */
  readonly debounceMs?: number;
  /** Milliseconds between looks at the file that no event asked for. Default 5,000. */
  readonly pollMs?: number;
  /** The longest a new configuration waits for names that were never resolved, in milliseconds. Default 5,000. */
  readonly resolveWaitMs?: number;
}

export interface SourceState {
  readonly file: string;
  /** Configurations accepted from this file since start. */
  readonly accepted: number;
  readonly rejected: number;
  /** Milliseconds since the epoch; null: never. */
  readonly lastGoodAtMs: number | null;
  /** Why the newest content was refused; null: it is in force. */
  readonly lastError: readonly Fault[] | null;
}

export interface FileSource {
  /** Loads the file and resolves names once; true when a configuration was handed over. Follows changes from then on. */
  start(): Promise<boolean>;
  /** Reads the file now, changed or not; true when it was accepted. For SIGHUP. */
  reload(): Promise<boolean>;
  state(): SourceState;
  stop(): void;
}

export function createFileSource(options: FileSourceOptions): FileSource {
  return new ConfigFile(options);
}

class ConfigFile implements FileSource {
  private readonly options: FileSourceOptions;
  private readonly file: string;
  private readonly loader: ConfigLoader;
  private readonly dns: DnsEndpoints;
  private readonly watch: FileWatch;
  private current: { readonly draft: ConfigDraft; readonly warnings: readonly Fault[] } | null = null;
  private content: Buffer | null = null;
  private counts = { accepted: 0, rejected: 0 };
  private lastGoodAtMs: number | null = null;
  private lastError: readonly Fault[] | null = null;
  private queue: Promise<unknown> = Promise.resolve();
  private resolving = false;
  private stopped = false;

  constructor(options: FileSourceOptions) {
    this.options = options;
    const { file, directory } = options;
    this.file = resolve(file);
    this.loader = new ConfigLoader(file, directory === undefined ? {} : { directory });
    this.dns = new DnsEndpoints({
      resolver: options.resolver ?? systemResolver,
      onChange: () => {
        if (!this.resolving) this.publish('dns');
      },
      onFailed: (service, name, error) => options.onResolveFailed?.(service, name, error),
    });
    this.watch = new FileWatch({
      file: this.file,
      settleMs: options.debounceMs ?? 100,
      pollMs: options.pollMs ?? 5_000,
      onChange: () => void this.enqueue('changed'),
      onPoll: () => {
        if (this.lastError !== null) void this.enqueue('again');
      },
    });
  }

  async start(): Promise<boolean> {
    const accepted = await this.reload();
    if (!this.stopped) await this.watch.start();
    return accepted;
  }

  reload(): Promise<boolean> {
    return this.enqueue('asked');
  }

  state(): SourceState {
    const { lastGoodAtMs, lastError } = this;
    return { file: this.options.file, ...this.counts, lastGoodAtMs, lastError };
  }

  stop(): void {
    this.stopped = true;
    this.watch.stop();
    this.dns.stop();
  }

  /** One load at a time, in the order they were asked for. */
  private enqueue(why: Why): Promise<boolean> {
    const run = this.queue.then(() => this.load(why));
    this.queue = run.catch(() => undefined);
    return run;
  }

  private async load(why: Why): Promise<boolean> {
    if (this.stopped) return false;
    await this.watch.seen();
    const content = await readBounded(this.file);
    if (!Buffer.isBuffer(content)) return this.reject([{ ...content, file: this.options.file }], why);
    const same = this.content?.equals(content) ?? false;
    // Saved without a change: what is in force stays, and so does its version.
    if (same && this.lastError === null && why === 'changed') return true;
    const result = this.loader.load(content);
    if (!result.ok) return this.reject(result.faults, why);
    // Until the names of the new configuration are looked up, the old one can't be filled in any more.
    this.resolving = true;
    await this.dns.follow(result.draft.services, this.options.resolveWaitMs ?? 5_000);
    this.resolving = false;
    if (this.stopped) return false;
    this.content = content;
    this.current = result;
    this.counts.accepted++;
    this.lastError = null;
    this.lastGoodAtMs = this.options.clock.wallMs();
    this.publish('file');
    return true;
  }

  private reject(faults: readonly Fault[], why: Why): boolean {
    if (this.stopped) return false;
    const known = why === 'again' && this.lastError !== null && textOf(this.lastError) === textOf(faults);
    if (known) return false;
    this.counts.rejected++;
    this.lastError = faults;
    this.options.onRejected(faults);
    return false;
  }

  private publish(cause: ConfigInput['cause']): void {
    if (this.current === null || this.stopped) return;
    const { draft, warnings } = this.current;
    this.dns.taken();
    const services = draft.services.map((service) => this.dns.fill(service));
    this.options.onConfig({ draft: { ...draft, services }, warnings, cause });
  }
}

type Why = 'asked' | 'changed' | 'again';

function textOf(faults: readonly Fault[]): string {
  return faults.map(formatFault).join('\n');
}

/** The file, or the fault that kept it from being read. */
async function readBounded(file: string): Promise<Buffer | Fault> {
  try {
    await using handle = await open(file);
    const { size } = await handle.stat();
    if (size > LIMITS.configFileBytes)
      return unread(file, `${size} bytes`, `at most ${LIMITS.configFileBytes} bytes`);
    return await handle.readFile();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return unread(file, code, 'a file that can be read');
  }
}

function unread(file: string, found: string, expected: string): Fault {
  const cure = CURES[found] ?? 'split the services over several nodes';
  return { severity: 'error', file, line: 1, column: 1, path: '', expected, found, cure };
}

const CURES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; correct the path',
  EACCES: 'allow the user that runs the proxy to read it',
  EISDIR: 'name the file, not its directory',
};
