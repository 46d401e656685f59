/**
 * The writing side of a socket as a codec sees it. Every write says whether to go on: false once more than
 * `LIMITS.highWaterBytes` wait for the kernel, so that a slow reader costs that much memory and no more.
 *
 * Body bytes come as views of the read buffer and are copied here, where they leave. Chunks that are neither
 * small (those the codec joins to its text) nor as large as a read are TLS records of 16 KiB: they are gathered in
 * a slab and go out together, four to a write.
 */
import type { Socket } from 'node:net';
import { atPassEnd, LIMITS, type PassTask } from '../../base/index.ts';
import { copyChunk, isLent, LEND_BYTES, lendSlab, returnChunk, SLAB_BYTES } from './chunk-pool.ts';
import { isBorrowed } from './read-into.ts';

/** Where it is counted what waits for a peer that reads slowly. */
export interface BufferAccount {
  /** So many bytes more wait; negative: fewer. */
  add(bytes: number): void;
  /** More wait for it, on all its connections, than may. */
  readonly over: boolean;
}

class LentChunks {
  /** Those that the kernel has not taken yet, in order. */
  readonly waiting: Buffer[] = [];
  readonly onWritten = (error?: Error | null): void => {
    const chunk = this.waiting.shift();
    // After an error Node may still hold on to the bytes: leave them to the collector.
    if (chunk !== undefined && !error) returnChunk(chunk);
  };
}

export class SocketOut implements PassTask {
  /** Null: nobody counts. */
  account: BufferAccount | null = null;
  private readonly socket: Socket;
  /** Gathered bytes that have not been written; null: none. */
  private slab: Buffer | null = null;
  private filled = 0;
  private scheduled = false;
  /** Bytes that wait in streams of the connection, before the socket. */
  private queuedBytes = 0;
  /** Bytes that wait in the socket, as the account was told. */
  private waitingBytes = 0;
  /** Null: no slab was lent yet, as for most connections. */
  private lent: LentChunks | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  writeText(latin1: string): boolean {
    if (this.slab !== null && latin1.length <= SLAB_BYTES - this.filled) {
      this.filled += this.slab.write(latin1, this.filled, 'latin1');
      return this.belowHighWater;
    }
    this.flush();
    if (this.socket.writable) this.socket.write(latin1, 'latin1');
    return this.belowHighWater;
  }

  /** `bytes` may be a view of the read buffer: then a copy is written. */
  writeBytes(bytes: Buffer): boolean {
    if (!isBorrowed(bytes)) {
      this.flush();
      this.send(bytes);
    } else if (this.slab === null && bytes.length >= LEND_BYTES) this.send(copyChunk(bytes));
    else {
      this.put(bytes, 0, bytes.length);
      if (this.slab !== null && !this.scheduled) {
        this.scheduled = true;
        atPassEnd(this);
      }
    }
    return this.belowHighWater;
  }

  /** Gathers a copy of `bytes[start, end)`; the caller sees to it that `flush` follows. */
  put(bytes: Buffer, start: number, end: number): void {
    for (let from = start; from < end; ) {
      if (this.slab === null) {
        this.slab = lendSlab();
        this.filled = 0;
      }
      const taken = bytes.copy(this.slab, this.filled, from, end);
      this.filled += taken;
      from += taken;
      if (this.filled === SLAB_BYTES) this.flush();
    }
  }

  /** Writes what was gathered; to be called before the socket is ended. It happens by itself when the pass ends. */
  flush(): void {
    if (this.slab === null) return;
    const chunk = this.slab.subarray(0, this.filled);
    this.slab = null;
    // What has to wait must not hold on to a slab for the sake of a few bytes: 64 KiB for each PING that is answered.
    if (this.filled < LEND_BYTES && this.socket.writableLength > 0) {
      this.send(Buffer.from(chunk));
      returnChunk(chunk);
    } else this.send(chunk);
  }

  get belowHighWater(): boolean {
    const { writableLength } = this.socket;
    const { account } = this;
    if (account === null) return writableLength < LIMITS.highWaterBytes;
    // Below the socket's own mark, where a `drain` is certain to follow, nothing is counted and nobody is told to wait.
    const isFull = this.socket.writableNeedDrain;
    this.waits(isFull ? writableLength : 0);
    return writableLength < LIMITS.highWaterBytes && !(isFull && account.over);
  }

  /** So many bytes more wait in streams; negative: fewer. */
  queued(bytes: number): void {
    this.queuedBytes += bytes;
    this.account?.add(bytes);
  }

  /** The socket has taken all it was given. */
  onDrain(): void {
    this.waits(0);
  }

  /** Gives back what was counted, and counts no further: before the peer that it counts for is forgotten. */
  stopCounting(): void {
    this.account?.add(-this.waitingBytes - this.queuedBytes);
    this.account = null;
  }

  onPassEnd(): void {
    this.scheduled = false;
    this.flush();
  }

  private waits(bytes: number): void {
    if (bytes === this.waitingBytes) return;
    this.account?.add(bytes - this.waitingBytes);
    this.waitingBytes = bytes;
  }

  private send(chunk: Buffer): void {
    if (!this.socket.writable) return;
    if (isLent(chunk)) {
      this.lent ??= new LentChunks();
      this.lent.waiting.push(chunk);
      this.socket.write(chunk, this.lent.onWritten);
    } else this.socket.write(chunk);
  }
}
