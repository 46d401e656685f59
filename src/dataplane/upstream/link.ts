/**
 * One connection to an endpoint, from the dial until its descriptor is closed, whatever is spoken on it: TCP or TLS,
 * what was agreed by ALPN, reading, writing, and how it ended. The owner counts it from the dial until `onLinkClosed`:
 * a limit on connections is one on descriptors, not on intentions.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import {
  type Clock,
  type Failure,
  failure,
  Timer,
  type TimerOwner,
  type TimerWheel,
} from '../../base/index.ts';
import type { EndpointConfig } from '../../config/index.ts';
import { addressOf, connectFailure, type Dialer, SocketOut } from '../transport/index.ts';
import type { Origin } from './origin.ts';

/** Told once of each turn in a connection's life. */
export interface LinkOwner {
  /** It can be used: give it a `user`. */
  onReady(link: Link): void;
  onConnectFailed(link: Link, why: Failure): void;
  /** The descriptor is closed; always the last call. */
  onLinkClosed(link: Link): void;
}

/** Who speaks on it. */
export interface LinkUser {
  /** `bytes[0, length)` are valid only during the call; false: the link was destroyed. */
  onBytes(bytes: Buffer, length: number): boolean;
  /** More may be written. */
  onDrain(): void;
  /** The endpoint has closed its side. */
  onPeerEnd(): void;
  /** The end, with the system's error if there was one. */
  onClose(error: NodeJS.ErrnoException | null): void;
}

export class Link implements TimerOwner {
  readonly endpointAddress: string;
  /** The endpoint's place in the ledger. */
  readonly endpointSlot: number;
  readonly socket: Socket;
  readonly out: SocketOut;
  user: LinkUser | null = null;
  connecting = true;
  /** Why it could not be made. */
  failed: Failure | null = null;
  /** When it could be used, as `Clock.nowMs`. */
  readyMs = 0;
  /** Requests that wait for it to be ready; the pool's. */
  awaited = 0;
  /** It was dialled for one connection of bytes; the pool's. */
  tcp = false;
  /** Whose requests alone it carries; empty: anybody's. */
  readonly origin: string;
  private readonly owner: LinkOwner;
  private readonly wheel: TimerWheel;
  private readonly clock: Clock;
  private readonly timer = new Timer(this, 0);
  private error: NodeJS.ErrnoException | null = null;

  constructor(
    owner: LinkOwner,
    wheel: TimerWheel,
    clock: Clock,
    dialer: Dialer,
    endpoint: EndpointConfig,
    connectTimeoutMs: number,
    { key, header }: Origin,
  ) {
    this.origin = key;
    this.owner = owner;
    this.wheel = wheel;
    this.clock = clock;
    this.endpointSlot = endpoint.slot;
    this.endpointAddress = addressOf(endpoint);
    this.socket = dialer.dial(endpoint, (length, bytes) => this.onBytes(bytes as Buffer, length), header);
    this.out = new SocketOut(this.socket);
    this.socket.on(dialer.readyEvent, () => this.onConnect());
    this.socket.on('drain', () => this.user?.onDrain());
    this.socket.on('end', () => this.onPeerEnd());
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error;
    });
    this.socket.on('close', () => this.onClose());
    wheel.arm(this.timer, connectTimeoutMs);
  }

  /** What ALPN agreed on; empty: nothing, or plain TCP. */
  get alpn(): string {
    return (this.socket instanceof TLSSocket && this.socket.alpnProtocol) || '';
  }

  /** Null: plain TCP; else whether the TLS session was resumed. */
  get tlsResumed(): boolean | null {
    return this.socket instanceof TLSSocket ? this.socket.isSessionReused() : null;
  }

  /** The TCP socket; null: it is out of reach under TLS. */
  get raw(): Socket | null {
    return this.socket instanceof TLSSocket ? null : this.socket;
  }

  /** Closes at once. */
  destroy(): void {
    this.socket.destroy();
  }

  onTimer(): void {
    this.fail(failure('connect-timeout', this.endpointAddress));
    this.socket.destroy();
  }

  private onConnect(): void {
    if (!this.connecting) return;
    this.connecting = false;
    this.wheel.cancel(this.timer);
    this.readyMs = this.clock.nowMs();
    this.owner.onReady(this);
  }

  private onBytes(bytes: Buffer, length: number): boolean {
    return this.user?.onBytes(bytes, length) ?? true;
  }

  private onPeerEnd(): void {
    if (this.user === null) this.socket.destroy();
    else this.user.onPeerEnd();
  }

  private onClose(): void {
    if (this.connecting)
      this.fail(
        this.error === null
          ? failure('connect-failed', `${this.endpointAddress}: closed while connecting`)
          : connectFailure(this.error, this.endpointAddress),
      );
    this.user?.onClose(this.error);
    this.owner.onLinkClosed(this);
  }

  /** Tells who waits for it, once. */
  private fail(why: Failure): void {
    if (!this.connecting) return;
    this.connecting = false;
    this.failed = why;
    this.wheel.cancel(this.timer);
    this.owner.onConnectFailed(this, why);
  }
}
