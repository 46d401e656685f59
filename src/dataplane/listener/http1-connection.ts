/**
 * One HTTP/1.x connection of a client. The codec finds the messages; this class owns the order of
 * things: one exchange at a time, pipelined requests parked until the answer before them is complete,
 * body bytes only as fast as they are taken, and a close that lets the client read our last words.
 *
 * Phases: `idle` (between requests) → `head` (its first byte has come) → `exchange` → `idle`, or
 * → `linger`: answered for the last time, the rest is LingeringClose's.
 */
import type { Socket } from 'node:net';
import { type Failure, failure, LIMITS, Timer, type TimerOwner } from '../../base/index.ts';
import type {
  ConnectionFacts,
  DownstreamHandler,
  DownstreamStream,
  HeaderList,
  RequestHead,
  ResponseHead,
} from '../../message/index.ts';
import { LISTENER_COUNTER } from '../../telemetry/index.ts';
import {
  BodyWriter,
  encodeInformational,
  encodeResponseHead,
  RequestParser,
  type RequestSink,
  responseFraming,
} from '../codec/http1/index.ts';
import { endSocket, resetSocket } from '../transport/index.ts';
import type { ClientLink, ClientUser } from './client-link.ts';
import type { ListenerContext } from './context.ts';
import { SWITCHING, settingsOf } from './h2c.ts';
import { Http2Connection } from './http2-connection.ts';
import { LingeringClose } from './lingering-close.ts';

type Phase = 'idle' | 'head' | 'exchange' | 'linger' | 'closed';

export class Http1Connection implements ClientUser, RequestSink, DownstreamStream, TimerOwner {
  readonly takesTurns = true;
  readonly facts: ConnectionFacts;
  private readonly link: ClientLink;
  private readonly socket: Socket;
  private readonly context: ListenerContext;
  private readonly parser: RequestParser;
  private readonly writer: BodyWriter;
  private readonly timer: Timer;
  private phase: Phase = 'idle';
  private handler: DownstreamHandler | null = null;
  private head: RequestHead | null = null;
  /** Bytes of requests that wait for the answer before them. */
  private parked: Buffer | null = null;
  private requests = 0;
  private parsing = false;
  private requestEnded = false;
  private answerBegun = false;
  private answerEnded = false;
  private continueSent = false;
  private lastAnswer = false;
  private tunnelled = false;
  /** Bytes read of a request body that nobody wants: it was answered already. */
  private unwantedBytes = 0;
  private closing: LingeringClose | null = null;
  /** Speaks HTTP/2 on this connection from now on. */
  private successor: ClientUser | null = null;

  constructor(link: ClientLink, context: ListenerContext) {
    const { facts } = link;
    this.link = link;
    this.socket = link.socket;
    this.facts = facts;
    this.context = context;
    this.writer = new BodyWriter(link.out);
    this.parser = new RequestParser(this, {
      scheme: facts.tls === null ? 'http' : 'https',
      headerBytes: context.config.maxHeaderBytes,
    });
    this.timer = new Timer(this, 0);
    context.counters.add(LISTENER_COUNTER.downstreamCxHttp1Total, 1);
    this.rearm(this.context.idleTimeoutMs);
  }

  /** Closes the connection if it is idle, else after the answer under way. A new one may still ask its question. */
  drain(): void {
    const idle = this.phase === 'idle' && this.parser.idle && this.parked === null;
    if (idle && this.requests > 0) this.linger();
    else {
      this.lastAnswer = true;
      if (idle) this.rearm(LIMITS.drainGraceMs);
    }
  }

  destroy(): void {
    const halfAnswered = this.answerBegun && (this.tunnelled || !this.answerEnded);
    this.leave(failure('shutting-down'));
    if (halfAnswered) resetSocket(this.socket, this.link.raw);
    else this.socket.destroy();
  }

  cutTunnels(): void {
    if (this.tunnelled) this.destroy();
  }

  get active(): number {
    return this.handler === null ? 0 : 1;
  }

  get idleTimer(): Timer | null {
    return this.phase === 'idle' ? this.timer : null;
  }

  // What the codec finds.

  onHead(head: RequestHead): void {
    this.head = head;
    this.requests++;
    this.phase = 'exchange';
    this.requestEnded = false;
    this.continueSent = false;
    this.context.wheel.cancel(this.timer);
    if (this.parser.offersH2c && this.becomeHttp2(head)) return;
    this.handler = this.context.conductor.accept(this.context.config, head, this);
    if (this.answerEnded) this.handler = null;
  }

