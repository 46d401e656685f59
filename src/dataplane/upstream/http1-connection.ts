/**
 * One HTTP/1.1 connection to an endpoint, and the stream of the one request it carries at a time.
 *
 * States: `connecting` → `idle` ⇄ `busy` → `closed`; `discarding`: the rest of an answer nobody wants is
 * read so that the connection can be kept; `closing`: our side is closed and the peer's is awaited.
 * The owner counts a connection from the dial until `onClosed`, which comes when the descriptor is closed:
 * a limit on connections is one on descriptors, not on intentions.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type Failure, failure, LIMITS, Timer, type TimerOwner, type TimerWheel } from '../../base/index.ts';
import type { EndpointConfig } from '../../config/index.ts';
import type {
  HeaderList,
  RequestHead,
  ResponseHead,
  UpstreamHandler,
  UpstreamStream,
} from '../../message/index.ts';
import {
  BodyWriter,
  encodeRequestHead,
  ResponseParser,
  type ResponseSink,
  requestFraming,
} from '../codec/http1/index.ts';
import { addressOf, connectFailure, type Dialer, SocketOut } from '../transport/index.ts';

/** Who owns connections: told once of each turn in a connection's life. */
export interface ConnectionOwner {
  onConnected(connection: Http1UpstreamConnection): void;
  onConnectFailed(connection: Http1UpstreamConnection, why: Failure): void;
  /** Free for another request. */
  onIdle(connection: Http1UpstreamConnection): void;
  /** The descriptor is closed; always the last call. */
  onClosed(connection: Http1UpstreamConnection): void;
}

/** Why a connection ended: we had no more use for it, it was idle too long, the endpoint closed it or broke the protocol. */
export type CloseCause = 'local' | 'idle-timeout' | 'remote' | 'protocol';

type State = 'connecting' | 'idle' | 'busy' | 'discarding' | 'closing' | 'closed';

export class Http1UpstreamConnection implements UpstreamStream, ResponseSink, TimerOwner {
  readonly endpointAddress: string;
  /** The endpoint's place in the ledger. */
  readonly endpointSlot: number;
  closeCause: CloseCause = 'local';
  /** A request was under way when it ended. */
  cutRequest = false;
  private readonly owner: ConnectionOwner;
  private readonly wheel: TimerWheel;
  private readonly idleTimeoutMs: number;
  private readonly socket: Socket;
  private readonly out: SocketOut;
  private readonly writer: BodyWriter;
  private readonly parser: ResponseParser;
  private readonly timer: Timer;
  private state: State = 'connecting';
  private handler: UpstreamHandler | null = null;
  private served = 0;
  private requestEnded = false;
  private answerEnded = false;
  private trailers: HeaderList | null = null;
  private tunnelled = false;
  private discardedBytes = 0;
  private lastError: NodeJS.ErrnoException | null = null;

