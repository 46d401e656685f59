/**
 * The writing side of a socket as a codec sees it. Every write says whether to go on: false once more than
 * `LIMITS.highWaterBytes` wait for the kernel, so that a slow reader costs that much memory and no more.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../base/index.ts';
import { isLent, returnChunk } from './chunk-pool.ts';

export class SocketOut {
  private readonly socket: Socket;

  /** Chunks in lent slabs that the kernel has not taken yet, in order. */
  private readonly lent: Buffer[] = [];
  private readonly onLentWritten = (error?: Error | null): void => {
    const chunk = this.lent.shift();
    // After an error Node may still hold on to the bytes: leave them to the collector.
    if (chunk !== undefined && !error) returnChunk(chunk);
  };

  constructor(socket: Socket) {
    this.socket = socket;
  }

  writeText(latin1: string): boolean {
    if (!this.socket.writable) return true;
    this.socket.write(latin1, 'latin1');
    return this.belowHighWater;
  }

  writeBytes(bytes: Buffer): boolean {
    if (!this.socket.writable) return true;
    if (isLent(bytes)) {
      this.lent.push(bytes);
      this.socket.write(bytes, this.onLentWritten);
    } else this.socket.write(bytes);
    return this.belowHighWater;
  }

  get belowHighWater(): boolean {
    return this.socket.writableLength < LIMITS.highWaterBytes;
  }
}
