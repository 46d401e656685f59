/**
 * Writes access log lines without ever blocking: one asynchronous write at a time, whole lines only, at most
 * `LIMITS.accessLogBufferBytes` waiting; lines beyond that are dropped and counted.
 *
 * Every worker writes to the same file, so lines must not mix. A regular file is opened for appending and takes
 * a page of lines per write. A pipe takes at most PIPE_BUF (4,096) bytes in one piece, so pages for pipes are
 * that small, and pipes are made non-blocking by opening them anew through /proc: a reader that stops would
 * otherwise hold one of the four threads that file system calls and DNS of the whole process share.
 *
 * A line goes to its page at once, while it is in the processor's cache, and pages are used again: with a new
 * buffer for every write, each line cost 2.4 µs more in the threads that write.
 */
import { close, constants, fstatSync, open, openSync, write } from 'node:fs';
import { LIMITS } from '../base/index.ts';
import type { CounterBlock } from './counter-block.ts';
import { WORKER_COUNTER } from './families.ts';

export interface AccessLogOptions {
  /** A file, or `stdout`. */
  readonly path: string;
  /** Told of a write or a reopening that failed, once until one succeeds again. */
  readonly onError: (message: string) => void;
}

const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const MODE = 0o640;
const FILE_PAGE_BYTES = 64 * 1_024;
const PIPE_PAGE_BYTES = 4_096;
/** Written pages that are kept to be filled again. */
const PAGES_KEPT = 2;
/** Lines wait for company so long, in ms. */
const GATHER_MS = 50;
/** A full pipe is tried again after this, in ms, doubled up to the second. */
const RETRY_MS = 5;
const RETRY_MS_MAX = 200;

/** Whole lines. */
interface Page {
  readonly bytes: Buffer;
  used: number;
  lines: number;
}

export class AccessLog {
  private readonly options: AccessLogOptions;
  private fd: number;
  private ownsFd: boolean;
  private pageBytes = FILE_PAGE_BYTES;
  /** Pages to write, the one being filled last. */
  private readonly pages: Page[] = [];
  private readonly spare: Page[] = [];
  private bufferedBytes = 0;
  /** What is being written; null: nothing. */
  private writing: Page | null = null;
  private written = 0;
  private timer: NodeJS.Timeout | null = null;
  private retryMs = RETRY_MS;
  private failing = false;
  private reopening = false;
  private closed = false;
  private counters: CounterBlock | null = null;
  private idle: (() => void)[] = [];

  /** Throws when the file can't be opened. */
  constructor(options: AccessLogOptions) {
    this.options = options;
    try {
      this.fd = options.path === 'stdout' ? 1 : openSync(options.path, FLAGS, MODE);
    } catch (error) {
      throw new Error(
        `can't open the access log ${options.path}: ${messageOf(error)}; check the path and its permissions`,
      );
    }
    this.ownsFd = options.path !== 'stdout';
    this.adapt();
  }

  /** Where lines written and dropped are counted. */
  countInto(counters: CounterBlock): void {
    this.counters = counters;
  }

  /** Takes one line of ASCII with its newline. */
  write(line: string): void {
    if (this.closed || this.bufferedBytes + line.length > LIMITS.accessLogBufferBytes) {
      this.counters?.add(WORKER_COUNTER.accessLogDropped, 1);
      return;
    }
    let page = this.pages.at(-1);
    if (page === undefined || page.used + line.length > page.bytes.length) {
      page = this.newPage(line.length);
      this.pages.push(page);
    }
    page.bytes.write(line, page.used, 'latin1');
    page.used += line.length;
    page.lines++;
    this.bufferedBytes += line.length;
    if (this.writing === null) this.gather();
  }

  private newPage(leastBytes: number): Page {
    if (leastBytes > this.pageBytes) return { bytes: Buffer.allocUnsafeSlow(leastBytes), used: 0, lines: 0 };
    return this.spare.pop() ?? { bytes: Buffer.allocUnsafeSlow(this.pageBytes), used: 0, lines: 0 };
  }

