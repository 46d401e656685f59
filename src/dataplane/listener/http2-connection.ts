/**
 * One HTTP/2 connection of a client. The session finds streams and keeps the protocol's rules; this class makes
 * requests of them, counts what broke a rule, and ends the connection: when it was idle too long, when the client is
 * to go elsewhere (GOAWAY twice, RFC 9113 section 6.8, so that no request on its way is lost), or when it broke the protocol.
 */
import { type Failure, failure, LIMITS, Timer, type TimerOwner } from '../../base/index.ts';
import type { RequestHead } from '../../message/index.ts';
import { LISTENER_COUNTER } from '../../telemetry/index.ts';
import {
  ERROR,
  type ErrorCode,
  type HeaderBlock,
  Http2Session,
  type Http2Stream,
  type SessionOwner,
  type SettingsValues,
} from '../codec/http2/index.ts';
import type { ClientLink, ClientUser } from './client-link.ts';
import type { ListenerContext } from './context.ts';
import { Http2Request } from './http2-request.ts';
import { LingeringClose } from './lingering-close.ts';

const IDLE = 1;
const OWED = 2;
const DRAIN = 3;

export class Http2Connection implements ClientUser, SessionOwner, TimerOwner {
  readonly takesTurns = true;
  readonly link: ClientLink;
  readonly context: ListenerContext;
  readonly session: Http2Session;
  /** No stream for so long. */
  private readonly idleTimeout = new Timer(this, IDLE);
  /** The client owes the rest of a header block, or an answer to our SETTINGS. */
  private readonly owedTimer = new Timer(this, OWED);
  private drainTimer: Timer | null = null;
  private closing: LingeringClose | null = null;
  /** Requests of the read that is being looked at. */
  private readonly fresh: Http2Request[] = [];
  /** The number of the header block that `owedTimer` waits for. */
  private owedBlock = 0;
  /** It reads so little of what it is answered that it is not read from. */
  private unread = false;
  /** What its streams are told when the connection ends. */
  private reason: Failure = failure('downstream-gone');

  constructor(link: ClientLink, context: ListenerContext) {
    this.link = link;
    this.context = context;
    const { config, clock } = context;
    this.session = new Http2Session(
      {
        role: 'server',
        clock,
        maxStreams: config.http2.maxConcurrentStreams,
        headerBytes: config.maxHeaderBytes,
      },
      this,
      link.out,
    );
    context.counters.add(LISTENER_COUNTER.downstreamCxHttp2Total, 1);
    context.wheel.arm(this.owedTimer, LIMITS.http2SettingsMs);
    this.becomeIdle();
  }

  get active(): number {
    return this.session.streams.open.size;
  }

  get idleTimer(): Timer | null {
    return this.active === 0 && this.closing === null ? this.idleTimeout : null;
  }

  /** Takes on the request that asked for HTTP/2 by `Upgrade`, with the settings it came with. */
  adopt(head: RequestHead, settings: SettingsValues): void {
    this.request(this.session.adopt(settings)).accept(head, true);
  }

  drain(): void {
    if (this.drainTimer !== null || this.closing !== null) return;
    this.goaway('', true);
    this.drainTimer = new Timer(this, DRAIN);
    this.context.wheel.arm(this.drainTimer, LIMITS.drainGraceMs);
  }

  cutTunnels(): void {
    for (const { handler } of this.session.streams.open.list())
      if (handler instanceof Http2Request) handler.cutTunnel();
  }

  destroy(): void {
    this.reason = failure('shutting-down');
    this.session.end('');
    this.link.socket.destroy();
  }

  /** Why a stream is gone, in the exchange's words. */
  reasonOf(cause: 'peer' | 'unprocessed' | 'fault' | 'connection', detail: string): Failure {
    if (cause === 'peer') {
      this.context.counters.add(LISTENER_COUNTER.http2RxReset, 1);
      return failure('downstream-gone', detail);
    }
    if (cause !== 'fault') return this.reason;
    return failure(this.flooded ? 'http2-flood' : 'http2-protocol', detail);
  }

  /** The client does not take the end of an answer. */
  onUnsent(stream: Http2Stream): void {
    const { counters, conductor } = this.context;
    counters.add(LISTENER_COUNTER.http2TxFlushTimeout, 1);
    conductor.connectionFailed(
      this.link.facts,
      failure(
        'stream-idle',
        `stream ${stream.id}: the client took none of the last ${stream.queuedBytes} bytes`,
      ),
    );
    this.session.reset(stream, ERROR.cancel);
  }

  // What the session tells.

  onStream(stream: Http2Stream, block: HeaderBlock, endStream: boolean): void {
    const request = this.request(stream);
    request.receive(block, endStream);
    this.fresh.push(request);
    if (this.context.sparing) this.drain();
  }

  onStreamClosed(stream: Http2Stream): void {
    if (stream.handler instanceof Http2Request) stream.handler.onClosed();
    if (this.active > 0 || this.closing !== null) return;
    if (this.drainTimer !== null && !this.drainTimer.armed) this.linger();
    else this.becomeIdle();
  }

