/**
 * A connection to an endpoint on which nothing is spoken here: its bytes belong to one user, and it ends with them. One
 * that nobody took up is closed as an idle one is, our FIN first: decision 0006.
 */
import { LIMITS, Timer, type TimerOwner, type TimerWheel } from '../../base/index.ts';
import type { ByteHandler } from '../../message/index.ts';
import { type BufferAccount, ByteSocket } from '../transport/index.ts';
import type { CloseCause, UpstreamConnection } from './connection.ts';
import type { Link, LinkUser } from './link.ts';

export class TcpUpstreamConnection implements UpstreamConnection, LinkUser, TimerOwner {
  readonly link: Link;
  readonly protocol = 'tcp';
  closeCause: CloseCause = 'local';
  cutRequests = 0;
  readonly stream: ByteSocket;
  private readonly wheel: TimerWheel;
  private readonly timer = new Timer(this, 0);

  constructor(wheel: TimerWheel, link: Link) {
    this.wheel = wheel;
    this.link = link;
    this.stream = new ByteSocket(link.socket, link.raw, link.out);
    link.user = this;
  }

  /** Whose bytes they are, from now on; `account`: where those count that wait for the endpoint. */
  begin(handler: ByteHandler, account: BufferAccount | null): void {
    this.stream.handler = handler;
    this.link.out.account = account;
    this.link.socket.resume();
  }

  /** Whose account it was given is about to be forgotten. */
  stopCounting(): void {
    this.link.out.stopCounting();
  }

  /** Nobody wants it. */
  close(): void {
    this.link.socket.resume();
    this.stream.end();
    this.wheel.arm(this.timer, LIMITS.gracefulCloseMs);
  }

  onTimer(): void {
    this.link.destroy();
  }

  onBytes(bytes: Buffer, length: number): boolean {
    this.stream.onBytes(bytes, length);
    return true;
  }

  onDrain(): void {
    this.link.out.onDrain();
    this.stream.onDrain();
  }

  onPeerEnd(): void {
    if (!this.link.socket.writableEnded) this.closeCause = 'remote';
    this.stream.onPeerEnd();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null) this.closeCause = 'remote';
    if (this.stream.handler !== null && error !== null) this.cutRequests = 1;
    this.wheel.cancel(this.timer);
    this.stopCounting();
    this.stream.onClose();
  }
}
