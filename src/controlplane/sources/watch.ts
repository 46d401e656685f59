/**
 * Notices that a file changed, however it was changed: written in place, renamed over by an editor, or
 * swapped by a symbolic link, as kubelet does with `..data`. The directory is watched, since a watch on a
 * file follows the old inode; a poll of the file's identity catches what no event tells (network file
 * systems, the far end of a link, a directory that was replaced).
 *
 * Events only cause a look at the file's identity, so a log that grows in the same directory costs a stat
 * now and then. The file is read when two looks in a row agree: a writer that is still at it has ended. One
 * that was renamed over the old one is whole already, and read at once; inotify tells, because it has one
 * event for that and two for a file that is removed and written anew.
 */
import { type FSWatcher, watch } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

export interface WatchOptions {
  readonly file: string;
  /** Milliseconds between two looks, and between an event that concerns another file and a look. */
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
  private known = ABSENT;
  private looked = ABSENT;
  private looks = 0;
  private looking = false;
  /** Events that told of the file's name in its directory, not of its content, since it was found as known. */
  private entries = 0;
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

  private onEvent(type: string, name: string | null): void {
    const entry = type === 'rename';
    if (name !== basename(this.options.file)) {
      if (entry) this.lookFirst();
      else this.lookSoon();
    } else if (entry && ++this.entries === 1 && ENTRIES_ARE_EXACT) void this.lookForReplacement();
    else this.lookFirst();
  }

  private lookFirst(): void {
    if (this.settle === null) void this.look(false);
  }

  private lookSoon(): void {
    if (this.settle !== null || this.stopped) return;
    this.settle = setTimeout(() => {
      this.settle = null;
      void this.look(true);
    }, this.options.settleMs).unref();
  }

  /** `rested`: since the look before. */
  private async look(rested: boolean): Promise<void> {
    if (this.looking) return this.lookSoon();
    this.looking = true;
    const { entries } = this;
    const now = await identity(this.options.file);
    this.looking = false;
    if (this.stopped) return;
    if (now.text === this.known.text) {
      this.looks = 0;
      this.entries -= entries;
    } else if (!rested || (now.text !== this.looked.text && ++this.looks < LOOKS_MAX)) {
      this.looked = now;
      this.lookSoon();
    } else this.found(now, entries);
  }

  private async lookForReplacement(): Promise<void> {
    const { known } = this;
    const now = await identity(this.options.file);
    // Events of what was seen are in the queue by now; two turns of the loop deliver them.
    await turn();
    await turn();
    if (this.stopped) return;
    const other = now.inode !== '' && known.inode !== '' && now.inode !== known.inode;
    const replaced = other && now.path === known.path && this.entries === 1;
    if (replaced && known === this.known) this.found(now, 1);
    else this.lookFirst();
  }

  /** `entries`: those counted before `now` was looked at; later ones count for the next look. */
  private found(now: Identity, entries: number): void {
    if (this.settle !== null) clearTimeout(this.settle);
    this.settle = null;
    this.looks = 0;
    this.entries -= entries;
    this.known = now;
    this.options.onChange();
  }

  private async poll(): Promise<void> {
    await this.openWatcher();
    if (this.stopped) return;
    if ((await identity(this.options.file)).text !== this.known.text) this.lookSoon();
    this.options.onPoll();
  }

  private async openWatcher(): Promise<void> {
    const directory = dirname(this.options.file);
    const { path, inode: number } = await identity(directory);
    const inode = `${path}:${number}`;
    if (inode === this.watched || this.stopped) return;
    this.watcher?.close();
    this.watcher = null;
    this.watched = '';
    try {
      const watcher = watch(directory, { persistent: false }, (type, name) => this.onEvent(type, name));
      // No inotify instance left, or the directory is gone: the poll goes on, and tries again.
      watcher.on('error', () => {
        watcher.close();
        if (this.watcher === watcher) this.watched = '';
      });
      this.watcher = watcher;
      this.watched = inode;
      // What was seen before may have been replaced before anybody watched: not by one event, then.
      this.entries++;
      this.lookFirst();
    } catch {
      this.watched = '';
    }
  }
}

/** What changes when, and only when, somebody changed the file or the links that lead to it. */
interface Identity {
  /** Without links; empty where there is no file. */
  readonly path: string;
  readonly inode: string;
  readonly text: string;
}

const ABSENT: Identity = { path: '', inode: '', text: '' };

/** Elsewhere one event may stand for several. */
const ENTRIES_ARE_EXACT = process.platform === 'linux';

async function identity(file: string): Promise<Identity> {
  try {
    const [info, path] = await Promise.all([stat(file), realpath(file)]);
    const inode = `${info.dev}:${info.ino}`;
    return { path, inode, text: `${path}:${inode}:${info.size}:${info.mtimeMs}:${info.ctimeMs}` };
  } catch (error) {
    return {
      ...ABSENT,
      text: `absent:${error instanceof Error && 'code' in error ? String(error.code) : ''}`,
    };
  }
}
