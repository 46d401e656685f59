/** Connections that wait to be accepted, as Linux tells them in /proc/net/tcp. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * Less than a line, so that the kernel is asked for no more lines than are wanted: listening sockets come first, and behind the
 * last of them it looks through all of its table of connections, which takes milliseconds where that is large and empty.
 */
const CHUNK_BYTES = 128;
/** Some hundred listening sockets. */
const LINES_MAX = 1_000;
const LISTEN = '0A';

/** What a listening socket is known by there; null where the system has no such number. */
export function socketInode(descriptor: number): number | null {
  try {
    return descriptor < 0 ? null : fstatSync(descriptor).ino;
  } catch {
    return null;
  }
}

/**
 * How many wait for the listening socket that has this inode in this network namespace; 0: none, or it is not found. Not free: a
 * system call for each listening socket before it, and milliseconds if it comes last.
 */
export function acceptQueue(family: 'IPv4' | 'IPv6', inode: number): number {
  let descriptor: number;
  try {
    descriptor = openSync(family === 'IPv4' ? '/proc/net/tcp' : '/proc/net/tcp6', 'r');
  } catch {
    return 0;
  }
  try {
    const lines = new Lines(descriptor);
    // The first is the heading.
    lines.next();
    for (let line = lines.next(); line !== null; line = lines.next()) {
      // sl local remote st tx:rx … uid timeout inode; for a listening socket rx is the queue.
      const fields = line.trim().split(/\s+/);
      if (fields[3] !== LISTEN) return 0;
      if (Number(fields[9]) !== inode) continue;
      const [, rx = ''] = (fields[4] ?? '').split(':');
      return Number.parseInt(rx, 16);
    }
    return 0;
  } finally {
    closeSync(descriptor);
  }
}

class Lines {
  private readonly descriptor: number;
  private readonly chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  private text = '';
  private left = LINES_MAX;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /** Null: there are no more, or too many. */
  next(): string | null {
    if (this.left-- === 0) return null;
    let end = this.text.indexOf('\n');
    while (end < 0) {
      const bytes = readSync(this.descriptor, this.chunk, 0, CHUNK_BYTES, null);
      if (bytes === 0) return null;
      this.text += this.chunk.toString('latin1', 0, bytes);
      end = this.text.indexOf('\n');
    }
    const line = this.text.slice(0, end);
    this.text = this.text.slice(end + 1);
    return line;
  }
}
