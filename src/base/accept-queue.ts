/** Connections that wait to be accepted, as Linux tells them in /proc/net/tcp. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const CHUNK_BYTES = 16_384;
/** Enough for some hundred listening sockets, which come first. */
const BYTES_MAX = 8 * CHUNK_BYTES;
const LISTEN = '0A';

/** What a listening socket is known by there; null where the system has no such number. */
export function socketInode(descriptor: number): number | null {
  try {
    return descriptor < 0 ? null : fstatSync(descriptor).ino;
  } catch {
    return null;
  }
}

/** How many wait, by inode of the listening socket; of all such sockets of this network namespace. */
export function acceptQueues(): Map<number, number> {
  const queues = new Map<number, number>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) readQueues(file, queues);
  return queues;
}

function readQueues(file: string, queues: Map<number, number>): void {
  for (const line of listeningLines(file)) {
    // sl local remote st tx:rx … uid timeout inode; for a listening socket rx is the queue.
    const fields = line.trim().split(/\s+/);
    const [, rx = ''] = (fields[4] ?? '').split(':');
    queues.set(Number(fields[9]), Number.parseInt(rx, 16));
  }
}

/** Only the beginning is read: established connections follow, and there may be many. */
function listeningLines(file: string): string[] {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return [];
  }
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let text = '';
  try {
    while (text.length < BYTES_MAX) {
      const bytes = readSync(descriptor, buffer, 0, CHUNK_BYTES, null);
      text += buffer.toString('latin1', 0, bytes);
      const whole = text.slice(text.indexOf('\n') + 1, text.lastIndexOf('\n') + 1);
      const lines = whole.split('\n').slice(0, -1);
      const end = lines.findIndex((line) => line.trim().split(/\s+/)[3] !== LISTEN);
      if (end >= 0) return lines.slice(0, end);
      if (bytes === 0) return lines;
    }
    return text.split('\n').slice(1, -1);
  } finally {
    closeSync(descriptor);
  }
}
