/**
 * Notices that a file changed, however it was changed: written in place, renamed over by an editor, or
 * swapped by a symbolic link, as kubelet does with `..data`. The directory is watched, since a watch on a
 * file follows the old inode; a poll of the file's identity catches what no event tells (network file
 * systems, the far end of a link, a directory that was replaced).
 *
 * Events only cause a look at the file's identity, so a log that grows in the same directory costs a stat
 * now and then. The file is read when two looks in a row agree: a writer that is still at it has ended.
 */
import { type FSWatcher, watch } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface WatchOptions {
  readonly file: string;
  /** Milliseconds between an event and a look, and between two looks. */
  readonly settleMs: number;
  /** Milliseconds between looks that no event asked for. */
  readonly pollMs: number;
  /** The file differs from what `seen` was told. */
  onChange(): void;
  /** After each look that was not asked for by an event, changed or not. */
  onPoll(): void;
}

/** Looks that disagree before a file that never comes to rest is read as it is. */
const LOOKS_MAX = 20;

export class FileWatch {
  private readonly options: WatchOptions;
  private watcher: FSWatcher | null = null;
  private watched = '';
  private known = '';
  private looked = '';
  private looks = 0;
  private settle: NodeJS.Timeout | null = null;
  private poller: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(options: WatchOptions) {
    this.options = options;
  }

  /** Keeps no process alive. */
  async start(): Promise<void> {
    await this.openWatcher();
    if (this.stopped) return;
    this.poller = setInterval(() => void this.poll(), this.options.pollMs).unref();
  }

  /** Takes the file as it is now for known; to be called before it is read. */
  async seen(): Promise<void> {
    this.known = await identity(this.options.file);
  }

  stop(): void {
    this.stopped = true;
    this.watcher?.close();
    if (this.settle) clearTimeout(this.settle);
    if (this.poller) clearInterval(this.poller);
  }

  private lookSoon(): void {
    if (this.settle !== null || this.stopped) return;
    this.settle = setTimeout(() => {
      this.settle = null;
      void this.look();
    }, this.options.settleMs).unref();
  }

  private async look(): Promise<void> {
    const now = await identity(this.options.file);
    if (this.stopped) return;
    if (now === this.known) {
      this.looks = 0;
    } else if (now !== this.looked && ++this.looks < LOOKS_MAX) {
      this.looked = now;
      this.lookSoon();
    } else {
      this.looks = 0;
      this.known = now;
      this.options.onChange();
    }
  }

  private async poll(): Promise<void> {
    await this.openWatcher();
    if (this.stopped) return;
    if ((await identity(this.options.file)) !== this.known) this.lookSoon();
    this.options.onPoll();
  }

  private async openWatcher(): Promise<void> {
    const directory = dirname(this.options.file);
    const inode = await identity(directory, false);
    if (inode === this.watched || this.stopped) return;
    this.watcher?.close();
    this.watcher = null;
    this.watched = '';
    try {
      const watcher = watch(directory, { persistent: false }, () => this.lookSoon());
      // No inotify instance left, or the directory is gone: the poll goes on, and tries again.
      watcher.on('error', () => {
        watcher.close();
        if (this.watcher === watcher) this.watched = '';
      });
      this.watcher = watcher;
      this.watched = inode;
    } catch {
      this.watched = '';
    }
  }
}

/** What changes when, and only when, somebody changed the file or the links that lead to it. */
async function identity(path: string, content = true): Promise<string> {
  try {
    const [info, real] = await Promise.all([stat(path), realpath(path)]);
    const place = `${real}:${info.dev}:${info.ino}`;
    return content ? `${place}:${info.size}:${info.mtimeMs}:${info.ctimeMs}` : place;
  } catch (error) {
    return `absent:${error instanceof Error && 'code' in error ? String(error.code) : ''}`;
  }
}