  onBody(chunk: Buffer): void {
    this.handler?.onBody(chunk);
  }

  onEnd(trailers: HeaderList | null): void {
    this.requestEnded = true;
    const handler = this.handler;
    if (this.tunnelled && this.answerEnded) this.linger();
    handler?.onEnd(trailers);
  }

  // What the exchange asks for.

  sendInformational(head: ResponseHead): void {
    if (this.head?.version !== '1.1' || this.answerBegun) return;
    if (head.status === 100) {
      if (this.continueSent || this.requestEnded) return;
      this.continueSent = true;
    }
    this.writer.text(encodeInformational(head));
    this.writer.flush();
  }

  sendHead(head: ResponseHead): void {
    const request = this.head;
    this.answerBegun = true;
    this.tunnelled = head.body === 'tunnel';
    const context = {
      version: request?.version ?? '1.1',
      keepAlive: this.mayLive(),
      requestMethod: request?.method ?? 'GET',
    };
    const framing = responseFraming(head, context);
    if (!context.keepAlive || framing === 'close') this.lastAnswer = true;
    this.writer.begin(encodeResponseHead(head, context), framing, head.contentLength);
    if (this.tunnelled) this.openTunnel();
    else this.writer.flushSoon();
  }

  sendBody(chunk: Buffer): boolean {
    const open = this.writer.body(chunk);
    this.writer.flushSoon();
    return open;
  }

  sendEnd(trailers: HeaderList | null): void {
    this.writer.end(trailers);
    this.answerEnded = true;
    if (this.tunnelled) {
      if (this.requestEnded) this.linger();
      else endSocket(this.socket);
      return;
    }
    this.handler = null;
    if (!this.writer.intact) this.socket.destroy();
    else if (!this.parsing) this.afterAnswer();
  }

  abort(_failure: Failure): void {
    this.handler = null;
    this.writer.flush();
    resetSocket(this.socket, this.link.raw);
  }

  pause(): void {
    this.link.pause();
  }

  resume(): void {
    if (this.phase === 'exchange') this.link.resume();
  }

  closeAfter(): void {
    this.lastAnswer = true;
  }

  // What the socket and the clock bring.

  onTimer(): void {
    if (this.phase !== 'head') this.linger();
    else this.reject(this.context.offence(this.link, failure('header-timeout')));
  }

  /** `bytes[0, length)` are valid only during the call. */
  onBytes(bytes: Buffer, length: number): void {
    if (this.closing !== null) {
      this.closing.drop(length);
      return;
    }
    if (this.answerEnded && !this.tunnelled && !this.parser.done) {
      this.unwantedBytes += length;
      if (this.unwantedBytes > LIMITS.lingerBytes) {
        this.linger();
        return;
      }
    }
    if (this.parser.done && !this.tunnelled) this.park(bytes, 0, length);
    else this.parse(bytes, length);
  }

  private parse(bytes: Buffer, length: number): void {
    this.parsing = true;
    let at = 0;
    while (at < length) {
      if (this.parser.done && !this.beginNext()) {
        this.park(bytes, at, length);
        break;
      }
      const consumed = this.parser.execute(bytes, at, length);
      if (consumed < 0) {
        this.parsing = false;
        this.reject(this.parser.failure as Failure);
        return;
      }
      at += consumed;
      if (this.phase === 'closed' || this.phase === 'linger') break;
      if (this.successor !== null) {
        if (at < length) this.successor.onBytes(bytes.subarray(at, length), length - at);
        return;
      }
    }
    this.parsing = false;
    if (this.answerEnded && this.phase === 'exchange' && !this.tunnelled) this.afterAnswer();
    else if (this.phase === 'idle' && this.parser.inHead) {
      this.phase = 'head';
      this.rearm(this.context.config.headerTimeoutMs);
    }
  }

  private park(bytes: Buffer, start: number, end: number): void {
    const chunk = bytes.subarray(start, end);
    this.parked = this.parked === null ? Buffer.from(chunk) : Buffer.concat([this.parked, chunk]);
    if (this.parked.length > LIMITS.pipelinedBytes) this.link.pause();
  }

