/**
 * Waits for the PROXY header of a new connection, before TLS and before anything is told apart. Who may send one is the
 * listener's word: from anybody else it would be a licence to be whoever one likes. A connection that ends without a byte is a load
 * balancer's look at the port, and nobody's failure.
 */
import type { Socket } from 'node:net';
import { type Failure, failure, Timer, type TimerOwner, type TimerWheel } from '../../base/index.ts';
import type { ListenerConfig, ProxyProtocolConfig } from '../../config/index.ts';
import { type ProxiedAddresses, type ProxyVersion, readProxyHeader } from '../../message/index.ts';
import { TrustedCallers } from '../policy/index.ts';

export interface ProxyHeaderOwner {
  /**
   * The socket is paused, and has what came after the header. `said` null: the peer speaks for itself; `version` null: it
   * sent no header.
   */
  onProxyHeader(socket: Socket, version: ProxyVersion | null, said: ProxiedAddresses | null): void;
  onProxyHeaderRefused(socket: Socket, why: Failure): void;
}

const NOTHING = Buffer.alloc(0);
const NOT_TRUSTED = 'the peer is not among proxyProtocol.trustedProxies';

export class ProxyHeaderWait implements TimerOwner {
  private readonly owner: ProxyHeaderOwner;
  private readonly socket: Socket;
  private readonly config: ProxyProtocolConfig;
  /** The peer may send a header. */
  private readonly trusted: boolean;
  private readonly waitMs: number;
  private readonly wheel: TimerWheel;
  private readonly timer = new Timer(this, 0);
  private kept: Buffer = NOTHING;

  constructor(
    owner: ProxyHeaderOwner,
    socket: Socket,
    { protocol, headerTimeoutMs, detectTimeoutMs }: ListenerConfig,
    config: ProxyProtocolConfig,
    wheel: TimerWheel,
  ) {
    this.owner = owner;
    this.socket = socket;
    this.config = config;
    this.trusted = TrustedCallers.of(config.trustedProxies).has(socket.remoteAddress ?? '');
    // Where a server speaks first, a client without a header may be waiting too.
    const mayWait = config.optional && protocol === 'tcp' && detectTimeoutMs > 0;
    this.waitMs = mayWait ? detectTimeoutMs : headerTimeoutMs;
    this.wheel = wheel;
  }

  /** The owner is told the outcome once, perhaps before this returns, unless the connection ends by itself. */
  start(): void {
    const { socket } = this;
    if (!this.trusted && !this.config.optional) {
      this.refuse(NOT_TRUSTED);
      return;
    }
    socket.on('data', this.onData);
    socket.on('end', this.onGone);
    socket.on('timeout', this.onGone);
    socket.once('close', this.onGone);
    this.wheel.arm(this.timer, this.waitMs);
    socket.resume();
  }

  onTimer(): void {
    if (this.config.optional && this.kept.length === 0) this.pass(null, null, 0);
    else this.refuse('the header was not complete in time');
  }

  private readonly onData = (chunk: Buffer): void => {
    this.kept = this.kept.length === 0 ? chunk : Buffer.concat([this.kept, chunk]);
    const read = readProxyHeader(this.kept);
    switch (read.state) {
      case 'more':
        break;
      case 'none':
        if (this.config.optional) this.pass(null, null, 0);
        else this.refuse('the connection begins with something else');
        break;
      case 'broken':
        this.refuse(`${read.version}: ${read.why}`);
        break;
      default:
        if (!this.trusted) this.refuse(NOT_TRUSTED);
        else if (!this.config.versions.includes(read.version))
          this.refuse(`version ${read.version} is not among proxyProtocol.versions`);
        else this.pass(read.version, read.addresses, read.length);
    }
  };

  private readonly onGone = (): void => {
    this.leave();
    this.socket.destroy();
  };

  private pass(version: ProxyVersion | null, said: ProxiedAddresses | null, length: number): void {
    const { socket, kept } = this;
    this.leave();
    if (kept.length > length) socket.unshift(kept.subarray(length));
    this.owner.onProxyHeader(socket, version, said);
  }

  private refuse(why: string): void {
    this.leave();
    this.owner.onProxyHeaderRefused(this.socket, failure('proxy-protocol', why));
  }

  private leave(): void {
    const { socket } = this;
    socket.pause();
    this.wheel.cancel(this.timer);
    socket.removeListener('data', this.onData);
    socket.removeListener('end', this.onGone);
    socket.removeListener('timeout', this.onGone);
    socket.removeListener('close', this.onGone);
  }
}