  /** Opens the file anew (it was moved away by log rotation). A failure leaves the old one in use. */
  reopen(): void {
    if (this.options.path === 'stdout' || this.reopening) return;
    this.reopening = true;
    open(this.options.path, FLAGS, MODE, (error, fd) => {
      this.reopening = false;
      if (error) {
        this.fail(
          `can't reopen the access log ${this.options.path}: ${error.message}; still writing to the old file`,
        );
        return;
      }
      // A write under way goes to the old file; it is closed after it.
      this.whenIdle(() => {
        const old = this.fd;
        this.fd = fd;
        this.adapt();
        close(old, ignore);
      });
    });
  }

  /** Writes what is left, for at most `timeoutMs`, and closes. Lines not written by then are counted as dropped. */
  close(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      let ended = false;
      const end = (): void => {
        if (ended) return;
        ended = true;
        this.closed = true;
        clearTimeout(deadline);
        if (this.timer !== null) clearTimeout(this.timer);
        this.timer = null;
        let lost = this.writing === null ? 0 : this.writing.lines;
        for (const { lines } of this.pages) lost += lines;
        this.counters?.add(WORKER_COUNTER.accessLogDropped, lost);
        this.pages.length = 0;
        if (this.ownsFd && this.writing === null) close(this.fd, ignore);
        resolve();
      };
      const deadline = setTimeout(end, timeoutMs);
      const drain = (): void => {
        if (ended) return;
        if (this.pages.length === 0) end();
        else {
          this.next();
          this.whenIdle(drain);
        }
      };
      this.whenIdle(drain);
    });
  }

  /** Writes a page that is full, and others soon: a write costs two thread switches whatever its size. */
  private gather(): void {
    if (this.pages.length > 1) this.next();
    else if (this.pages.length === 1) this.timer ??= setTimeout(this.onGathered, GATHER_MS).unref();
  }

  private readonly onGathered = (): void => {
    this.timer = null;
    if (this.writing === null) this.next();
  };

  /** Starts writing the oldest page. */
  private next(): void {
    const page = this.pages.shift();
    if (page === undefined) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.writing = page;
    this.written = 0;
    this.step();
  }

  private readonly step = (): void => {
    this.timer = null;
    const { bytes, used } = this.writing as Page;
    write(this.fd, bytes, this.written, used - this.written, null, this.onWritten);
  };

  private readonly onWritten = (error: NodeJS.ErrnoException | null, bytes: number): void => {
    const page = this.writing as Page;
    if (error === null) {
      this.retryMs = RETRY_MS;
      this.failing = false;
      this.written += bytes;
      if (this.written < page.used) {
        this.step();
        return;
      }
      this.counters?.add(WORKER_COUNTER.accessLogLines, page.lines);
    } else if (error.code === 'EAGAIN' || error.code === 'EINTR') {
      this.timer = setTimeout(this.step, this.retryMs).unref();
      this.retryMs = Math.min(RETRY_MS_MAX, 2 * this.retryMs);
      return;
    } else {
      this.counters?.add(WORKER_COUNTER.accessLogDropped, page.lines);
      this.counters?.add(WORKER_COUNTER.accessLogErrors, 1);
      this.fail(
        `can't write the access log ${this.options.path}: ${error.message}; lines are dropped until it works again`,
      );
    }
    this.release(page);
    const waiting = this.idle;
    if (waiting.length > 0) {
      this.idle = [];
      for (const task of waiting) task();
    }
    if (this.writing === null) this.gather();
  };

  private release(page: Page): void {
    this.writing = null;
    this.bufferedBytes -= page.used;
    if (page.bytes.length !== this.pageBytes || this.spare.length >= PAGES_KEPT) return;
    page.used = 0;
    page.lines = 0;
    this.spare.push(page);
  }

  private whenIdle(task: () => void): void {
    if (this.writing === null) task();
    else this.idle.push(task);
  }

  /** Fits the way of writing to what the descriptor is. */
  private adapt(): void {
    const isPipe = fstatSync(this.fd).isFIFO();
    this.pageBytes = isPipe ? PIPE_PAGE_BYTES : FILE_PAGE_BYTES;
    this.spare.length = 0;
    if (!isPipe || this.ownsFd) return;
    try {
      this.fd = openSync(`/proc/self/fd/${this.fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
      this.ownsFd = true;
    } catch {
      // No /proc (macOS): written as it is; a reader that stops then holds one thread of the pool.
    }
  }

  private fail(message: string): void {
    if (this.failing) return;
    this.failing = true;
    this.options.onError(message);
  }
}

function ignore(): void {}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
