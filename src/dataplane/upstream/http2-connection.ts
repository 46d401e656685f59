/**
 * HTTP/2 on a connection to an endpoint: as many requests at a time as both sides allow, each on a stream of its own.
 * It takes requests from the endpoint's SETTINGS on, so that none is refused for being one too many and none is lost on an
 * endpoint that speaks something else, until it is told to close, is too old, or the endpoint sends GOAWAY; then it
 * ends with the last stream under way.
 */
import {
  type Clock,
  type Failure,
  failure,
  LIMITS,
  Timer,
  type TimerOwner,
  type TimerWheel,
} from '../../base/index.ts';
import type { ServiceConfig } from '../../config/index.ts';
import { ERROR, Http2Session, type Http2Stream, type SessionOwner } from '../codec/http2/index.ts';
import type { AttemptStream, CloseCause, ConnectionOwner, RequestConnection } from './connection.ts';
import { Http2UpstreamStream } from './http2-stream.ts';
import type { Link, LinkUser } from './link.ts';

const IDLE = 1;
const KEEPALIVE = 2;

export class Http2UpstreamConnection implements RequestConnection, LinkUser, SessionOwner, TimerOwner {
  readonly link: Link;
  readonly protocol = 'http2';
  closeCause: CloseCause = 'local';
  cutRequests = 0;
  /** Requests taken on so far. */
  served = 0;
  readonly session: Http2Session;
  /** TLS to the endpoint. */
  readonly secure: boolean;
  private readonly owner: ConnectionOwner;
  readonly wheel: TimerWheel;
  readonly config: ServiceConfig;
  private readonly idleTimer = new Timer(this, IDLE);
  private readonly keepaliveTimer = new Timer(this, KEEPALIVE);
  /** It takes no more requests. */
  private retiring = false;
  private closed = false;
  /** The endpoint's first SETTINGS have come. */
  private settled = false;
  private heardSincePing = false;
  private awaitsPong = false;
  /** What is wrong with an endpoint from which no SETTINGS came. */
  private unsettledWhy: Failure | null = null;

  constructor(owner: ConnectionOwner, wheel: TimerWheel, clock: Clock, link: Link, config: ServiceConfig) {
    this.owner = owner;
    this.wheel = wheel;
    this.link = link;
    this.config = config;
    this.secure = link.tlsResumed !== null;
    this.session = new Http2Session(
      { role: 'client', clock, maxStreams: 0, headerBytes: LIMITS.headerBytes },
      this,
      link.out,
    );
    link.user = this;
    // A server that does not speak HTTP/2 never sends SETTINGS.
    wheel.arm(this.keepaliveTimer, LIMITS.http2SettingsMs);
  }

  get capacity(): number {
    if (!this.settled || this.retiring || !this.session.canOpen) return 0;
    const limit = Math.min(this.config.http2.maxConcurrentStreams, this.session.peerMaxStreams);
    return Math.max(0, limit - this.streams);
  }

  /** It takes no request yet, and will without another one's end: its SETTINGS are awaited, or allow no stream for now. */
  get promising(): boolean {
    return !this.retiring && (!this.settled || this.session.peerMaxStreams === 0);
  }

  get isIdle(): boolean {
    return this.streams === 0 && !this.retiring;
  }

  open(): AttemptStream {
    this.wheel.cancel(this.idleTimer);
    this.served++;
    return new Http2UpstreamStream(this);
  }

  closeGracefully(): void {
    if (this.retiring) return;
    this.retiring = true;
    this.session.goaway(ERROR.noError, '');
    this.endIfUnused();
  }

  // What the session tells.

  onStream(): void {}

  onStreamClosed(stream?: Http2Stream): void {
    if (stream?.handler instanceof Http2UpstreamStream) stream.handler.onClosed();
    if (this.closed) return;
    if (this.retiring) this.endIfUnused();
    else {
      if (this.streams === 0) this.becomeIdle();
      this.owner.onFree(this);
    }
  }

  onSettings(): void {
    if (!this.settled) {
      this.settled = true;
      this.armKeepalive();
      this.becomeIdle();
    }
    if (!this.retiring) this.owner.onFree(this);
  }

  onGoaway(_lastStreamId: number, code: number): void {
    this.retiring = true;
    if (this.streams === 0 && code === ERROR.noError) this.closeCause = 'remote';
    this.endIfUnused();
    this.owner.onRetired(this);
  }

