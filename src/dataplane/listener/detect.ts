/**
 * Waits for a client's first bytes, which tell HTTP/2 by prior knowledge from HTTP/1: no request of HTTP/1 begins like
 * the preface (RFC 9113 section 3.4). What was read goes to whoever speaks on the connection from then on.
 */
import { LIMITS, Timer, type TimerOwner } from '../../base/index.ts';
import { PREFACE } from '../codec/http2/index.ts';
import type { ClientLink, ClientUser } from './client-link.ts';
import type { ListenerContext } from './context.ts';
import { Http1Connection } from './http1-connection.ts';
import { Http2Connection } from './http2-connection.ts';

export class Detection implements ClientUser, TimerOwner {
  readonly busy = false;
  private readonly link: ClientLink;
  private readonly context: ListenerContext;
  private readonly timer = new Timer(this, 0);
  /** Bytes of the preface that have come. */
  private matched = 0;

  constructor(link: ClientLink, context: ListenerContext) {
    this.link = link;
    this.context = context;
    this.arm(context.config.idleTimeoutMs);
  }

  onBytes(bytes: Buffer, length: number): void {
    let at = 0;
    while (at < length && this.matched < PREFACE.length && bytes[at] === PREFACE[this.matched]) {
      at++;
      this.matched++;
    }
    if (this.matched === PREFACE.length)
      this.become(new Http2Connection(this.link, this.context), bytes, at, length);
    else if (at < length) this.become(new Http1Connection(this.link, this.context), bytes, at, length);
    else if (at === this.matched) this.arm(this.context.config.headerTimeoutMs); // these were the first
  }

  onDrain(): void {}

  onPeerEnd(): void {
    this.link.socket.destroy();
  }

  onClose(): void {
    this.context.wheel.cancel(this.timer);
    this.context.onClosed(this.link);
  }

  onTimer(): void {
    this.link.socket.destroy();
  }

  /** A client that has just come may still ask its question. */
  drain(): void {
    this.arm(LIMITS.drainGraceMs);
  }

  destroy(): void {
    this.link.socket.destroy();
  }

  /** `here`: how many of the matching bytes are in this read, at its beginning. */
  private become(user: ClientUser, bytes: Buffer, here: number, length: number): void {
    const earlier = this.matched - here;
    this.context.wheel.cancel(this.timer);
    this.link.handOver(user);
    if (this.context.draining) user.drain();
    if (earlier > 0) user.onBytes(PREFACE, earlier);
    user.onBytes(bytes, length);
  }

  private arm(delayMs: number): void {
    this.context.wheel.cancel(this.timer);
    if (delayMs > 0) this.context.wheel.arm(this.timer, delayMs);
  }
}
