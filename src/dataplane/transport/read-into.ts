/**
 * Reading without allocation. Reads go through one buffer per thread that the kernel fills and the reader
 * empties before it returns; whoever keeps bytes copies them. Node offers that for sockets which connect
 * (`onread`), worth 9 % of HTTP/1.1 throughput with small answers; for sockets which were accepted, plain or
 * TLS, it has no public way, and there a `data` event costs a 64 KiB allocation, its shrinking and a stream's
 * bookkeeping for every read. `readInto` does to such a socket what Node's constructor does for `onread`. It
 * leans on three private fields and one method of the handle, looks for them once, and where they are not
 * found it listens to `data`: slower, and the same otherwise.
 */
import { Socket } from 'node:net';
import { SLAB_BYTES } from './chunk-pool.ts';

/** Takes `bytes[0, length)`, which are valid only during the call; false pauses the socket. */
export type ReadBytes = (length: number, bytes: Uint8Array) => boolean;

let shared: Buffer | null = null;

/** The buffer that all sockets of this thread read into. */
export function readBuffer(): Buffer {
  shared ??= Buffer.allocUnsafeSlow(SLAB_BYTES);
  return shared;
}

/** True when `bytes` lie in the buffer that the next read overwrites. */
export function isBorrowed(bytes: Buffer): boolean {
  return shared !== null && bytes.buffer === shared.buffer;
}

/** Sends everything that is read from `socket` to `onBytes`. To be called before the socket flows. */
export function readInto(socket: Socket, onBytes: (length: number, bytes: Uint8Array) => void): void {
  // Also takes what the stream holds already (given back by `unshift`).
  socket.on('data', (chunk: Buffer) => onBytes(chunk.length, chunk));
  const inner = socket as unknown as Inner;
  if (fields === null || typeof inner._handle?.useUserBuffer !== 'function') return;
  inner[fields.buffer] = readBuffer();
  inner[fields.callback] = onBytes;
  inner._handle.useUserBuffer(readBuffer());
}

interface Inner {
  [field: symbol]: unknown;
  _handle: { useUserBuffer?: (buffer: Uint8Array) => void } | null;
}

interface Fields {
  readonly buffer: symbol;
  readonly callback: symbol;
}

const fields: Fields | null = findFields();

/** Where Node keeps buffer and callback of a socket made with `onread`; null when not where they are expected. */
function findFields(): Fields | null {
  const buffer = new Uint8Array(1);
  const callback = (): boolean => true;
  const probe = new Socket({ onread: { buffer, callback } });
  const inner = probe as unknown as Inner;
  const holding = (value: unknown): symbol | undefined =>
    Object.getOwnPropertySymbols(probe).find((symbol) => inner[symbol] === value);
  const found = { buffer: holding(buffer), callback: holding(callback) };
  probe.destroy();
  return found.buffer === undefined || found.callback === undefined ? null : (found as Fields);
}
