/**
 * Writes access log lines without ever blocking: one asynchronous write at a time, whole lines only, at most
 * `LIMITS.accessLogBufferBytes` waiting; lines beyond that are dropped and counted.
 *
 * Every worker writes to the same file, so lines must not mix. A regular file is opened for appending and takes
 * hundreds of lines per write. A pipe takes at most PIPE_BUF (4,096) bytes in one piece, so writes to pipes are
 * cut to that, and are made non-blocking by opening the pipe anew through /proc: a reader that stops would
 * otherwise hold one of the four threads that file system calls and DNS of the whole process share.
 */
import { close, constants, fstatSync, open, openSync, write } from 'node:fs';
import { LIMITS } from '../base/index.ts';
import { WORKER_COUNTER } from './families.ts';
import type { CounterBlock } from './metrics.ts';

export interface AccessLogOptions {
  /** A file, or `stdout`. */
  readonly path: string;
  /** Told of a write or a reopening that failed, once until one succeeds again. */
  readonly onError: (message: string) => void;
}

const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const MODE = 0o640;
const FILE_WRITE_BYTES = 256 * 1_024;
const PIPE_WRITE_BYTES = 4_096;
/** Lines wait for company so long, in ms. */
const GATHER_MS = 50;
/** A full pipe is tried again after this, in ms, doubled up to the second. */
const RETRY_MS = 5;
const RETRY_MS_MAX = 200;

export class AccessLog {
  private readonly options: AccessLogOptions;
  private fd: number;
  private ownsFd: boolean;
  private writeBytes: number;
  private lines: string[] = [];
  private head = 0;
  private bufferedBytes = 0;
  /** What is being written; null: nothing. */
  private chunk: Buffer | null = null;
  private chunkLines = 0;
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
    this.writeBytes = FILE_WRITE_BYTES;
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
    this.lines.push(line);
    this.bufferedBytes += line.length;
    if (this.chunk !== null) return;
    if (this.bufferedBytes >= FILE_WRITE_BYTES) this.next();
    else this.timer ??= setTimeout(this.onGathered, GATHER_MS).unref();
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
        const lost = this.lines.length - this.head + (this.chunk === null ? 0 : this.chunkLines);
        this.counters?.add(WORKER_COUNTER.accessLogDropped, lost);
        this.lines = [];
        this.head = 0;
        if (this.ownsFd && this.chunk === null) close(this.fd, ignore);
        resolve();
      };
      const deadline = setTimeout(end, timeoutMs);
      const drain = (): void => {
        if (ended) return;
        if (this.head === this.lines.length) end();
        else {
          this.next();
          this.whenIdle(drain);
        }
      };
      this.whenIdle(drain);
    });
  }

  private readonly onGathered = (): void => {
    this.timer = null;
    if (this.chunk === null) this.next();
  };

  /** Starts writing the next whole lines that fit one write; at least one. */
  private next(): void {
    const { lines } = this;
    if (this.head === lines.length) return;
    const from = this.head;
    let bytes = 0;
    while (this.head < lines.length) {
      bytes += lines[this.head].length;
      if (bytes > this.writeBytes && this.head > from) break;
      this.head++;
    }
    this.chunk = Buffer.from(lines.slice(from, this.head).join(''), 'latin1');
    this.chunkLines = this.head - from;
    this.written = 0;
    if (this.head === lines.length) {
      this.lines = [];
      this.head = 0;
    } else if (this.head >= 4_096) {
      this.lines = lines.slice(this.head);
      this.head = 0;
    }
    this.step();
  }

  private readonly step = (): void => {
    this.timer = null;
    const chunk = this.chunk as Buffer;
    write(this.fd, chunk, this.written, chunk.length - this.written, null, this.onWritten);
  };

  private readonly onWritten = (error: NodeJS.ErrnoException | null, bytes: number): void => {
    const chunk = this.chunk as Buffer;
    if (error === null) {
      this.retryMs = RETRY_MS;
      this.failing = false;
      this.written += bytes;
      if (this.written < chunk.length) {
        this.step();
        return;
      }
      this.counters?.add(WORKER_COUNTER.accessLogLines, this.chunkLines);
    } else if (error.code === 'EAGAIN' || error.code === 'EINTR') {
      this.timer = setTimeout(this.step, this.retryMs).unref();
      this.retryMs = Math.min(RETRY_MS_MAX, 2 * this.retryMs);
      return;
    } else {
      this.counters?.add(WORKER_COUNTER.accessLogDropped, this.chunkLines);
      this.counters?.add(WORKER_COUNTER.accessLogErrors, 1);
      this.fail(
        `can't write the access log ${this.options.path}: ${error.message}; lines are dropped until it works again`,
      );
    }
    this.chunk = null;
    this.bufferedBytes -= chunk.length;
    const waiting = this.idle;
    if (waiting.length > 0) {
      this.idle = [];
      for (const task of waiting) task();
    }
    if (this.chunk === null) this.next();
  };

  private whenIdle(task: () => void): void {
    if (this.chunk === null) task();
    else this.idle.push(task);
  }

  /** Fits the way of writing to what the descriptor is. */
  private adapt(): void {
    const isPipe = fstatSync(this.fd).isFIFO();
    this.writeBytes = isPipe ? PIPE_WRITE_BYTES : FILE_WRITE_BYTES;
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
