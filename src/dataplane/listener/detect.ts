/**
 * Waits for a client's first bytes and gives the connection to whoever speaks what they are (see first-bytes.ts); what
 * was read goes with it. Where a TCP route names the listener the wait is short, because the client may be waiting too:
 * for a server that speaks first.
 */
import { failure, LIMITS, Timer, type TimerOwner } from '../../base/index.ts';
import { LISTENER_COUNTER } from '../../telemetry/index.ts';
import type { Carried } from '../router/index.ts';
import type { ClientLink, ClientUser } from './client-link.ts';
import type { ListenerContext } from './context.ts';
import { FirstBytes, type Spoken } from './first-bytes.ts';
import { Http1Connection } from './http1-connection.ts';
import { Http2Connection } from './http2-connection.ts';
import { TcpConnection } from './tcp-connection.ts';

const NOTHING = Buffer.alloc(0);

export class Detection implements ClientUser, TimerOwner {
  readonly takesTurns = false;
  readonly active = 0;
  private readonly link: ClientLink;
  private readonly context: ListenerContext;
  private readonly carried: Carried;
  /** TLS is what has to come. */
  private readonly tlsOnly: boolean;
  private readonly first: FirstBytes;
  private readonly timer = new Timer(this, 0);
  /** Bytes that have not told yet. */
  private kept = NOTHING;
  private keptBytes = 0;
  private draining = false;

  constructor(link: ClientLink, context: ListenerContext) {
    const { config, conductor } = context;
    const { tls, tcp } = conductor.carried(config);
    this.link = link;
    this.context = context;
    this.tlsOnly = config.protocol === 'tls';
    // TLS inside TLS is not looked for.
    this.carried = { tls: this.tlsOnly || (tls && link.facts.tls === null), tcp };
    this.first = new FirstBytes(this.carried, !this.tlsOnly);
    this.arm(
      tcp ? config.detectTimeoutMs : this.tlsOnly ? LIMITS.tlsHandshakeTimeoutMs : context.idleTimeoutMs,
    );
  }

  onBytes(bytes: Buffer, length: number): void {
    const { first } = this;
    const begun = first.begun;
    const spoken = first.push(bytes, length);
    if (spoken !== null) this.become(this.speak(spoken), bytes, length);
    else {
      this.keep(bytes, length);
      if (!begun && !this.draining) this.arm(this.waitForRest());
    }
  }

  get idleTimer(): Timer | null {
    return this.first.begun ? null : this.timer;
  }

  onDrain(): void {}

  onPeerEnd(): void {
    // A client of TCP may have said all it has to say.
    if (this.carried.tcp && !this.first.inHello) {
      this.become(new TcpConnection(this.link, this.context, null), NOTHING, 0);
      this.link.user.onPeerEnd();
    } else this.link.socket.destroy();
  }

  onClose(): void {
    this.context.wheel.cancel(this.timer);
    this.context.onClosed(this.link);
  }

  onTimer(): void {
    const { first, context } = this;
    if (this.carried.tcp && !first.inHello && !this.draining) {
      this.become(new TcpConnection(this.link, context, null), NOTHING, 0);
      return;
    }
    if (first.inHello || this.tlsOnly) context.counters.add(LISTENER_COUNTER.downstreamHeaderTimeout, 1);
    if (first.inHello) this.refuse('the ClientHello was not complete in time');
    else this.link.socket.destroy();
  }

  /** A client that has just come may still ask its question. */
  drain(): void {
    this.draining = true;
    this.arm(LIMITS.drainGraceMs);
  }

  cutTunnels(): void {}

  destroy(): void {
    this.link.socket.destroy();
  }

  private waitForRest(): number {
    const { headerTimeoutMs, detectTimeoutMs } = this.context.config;
    return this.carried.tcp && !this.first.inHello ? detectTimeoutMs : headerTimeoutMs;
  }

  /** Null: nobody speaks that; the connection is closed. */
  private speak(spoken: Spoken): ClientUser | null {
    const { link, context, first } = this;
    if (spoken === 'http2') return new Http2Connection(link, context);
    if (spoken === 'http1') return new Http1Connection(link, context);
    if (spoken === 'tls') return new TcpConnection(link, context, first.serverName);
    if (this.carried.tcp) return new TcpConnection(link, context, null);
    if (first.inHello) {
      this.refuse('the ClientHello cannot be read, or is too long');
      return null;
    }
    const connection = new Http1Connection(link, context);
    if (this.tlsOnly) connection.reject(failure('plain-on-tls-port'));
    return connection;
  }

  private refuse(detail: string): void {
    this.context.conductor.connectionFailed(this.link.facts, failure('tls-handshake', detail));
    this.link.socket.destroy();
  }

  private become(user: ClientUser | null, bytes: Buffer, length: number): void {
    const { link, context } = this;
    const kept = this.kept.subarray(0, this.keptBytes);
    context.wheel.cancel(this.timer);
    this.kept = NOTHING;
    if (user === null) return;
    link.handOver(user);
    if (context.draining) user.drain();
    // Each to whoever speaks by then: the first of them may hand the connection on.
    if (kept.length > 0) link.user.onBytes(kept, kept.length);
    if (length > 0) link.user.onBytes(bytes, length);
  }

  /** At most `LIMITS.clientHelloBytes`: then it is decided. */
  private keep(bytes: Buffer, length: number): void {
    const needed = this.keptBytes + length;
    if (needed > this.kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.kept.length));
      this.kept.copy(larger, 0, 0, this.keptBytes);
      this.kept = larger;
    }
    bytes.copy(this.kept, this.keptBytes, 0, length);
    this.keptBytes = needed;
  }

  private arm(delayMs: number): void {
    this.context.wheel.cancel(this.timer);
    if (delayMs > 0) this.context.wheel.arm(this.timer, delayMs);
  }
}