  onPong(): void {
    this.awaitsPong = false;
  }

  onStreamFault(): void {}

  // What the link and the clock bring.

  onBytes(bytes: Buffer, length: number): boolean {
    this.heardSincePing = true;
    if (!this.settled && isHttp1(bytes, length)) {
      this.breakOff(
        failure(
          'upstream-protocol',
          `${this.link.endpointAddress} answers in HTTP/1.1; see protocol of the service`,
        ),
      );
      return false;
    }
    if (this.session.execute(bytes, 0, length) >= 0) return true;
    this.closeCause = 'protocol';
    this.unsettledWhy = failure('upstream-protocol', this.session.error?.detail);
    this.endSoon();
    return true;
  }

  onDrain(): void {
    this.session.out.pump();
  }

  onPeerEnd(): void {
    if (!this.retiring) this.closeCause = 'remote';
    this.link.destroy();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null) this.closeCause = 'remote';
    this.closed = true;
    this.retiring = true;
    this.wheel.cancel(this.idleTimer);
    this.wheel.cancel(this.keepaliveTimer);
    this.cutRequests = this.streams;
    this.session.end(error?.message ?? '');
    if (!this.settled)
      this.owner.onConnectFailed(this.link, this.unsettledWhy ?? this.closedUnsettled(error));
  }

  onTimer(tag: number): void {
    if (tag === IDLE) this.onIdleTimer();
    else if (!this.settled) this.breakOff(failure('upstream-protocol', 'no SETTINGS came: not HTTP/2?'));
    else if (this.awaitsPong) {
      this.closeCause = 'keepalive-timeout';
      this.link.destroy();
    } else this.keepAlive();
  }

  private onIdleTimer(): void {
    if (this.retiring) {
      this.link.destroy();
      return;
    }
    this.closeCause = 'idle-timeout';
    this.closeGracefully();
  }

  private get streams(): number {
    return this.session.streams.open.size;
  }

  private becomeIdle(): void {
    const { idleTimeoutMs } = this.config;
    this.wheel.cancel(this.idleTimer);
    if (idleTimeoutMs > 0) this.wheel.arm(this.idleTimer, idleTimeoutMs);
  }

  private armKeepalive(): void {
    this.wheel.cancel(this.keepaliveTimer);
    const { keepaliveIntervalMs } = this.config.http2;
    if (keepaliveIntervalMs > 0) this.wheel.arm(this.keepaliveTimer, keepaliveIntervalMs);
  }

  /** Pings an endpoint from which nothing has come while requests wait for it. */
  private keepAlive(): void {
    if (this.heardSincePing || this.streams === 0) {
      this.heardSincePing = false;
      this.armKeepalive();
      return;
    }
    this.awaitsPong = true;
    this.session.out.ping(false, PING, 0);
    this.wheel.arm(this.keepaliveTimer, this.config.http2.keepaliveTimeoutMs);
  }

  private endIfUnused(): void {
    if (this.streams === 0) this.endSoon();
  }

  /** What was written still goes out. The slot is given back when the peer's FIN has come: decision 0006. */
  private endSoon(): void {
    // What the endpoint still sends is no reason to wait longer.
    if (this.link.socket.writableEnded) return;
    this.retiring = true;
    this.session.out.write();
    this.link.socket.end();
    this.wheel.cancel(this.idleTimer);
    this.wheel.arm(this.idleTimer, LIMITS.gracefulCloseMs);
  }

  /** The endpoint does not speak HTTP/2, and is told nothing. */
  private breakOff(why: Failure): void {
    this.closeCause = 'protocol';
    this.unsettledWhy = why;
    this.link.destroy();
  }

  private closedUnsettled(error: Error | null): Failure {
    const how = error === null ? 'closed before its SETTINGS came' : error.message;
    return failure('connect-failed', `${this.link.endpointAddress}: ${how}`);
  }
}

const PING = Buffer.from('outboard', 'latin1');
const HTTP1 = Buffer.from('HTTP/1.', 'latin1');

/** Does a first read begin like an answer of HTTP/1? */
function isHttp1(bytes: Buffer, length: number): boolean {
  return length >= HTTP1.length && bytes.compare(HTTP1, 0, HTTP1.length, 0, HTTP1.length) === 0;
}