  /** Both sides of the exchange are complete: the connection is free for another. */
  private afterAnswer(): void {
    if (this.phase === 'closed' || this.phase === 'linger') return;
    if (this.lastAnswer) {
      this.linger();
      return;
    }
    if (!this.parser.done) {
      // Answered before the body ended: read the rest and throw it away, for a bounded while.
      if (!this.timer.armed) this.context.wheel.arm(this.timer, LIMITS.lingerMs);
      this.link.resume();
      return;
    }
    if (!this.beginNext()) {
      // The client reads too slowly to be given another answer; see onDrain.
      this.rearm(this.context.idleTimeoutMs);
      return;
    }
    const parked = this.parked;
    this.parked = null;
    this.link.resume();
    if (parked !== null) this.parse(parked, parked.length);
  }

  /** Makes the codec ready for the next request; false while the last answer is not out. */
  private beginNext(): boolean {
    if (!this.answerEnded || this.lastAnswer || !this.link.out.belowHighWater) return false;
    this.parser.next();
    this.head = null;
    this.handler = null;
    this.answerBegun = false;
    this.answerEnded = false;
    this.unwantedBytes = 0;
    this.phase = 'idle';
    this.rearm(this.context.idleTimeoutMs);
    return true;
  }

  /** Refuses what came: answers if nothing was answered yet, then closes. */
  reject(why: Failure): void {
    this.lastAnswer = true;
    this.parser.close();
    const handler = this.handler;
    if (handler !== null) handler.onRefused(why);
    else if (this.phase === 'exchange') this.linger();
    else {
      this.phase = 'exchange';
      this.context.wheel.cancel(this.timer);
      this.context.conductor.refuse(why, this);
    }
  }

  private linger(): void {
    this.phase = 'linger';
    this.handler = null;
    this.parked = null;
    this.parser.close();
    this.writer.flush();
    this.context.wheel.cancel(this.timer);
    this.closing = new LingeringClose(this.link, this.context);
  }

  private openTunnel(): void {
    this.writer.flush();
    this.context.counters.add(LISTENER_COUNTER.downstreamCxUpgradesTotal, 1);
    this.parser.tunnel();
    this.requestEnded = false;
    this.lastAnswer = true;
    const parked = this.parked;
    this.parked = null;
    this.link.resume();
    if (parked === null) return;
    process.nextTick(() => {
      if (this.phase === 'exchange') this.parse(parked, parked.length);
    });
  }

  /** The request becomes the first stream of an HTTP/2 connection; false: it stays what it is. */
  private becomeHttp2(head: RequestHead): boolean {
    const { config, draining } = this.context;
    const settings = settingsOf(head);
    if (settings === null || config.protocol !== 'auto' || this.facts.tls !== null || draining) return false;
    this.link.out.writeText(SWITCHING);
    const successor = new Http2Connection(this.link, this.context);
    this.successor = successor;
    this.link.handOver(successor);
    successor.adopt(head, settings);
    return true;
  }

  private mayLive(): boolean {
    // A client that was not told to continue may or may not send the body (RFC 9110 section 10.1.1).
    const bodyInDoubt = this.head?.expectContinue === true && !this.continueSent && !this.requestEnded;
    return (
      !this.lastAnswer &&
      !bodyInDoubt &&
      this.context.keepsAlive &&
      this.head !== null &&
      this.parser.keepAlive &&
      this.requests < LIMITS.requestsPerConnection
    );
  }

  onDrain(): void {
    if (this.closing !== null) this.closing.onDrain();
    else if (this.handler !== null) this.handler.onWritable();
    else if (this.answerEnded && this.phase === 'exchange') this.afterAnswer();
  }

  onPeerEnd(): void {
    if (this.tunnelled && this.phase === 'exchange') {
      this.parser.finish();
      return;
    }
    if (this.phase === 'linger') return; // the socket closes by itself once the last answer is out
    // A client that ends its side in the middle of a request has gone, as Envoy and nginx see it.
    if (this.phase === 'head' || (this.phase === 'exchange' && !this.answerEnded)) this.socket.destroy();
    else this.linger();
  }

  onClose(): void {
    this.leave(failure('downstream-gone'));
    this.phase = 'closed';
    this.parked = null;
    this.parser.close();
    this.context.wheel.cancel(this.timer);
    this.closing?.cancel();
    this.context.onClosed(this.link);
  }

  private leave(why: Failure): void {
    const handler = this.handler;
    this.handler = null;
    handler?.onAborted(why);
  }

  /** `delayMs` 0: no timer. */
  private rearm(delayMs: number): void {
    this.context.wheel.cancel(this.timer);
    if (delayMs > 0) this.context.wheel.arm(this.timer, delayMs);
  }
}