  constructor(
    owner: ConnectionOwner,
    wheel: TimerWheel,
    dialer: Dialer,
    endpoint: EndpointConfig,
    connectTimeoutMs: number,
    idleTimeoutMs: number,
  ) {
    this.owner = owner;
    this.wheel = wheel;
    this.endpointSlot = endpoint.slot;
    this.endpointAddress = addressOf(endpoint);
    this.idleTimeoutMs = idleTimeoutMs;
    this.parser = new ResponseParser(this);
    this.timer = new Timer(this, 0);
    this.socket = dialer.dial(endpoint, (length, bytes) => this.onBytes(bytes as Buffer, length));
    this.out = new SocketOut(this.socket);
    this.writer = new BodyWriter(this.out);
    this.socket.on(dialer.readyEvent, () => this.onConnect());
    this.socket.on('drain', () => this.handler?.onWritable());
    this.socket.on('end', () => this.onPeerEnd());
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.lastError = error;
    });
    this.socket.on('close', () => this.onClose());
    wheel.arm(this.timer, connectTimeoutMs);
  }

  get reused(): boolean {
    return this.served > 1;
  }

  /** Null: plain TCP; else whether the TLS session was resumed. */
  get tlsResumed(): boolean | null {
    return this.socket instanceof TLSSocket ? this.socket.isSessionReused() : null;
  }

  get isIdle(): boolean {
    return this.state === 'idle';
  }

  /** Gives the connection a request; it must be idle. Then `sendHead` and so on. */
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
    if (head.body === 'tunnel') {
      // A request without a body until the endpoint agrees; see onHead.
      this.writer.begin(encodeRequestHead(head), 'none', 0);
      this.writer.end(null);
      this.requestEnded = true;
      return;
    }
    this.writer.begin(encodeRequestHead(head), requestFraming(head), head.contentLength);
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
    if (this.tunnelled) {
      this.socket.end();
      return;
    }
    this.requestEnded = true;
  }

  cancel(): void {
    this.handler = null;
    this.socket.destroy();
  }

  /**
   * The handler wants no more of this answer, whose head it has seen. A short rest is read and thrown away so
   * that the connection lives; otherwise it is closed.
   */
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

  /** Closes at once. */
  destroy(): void {
    this.socket.destroy();
  }

  // What the codec finds.

  onInformational(head: ResponseHead): void {
    this.handler?.onInformational(head);
  }

  onHead(head: ResponseHead): void {
    if (head.body === 'tunnel') {
      this.tunnelled = true;
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

  // What the socket and the clock bring.

  onTimer(): void {
    if (this.state === 'connecting') {
      this.fail(failure('connect-timeout', this.endpointAddress));
      this.socket.destroy();
    } else if (this.state === 'idle') {
      this.closeCause = 'idle-timeout';
      this.closeGracefully();
    } else this.socket.destroy();
  }

  private onConnect(): void {
    if (this.state !== 'connecting') return;
    this.wheel.cancel(this.timer);
    this.becomeIdle();
    this.owner.onConnected(this);
  }

  private onBytes(bytes: Buffer, length: number): boolean {
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
    this.owner.onIdle(this);
  }

  private becomeIdle(): void {
    this.state = 'idle';
    this.handler = null;
    this.socket.resume();
    if (this.idleTimeoutMs > 0) this.wheel.arm(this.timer, this.idleTimeoutMs);
  }

  private onPeerEnd(): void {
    if (this.state !== 'closing') this.closeCause = 'remote';
    if (this.state === 'busy' || this.state === 'discarding') {
      const why = this.parser.finish();
      if (why !== null) this.fail(why);
      else if (this.tunnelled) {
        this.handler?.onEnd(null);
        return;
      } else this.deliverEnd(false);
    } else if (this.state === 'idle') this.state = 'closing';
    this.socket.destroy();
  }

  private onClose(): void {
    if (this.lastError !== null) this.closeCause = 'remote';
    this.cutRequest = this.state === 'busy' && !this.answerEnded;
    if (this.state === 'connecting') {
      this.fail(
        this.lastError === null
          ? failure('connect-failed', `${this.endpointAddress}: closed while connecting`)
          : connectFailure(this.lastError, this.endpointAddress),
      );
    } else if (this.handler !== null) {
      const begun = this.parser.begun;
      this.fail(
        begun
          ? failure('closed-mid-response', this.lastError?.message ?? '')
          : this.lastError === null
            ? failure('closed-before-response')
            : failure('reset-before-response', this.lastError.message),
      );
    }
    this.state = 'closed';
    this.wheel.cancel(this.timer);
    this.parser.close();
    this.owner.onClosed(this);
  }

  /** Tells whoever waits, once. */
  private fail(why: Failure): void {
    if (this.state === 'connecting') {
      this.state = 'closing';
      this.owner.onConnectFailed(this, why);
      return;
    }
    const handler = this.handler;
    this.handler = null;
    handler?.onFailed(why);
  }
}
