/**
 * The writing side of a socket as a codec sees it. Every write says whether to go on: false once more than
 * `LIMITS.highWaterBytes` wait for the kernel, so that a slow reader costs that much memory and no more.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../base/index.ts';

export class SocketOut {
  private readonly socket: Socket;
  /** Bytes given to the socket so far, framing included. */
  bytesTaken = 0;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  writeText(latin1: string): boolean {
    this.bytesTaken += latin1.length;
    if (!this.socket.writable) return true;
    this.socket.write(latin1, 'latin1');
    return this.belowHighWater;
  }

  writeBytes(bytes: Buffer): boolean {
    this.bytesTaken += bytes.length;
    if (!this.socket.writable) return true;
    this.socket.write(bytes);
    return this.belowHighWater;
  }

  get belowHighWater(): boolean {
    return this.socket.writableLength < LIMITS.highWaterBytes;
  }
}
