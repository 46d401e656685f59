/**
 * The orderly end of a client's connection. Our side is closed first, after everything that was written has
 * gone out, however slowly the client reads. What the client still sends is then read and thrown away for a
 * bounded while: closing a socket that holds unread bytes resets the connection, and the reset destroys the
 * answer on its way (RFC 9112 section 9.6).
 */
import type { Socket } from 'node:net';
import { LIMITS, Timer, type TimerOwner, type TimerWheel } from '../../base/index.ts';

export class LingeringClose implements TimerOwner {
  private readonly socket: Socket;
  private readonly wheel: TimerWheel;
  /** How long the client may take to read anything; 0: as long as it likes. */
  private readonly idleMs: number;
  private readonly timer = new Timer(this, 0);
  private unsent = 0;
  private receivedBytes = 0;

  constructor(socket: Socket, wheel: TimerWheel, idleMs: number) {
    this.socket = socket;
    this.wheel = wheel;
    this.idleMs = idleMs;
    this.unsent = socket.writableLength;
    if (idleMs > 0) wheel.arm(this.timer, idleMs);
    socket.end(() => this.onFlushed());
    socket.resume();
  }

  /** The client sent so much that nobody wants. */
  drop(bytes: number): void {
    this.receivedBytes += bytes;
    if (this.receivedBytes > LIMITS.lingerBytes) this.socket.destroy();
  }

  /** The socket is closed. */
  cancel(): void {
    this.wheel.cancel(this.timer);
  }

  onTimer(): void {
    const { writableLength } = this.socket;
    if (writableLength > 0 && writableLength < this.unsent) {
      this.unsent = writableLength;
      this.wheel.arm(this.timer, this.idleMs);
    } else this.socket.destroy();
  }

  private onFlushed(): void {
    if (this.socket.destroyed) return;
    this.unsent = 0;
    this.wheel.cancel(this.timer);
    this.wheel.arm(this.timer, LIMITS.lingerMs);
  }
}