  onSettings(): void {}

  onGoaway(): void {
    if (this.active === 0) this.linger();
  }

  onPong(): void {}

  onStreamFault(code: ErrorCode, detail: string, known: boolean): void {
    const refused = code === ERROR.refusedStream;
    const { counters, conductor } = this.context;
    counters.add(refused ? LISTENER_COUNTER.http2StreamRefused : LISTENER_COUNTER.http2RxMessagingError, 1);
    if (!refused && !known) conductor.connectionFailed(this.link.facts, failure('http2-protocol', detail));
  }

  // What the link and the clock bring.

  onBytes(bytes: Buffer, length: number): void {
    if (this.closing !== null) this.closing.drop(length);
    else if (this.session.execute(bytes, 0, length) < 0) this.fail();
    else {
      for (const request of this.fresh) request.start();
      this.fresh.length = 0;
      this.watch();
      this.stopUnread();
    }
  }

  onDrain(): void {
    if (this.closing !== null) {
      this.closing.onDrain();
      return;
    }
    this.session.out.pump();
    if (!this.unread) return;
    this.unread = false;
    this.link.resume();
    this.watch();
  }

  onPeerEnd(): void {
    if (this.closing !== null) return; // the socket closes by itself once our last frames are out
    // As for HTTP/1.1: a client that ends its side in the middle of a request has gone.
    if (this.active > 0) this.link.socket.destroy();
    else this.linger();
  }

  onClose(): void {
    const { wheel } = this.context;
    this.session.end('the client closed the connection');
    wheel.cancel(this.idleTimeout);
    wheel.cancel(this.owedTimer);
    if (this.drainTimer !== null) wheel.cancel(this.drainTimer);
    this.closing?.cancel();
    this.context.onClosed(this.link);
  }

  onTimer(tag: number): void {
    if (this.closing !== null) return;
    if (tag === IDLE) {
      this.goaway('idle');
      this.linger();
    } else if (tag === DRAIN) {
      this.goaway('');
      if (this.active === 0) this.linger();
    } else {
      if (this.session.openBlock > 0)
        this.session.fail({
          code: ERROR.protocolError,
          scope: 'connection',
          detail: `a header block that took longer than ${this.context.config.headerTimeoutMs} ms`,
        });
      else
        this.session.fail({
          code: ERROR.settingsTimeout,
          scope: 'connection',
          detail: 'SETTINGS were not acknowledged',
        });
      this.fail();
    }
  }

  private request(stream: Http2Stream): Http2Request {
    this.context.wheel.cancel(this.idleTimeout);
    const request = new Http2Request(this, stream);
    stream.handler = request;
    return request;
  }

  private get flooded(): boolean {
    return this.session.error?.code === ERROR.enhanceYourCalm;
  }

  private becomeIdle(): void {
    const { idleTimeoutMs } = this.context;
    if (idleTimeoutMs > 0) this.context.wheel.arm(this.idleTimeout, idleTimeoutMs);
  }

  /** A header block has to be complete within the header timeout, and our SETTINGS acknowledged. */
  private watch(): void {
    const { session, owedTimer } = this;
    if (this.closing !== null) return;
    const { openBlock, settling } = session;
    if (openBlock > 0 || settling) {
      // Reads may end in one block after the other: each has its time.
      const another = !settling && openBlock !== this.owedBlock;
      this.owedBlock = openBlock;
      if (another || !owedTimer.armed) this.context.wheel.arm(owedTimer, this.context.config.headerTimeoutMs);
    } else if (owedTimer.armed) this.context.wheel.cancel(owedTimer);
  }

  /**
   * Bodies wait in their streams when the client does not read; heads of answers and what is owed to PING and SETTINGS
   * can't. So who reads nothing of it is not read from either (as pipelining clients of HTTP/1.1), until all has gone.
   */
  private stopUnread(): void {
    const { socket } = this.link;
    if (this.unread || this.closing !== null || socket.writableLength < LIMITS.http2UnreadBytes) return;
    this.unread = true;
    this.context.wheel.cancel(this.owedTimer);
    this.link.pause();
  }

  private goaway(debug: string, soon = false): void {
    this.context.counters.add(LISTENER_COUNTER.http2GoawaySent, 1);
    this.session.goaway(ERROR.noError, debug, soon);
  }

  /** The session ended it: the client broke the protocol. */
  private fail(): void {
    const { counters, conductor } = this.context;
    const detail = this.session.error?.detail ?? '';
    counters.add(LISTENER_COUNTER.http2GoawaySent, 1);
    if (this.flooded) counters.add(LISTENER_COUNTER.http2Flood, 1);
    const why = failure(this.flooded ? 'http2-flood' : 'http2-protocol', detail);
    conductor.connectionFailed(this.link.facts, this.context.offence(this.link, why));
    this.linger();
  }

  private linger(): void {
    if (this.closing !== null) return;
    const { wheel } = this.context;
    this.session.out.write();
    wheel.cancel(this.idleTimeout);
    wheel.cancel(this.owedTimer);
    this.closing = new LingeringClose(this.link, this.context);
  }
}
