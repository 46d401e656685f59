/**
 * HTTP/1.1 on a connection to an endpoint, and the stream of the one request it carries at a time.
 *
 * States: `idle` ⇄ `busy` → `closed`; `discarding`: the rest of an answer nobody wants is
 * read so that the connection can be kept; `closing`: our side is closed and the peer's is awaited.
 */
import type { Socket } from 'node:net';
import { type Failure, failure, LIMITS, Timer, type TimerOwner, type TimerWheel } from '../../base/index.ts';
import type { HeaderList, RequestHead, ResponseHead, UpstreamHandler } from '../../message/index.ts';
import {
  BodyWriter,
  encodeRequestHead,
  ResponseParser,
  type ResponseSink,
  requestFraming,
} from '../codec/http1/index.ts';
import { endSocket, resetSocket } from '../transport/index.ts';
import type { AttemptStream, CloseCause, ConnectionOwner, UpstreamConnection } from './connection.ts';
import type { Link, LinkUser } from './link.ts';
import { answerFault, completeRequest } from './websocket.ts';

const USUALLY_WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

type State = 'idle' | 'busy' | 'discarding' | 'closing' | 'closed';

export class Http1UpstreamConnection
  implements AttemptStream, UpstreamConnection, LinkUser, ResponseSink, TimerOwner
{
  readonly link: Link;
  readonly protocol = 'http1';
  closeCause: CloseCause = 'local';
  cutRequests = 0;
  private readonly owner: ConnectionOwner;
  private readonly wheel: TimerWheel;
  private readonly idleTimeoutMs: number;
  private readonly socket: Socket;
  private readonly writer: BodyWriter;
  private readonly parser: ResponseParser;
  private readonly timer: Timer;
  private state: State = 'idle';
  private handler: UpstreamHandler | null = null;
  private served = 0;
  private requestEnded = false;
  private answerEnded = false;
  private trailers: HeaderList | null = null;
  private tunnelled = false;
  /** Of a tunnel that is over, when last looked at. */
  private unsentBytes = 0;
  private discardedBytes = 0;
  /** The request for a tunnel that is under way. */
  private asked: RequestHead | null = null;
  /** Sec-WebSocket-Accept that the answer must have; empty: the client looks at it. */
  private proof = '';

  constructor(owner: ConnectionOwner, wheel: TimerWheel, link: Link, idleTimeoutMs: number) {
    this.owner = owner;
    this.wheel = wheel;
    this.link = link;
    this.idleTimeoutMs = idleTimeoutMs;
    this.parser = new ResponseParser(this);
    this.timer = new Timer(this, 0);
    this.socket = link.socket;
    this.writer = new BodyWriter(link.out);
    link.user = this;
    this.becomeIdle();
  }

  get endpointAddress(): string {
    return this.link.endpointAddress;
  }

  get endpointSlot(): number {
    return this.link.endpointSlot;
  }

  get reused(): boolean {
    return this.served > 1;
  }

  get waitingBytes(): number {
    return this.socket.writableLength;
  }

  get capacity(): number {
    return this.state === 'idle' ? 1 : 0;
  }

  get isIdle(): boolean {
    return this.state === 'idle';
  }

  open(): AttemptStream {
    return this;
  }

  begin(handler: UpstreamHandler): void {
    this.state = 'busy';
    this.wheel.cancel(this.timer);
    this.handler = handler;
    this.served++;
    this.requestEnded = false;
    this.answerEnded = false;
  }

  sendHead(head: RequestHead): void {
    this.parser.expect(head.method, head.upgrade !== '');
    this.asked = head.body === 'tunnel' ? head : null;
    if (this.asked !== null) {
      // A request without a body until the endpoint agrees; see onHead.
      this.proof = completeRequest(head);
      this.writer.begin(encodeRequestHead(head), 'none', 0);
      this.writer.end(null);
      this.requestEnded = true;
      return;
    }
    // RFC 9110 section 8.6: HTTP/2 needs no length to say that nothing follows, and servers of HTTP/1.1 ask for one.
    const bare = head.body === 'none' && head.version === '2' && USUALLY_WITH_BODY.has(head.method);
    const sent: RequestHead = bare ? { ...head, body: 'length', contentLength: 0 } : head;
    this.writer.begin(encodeRequestHead(sent), requestFraming(sent), sent.contentLength);
    if (head.expectContinue) this.writer.flush();
    else this.writer.flushSoon();
  }

  sendBody(chunk: Buffer): boolean {
    const open = this.writer.body(chunk);
    this.writer.flushSoon();
    return open;
  }

  sendEnd(trailers: HeaderList | null): void {
    this.writer.end(trailers);
    this.requestEnded = true;
    if (!this.tunnelled) return;
    endSocket(this.socket);
    if (this.answerEnded) this.watchFlush();
  }

  cancel(): void {
    this.handler = null;
    if (this.tunnelled) resetSocket(this.socket, this.link.raw);
    else this.socket.destroy();
  }

  /** A short rest is read and thrown away so that the connection lives; otherwise it is closed. */
  discard(): void {
    this.handler = null;
    if (this.state !== 'busy' || this.answerEnded) return;
    if (!this.requestEnded) {
      this.socket.destroy();
      return;
    }
    this.state = 'discarding';
    this.discardedBytes = 0;
    this.socket.resume();
    this.wheel.arm(this.timer, LIMITS.lingerMs);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /**
   * Closes an idle connection so that whoever counts connections on the other side never sees one too many:
   * our FIN first, and the descriptor given back when the peer's FIN has come.
   */
  closeGracefully(): void {
    if (this.state !== 'idle') return;
    this.state = 'closing';
    this.socket.end();
    this.wheel.cancel(this.timer);
    this.wheel.arm(this.timer, LIMITS.gracefulCloseMs);
  }

  // What the codec finds.

  onInformational(head: ResponseHead): void {
    this.handler?.onInformational(head);
  }

  onHead(head: ResponseHead): void {
    const wrong = this.asked === null ? '' : answerFault(this.asked, head, this.proof);
    if (wrong !== '') {
      this.closeCause = 'protocol';
      this.fail(failure('upstream-protocol', wrong));
      this.socket.destroy();
      return;
    }
    if (head.body === 'tunnel') {
      this.tunnelled = true;
      this.requestEnded = false;
      this.writer.begin('', 'tunnel', -1);
    }
    this.handler?.onHead(head);
  }

  onBody(chunk: Buffer): void {
    if (this.handler !== null) this.handler.onBody(chunk);
    else {
      this.discardedBytes += chunk.length;
      if (this.discardedBytes > LIMITS.replayBytes) this.socket.destroy();
    }
  }

  onEnd(trailers: HeaderList | null): void {
    this.answerEnded = true;
    this.trailers = trailers;
  }

  // What the link and the clock bring.

  onDrain(): void {
    this.handler?.onWritable();
  }

  onTimer(): void {
    if (this.state === 'idle') {
      this.closeCause = 'idle-timeout';
      this.closeGracefully();
    } else if (this.tunnelled && this.socket.writableLength < this.unsentBytes) this.watchFlush();
    else this.socket.destroy();
  }

  onBytes(bytes: Buffer, length: number): boolean {
    if (this.state === 'idle' || this.state === 'closing') {
      // An answer to no question: the next request would be given it (response queue poisoning).
      this.socket.destroy();
      return false;
    }
    const consumed = this.parser.execute(bytes, 0, length);
    if (consumed < 0) {
      this.closeCause = 'protocol';
      this.fail(this.parser.failure as Failure);
      this.socket.destroy();
      return false;
    }
    if (this.answerEnded && !this.tunnelled) this.deliverEnd(consumed === length);
    return true;
  }

  /**
   * The connection is freed before the handler hears of the end: what the handler starts next (a pipelined
   * request) finds it, instead of dialling another.
   */
  private deliverEnd(clean: boolean): void {
    const handler = this.handler;
    const trailers = this.trailers;
    this.handler = null;
    this.trailers = null;
    if (clean) this.afterAnswer();
    else this.socket.destroy();
    handler?.onEnd(trailers);
  }

  private afterAnswer(): void {
    if (this.state === 'idle' || this.state === 'closed') return;
    if (!this.requestEnded || !this.parser.reusable || !this.writer.intact) {
      // An answer before the request's end leaves the rest of it unsent: this connection is spent.
      this.socket.destroy();
      return;
    }
    this.wheel.cancel(this.timer);
    this.becomeIdle();
    this.owner.onFree(this);
  }

  private becomeIdle(): void {
    this.state = 'idle';
    this.handler = null;
    this.socket.resume();
    if (this.idleTimeoutMs > 0) this.wheel.arm(this.timer, this.idleTimeoutMs);
  }

  onPeerEnd(): void {
    if (this.state !== 'closing') this.closeCause = 'remote';
    if (this.state === 'busy' || this.state === 'discarding') {
      const why = this.parser.finish();
      if (why !== null) this.fail(why);
      else if (this.tunnelled) {
        this.handler?.onEnd(null);
        if (this.requestEnded) this.watchFlush();
        return;
      } else this.deliverEnd(false);
    } else if (this.state === 'idle') this.state = 'closing';
    this.socket.destroy();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null) this.closeCause = 'remote';
    if (this.state === 'busy' && !this.answerEnded) this.cutRequests = 1;
    if (this.handler !== null) {
      this.fail(
        this.parser.begun
          ? failure('closed-mid-response', error?.message ?? '')
          : error === null
            ? failure('closed-before-response')
            : failure('reset-before-response', error.message),
      );
    }
    this.state = 'closed';
    this.wheel.cancel(this.timer);
    this.parser.close();
  }

  /** An endpoint that takes none of a tunnel's last bytes must not hold the connection's slot for ever. */
  private watchFlush(): void {
    this.unsentBytes = this.socket.writableLength;
    if (this.idleTimeoutMs > 0) this.wheel.arm(this.timer, this.idleTimeoutMs);
  }

  /** Tells whoever waits, once. */
  private fail(why: Failure): void {
    const { handler } = this;
    this.handler = null;
    handler?.onFailed(why);
  }
}
