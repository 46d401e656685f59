/**
 * The orderly end of a client's connection. Our side is closed first, after everything that was written has
 * gone out, however slowly the client reads. What the client still sends is then read and thrown away for a
 * bounded while: closing a socket that holds unread bytes resets the connection, and the reset destroys the
 * answer on its way (RFC 9112 section 9.6).
 */
import type { Socket } from 'node:net';
import { LIMITS, Timer, type TimerOwner, type TimerWheel } from '../../base/index.ts';
import { resetSocket } from '../transport/index.ts';
import type { ClientLink } from './client-link.ts';
import type { ListenerContext } from './context.ts';

export class LingeringClose implements TimerOwner {
  private readonly socket: Socket;
  private readonly raw: Socket;
  private readonly wheel: TimerWheel;
  /** How long the client may take to read anything; 0: as long as it likes. */
  private readonly idleMs: number;
  private readonly timer = new Timer(this, 0);
  private unsentBytes: number;
  private receivedBytes = 0;
  private over = false;

  constructor(link: ClientLink, { wheel, config }: ListenerContext) {
    const { socket, raw } = link;
    const { idleTimeoutMs: idleMs } = config;
    this.socket = socket;
    this.raw = raw;
    this.wheel = wheel;
    this.idleMs = idleMs;
    this.unsentBytes = socket.writableLength;
    if (idleMs > 0) wheel.arm(this.timer, idleMs);
    link.resume();
    // Only before the end can a client that does not read be reset, so that it sees an answer cut short.
    if (!socket.writableNeedDrain) this.onDrain();
  }

  /** Everything has gone out. */
  onDrain(): void {
    this.socket.end(() => this.onFlushed());
  }

  /** The client sent so much that nobody wants. */
  drop(bytes: number): void {
    this.receivedBytes += bytes;
    if (this.receivedBytes > LIMITS.lingerBytes) this.cutOff();
  }

  /** The socket is closed. */
  cancel(): void {
    this.over = true;
    this.wheel.cancel(this.timer);
  }

  onTimer(): void {
    const { writableLength } = this.socket;
    if (writableLength > 0 && writableLength < this.unsentBytes) {
      this.unsentBytes = writableLength;
      this.wheel.arm(this.timer, this.idleMs);
    } else this.cutOff();
  }

  /** Once our side is closed, a reset could only destroy what the client has yet to read. */
  private cutOff(): void {
    if (this.socket.writableEnded) this.socket.destroy();
    else resetSocket(this.socket, this.raw);
  }

  private onFlushed(): void {
    if (this.over || this.socket.destroyed) return;
    this.unsentBytes = 0;
    this.wheel.cancel(this.timer);
    this.wheel.arm(this.timer, LIMITS.lingerMs);
  }
}
