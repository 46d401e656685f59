/**
 * Notices that certificate files changed, however they were changed: written in place, renamed over,
 * or swapped whole by a symbolic link, as kubelet does with `..data`. Directories are watched, since a
 * watch on a file follows the old inode; a poll of size, inode and modification time catches what no
 * event tells (network file systems, the far end of a link, a directory that appears later).
 *
 * Certificate and key are two files, so a reader may find one new and one old. The store refuses such a
 * pair and keeps the last good one; this looks again, soon at first, before it reports the fault.
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../../base/index.ts';
import type { SecretFault } from './pem.ts';
import { filesOf, type SecretRefs, type SecretStore } from './secret-store.ts';

export interface RotationOptions {
  readonly store: SecretStore;
  readonly refs: SecretRefs;
  readonly clock: Clock;
  /** Milliseconds of quiet after an event before files are read. Default 200. */
  readonly debounceMs?: number;
  /** Milliseconds between polls. Default 10,000. */
  readonly pollMs?: number;
  /** Called after each load that ended: with its faults, or with none when all is well again. */
  onLoaded(faults: readonly SecretFault[]): void;
}

/** Looks taken, a debounce apart, before a pair that doesn't match is called a fault. */
const LOOKS = 5;

export class SecretRotation {
  private readonly options: RotationOptions;
  private readonly debounceMs: number;
  private readonly pollMs: number;
  private refs: SecretRefs;
  private readonly watchers = new Map<string, FSWatcher>();
  /** What the files looked like before they were last read. */
  private seen = '';
  /** Looks left before a fault is reported. */
  private looks = 0;
  private timer: NodeJS.Timeout | null = null;
  private poller: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(options: RotationOptions) {
    this.options = options;
    this.refs = options.refs;
    this.debounceMs = options.debounceMs ?? 200;
    this.pollMs = options.pollMs ?? 10_000;
  }

  /** Loads at once and returns the faults; later changes follow by themselves. Keeps no process alive. */
  async start(): Promise<readonly SecretFault[]> {
    this.poller ??= setInterval(() => void this.poll(), this.pollMs).unref();
    return this.watchFiles(this.refs);
  }

  /** Other files, as a new configuration names them: loaded at once. */
  async watchFiles(refs: SecretRefs): Promise<readonly SecretFault[]> {
    this.refs = refs;
    this.openWatchers();
    this.looks = 1;
    return this.load();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    if (this.poller) clearInterval(this.poller);
    for (const watcher of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }

  private async load(): Promise<readonly SecretFault[]> {
    // Before the read: a change during it is then a difference at the next look.
    this.seen = await signature(this.refs);
    const faults = await this.options.store.load(this.refs);
    if (this.stopped) return faults;
    const failed = faults.some((fault) => fault.severity === 'error');
    this.looks = failed ? this.looks - 1 : 0;
    if (this.looks > 0) this.schedule(() => void this.load());
    else this.options.onLoaded(faults);
    return faults;
  }

  /** Not put off by further events, so a directory that never rests is read all the same. */
  private schedule(look: () => void): void {
    if (this.stopped || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      look();
    }, this.debounceMs).unref();
  }

  private async poll(): Promise<void> {
    this.openWatchers();
    const recheckAt = this.options.store.recheckAtMs;
    if (recheckAt !== null && recheckAt <= this.options.clock.wallMs()) await this.load();
    else await this.loadIfChanged();
  }

  private async loadIfChanged(): Promise<void> {
    if (this.stopped || (await signature(this.refs)) === this.seen) return;
    this.looks = LOOKS;
    await this.load();
  }

  private openWatchers(): void {
    if (this.stopped) return;
    const wanted = new Set(filesOf(this.refs).map((file) => dirname(file)));
    for (const [directory, watcher] of this.watchers) {
      if (wanted.has(directory)) continue;
      watcher.close();
      this.watchers.delete(directory);
    }
    for (const directory of wanted) if (!this.watchers.has(directory)) this.openWatcher(directory);
  }

  private openWatcher(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () =>
        this.schedule(() => void this.loadIfChanged()),
      );
      // A removed directory, or no inotify instance left: the poll goes on and tries to watch again.
      watcher.on('error', () => {
        watcher.close();
        this.watchers.delete(directory);
      });
      this.watchers.set(directory, watcher);
    } catch {
      this.watchers.delete(directory);
    }
  }
}

async function signature(refs: SecretRefs): Promise<string> {
  const parts = await Promise.all(
    filesOf(refs).map(async (path) => {
      const info = await stat(path).catch(() => null);
      return info ? `${info.dev}:${info.ino}:${info.size}:${info.mtimeMs}` : '-';
    }),
  );
  return parts.join();
}
