/**
 * One listening address of one worker. Every worker listens on the same port with SO_REUSEPORT and the
 * kernel spreads the connections, so no thread hands sockets to another. A TLS listener looks at the first
 * byte before it lets OpenSSL at it: a client that speaks plain HTTP to it is told so in plain HTTP.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import {
  type Clock,
  type Failure,
  failure,
  LIMITS,
  Timer,
  type TimerOwner,
  type TimerWheel,
} from '../../base/index.ts';
import type { ListenerConfig, SecretSet } from '../../config/index.ts';
import { NO_CALLER } from '../../ledger/index.ts';
import type { ConnectionFacts, ProxiedAddresses, ProxyVersion, TlsFacts } from '../../message/index.ts';
import { type CounterBlock, LISTENER_COUNTER } from '../../telemetry/index.ts';
import type { Conductor } from '../exchange/index.ts';
import type { Callers } from '../policy/index.ts';
import { createTlsTerminator, type TlsTerminator } from '../transport/index.ts';
import { ClientLink, type ClientUser } from './client-link.ts';
import { factsOf } from './connection-facts.ts';
import type { ListenerContext } from './context.ts';
import { Detection } from './detect.ts';
import { TLS_HANDSHAKE } from './first-bytes.ts';
import { Http1Connection } from './http1-connection.ts';
import { Http2Connection } from './http2-connection.ts';
import { type AcceptDependencies, ListeningSocket } from './listening-socket.ts';
import { type ProxyHeaderOwner, ProxyHeaderWait } from './proxy-header-wait.ts';
import type { ReadTurns } from './read-turns.ts';
import { Refusals } from './refusals.ts';
import { TcpConnection } from './tcp-connection.ts';

const TLS_COUNTERS: Readonly<Record<string, number>> = {
  'client-certificate-missing': LISTENER_COUNTER.sslFailVerifyNoCert,
  'client-certificate-invalid': LISTENER_COUNTER.sslFailVerifyError,
  'client-certificate-expired': LISTENER_COUNTER.sslFailVerifyError,
  'handshake-timeout': LISTENER_COUNTER.downstreamHeaderTimeout,
};

const FOUND = {
  v1: LISTENER_COUNTER.proxyProtoFoundV1,
  v2: LISTENER_COUNTER.proxyProtoFoundV2,
  none: LISTENER_COUNTER.proxyProtoNotFoundAllowed,
} as const;

/** The grace time of a drain is over; the time of its tunnels is. */
const GRACE = 1;
const TUNNELS = 2;

export interface ListenerDependencies extends AcceptDependencies {
  readonly conductor: Conductor;
  readonly wheel: TimerWheel;
  readonly callers: Callers;
  readonly turns: ReadTurns;
}

export class Listener implements ListenerContext, ProxyHeaderOwner, TimerOwner {
  config: ListenerConfig;
  readonly conductor: Conductor;
  readonly wheel: TimerWheel;
  draining = false;
  /** Nothing is accepted any more. */
  private closed = false;
  readonly clock: Clock;
  readonly counters: CounterBlock;
  private readonly callers: Callers;
  private readonly turns: ReadTurns;
  private readonly listening: ListeningSocket;
  private readonly links = new Set<ClientLink>();
  /** Accepted sockets that are not yet a connection: first byte or handshake outstanding. */
  private readonly pending = new Map<Socket, ConnectionFacts>();
  private terminator: TlsTerminator | null;
  private readonly graceTimer = new Timer(this, GRACE);
  private readonly tunnelTimer = new Timer(this, TUNNELS);
  private tunnelMs = 0;
  private readonly refusals: Refusals;
  private readonly onEmpty: (() => void)[] = [];

  constructor(config: ListenerConfig, secrets: SecretSet, dependencies: ListenerDependencies) {
    this.config = config;
    this.conductor = dependencies.conductor;
    this.wheel = dependencies.wheel;
    this.clock = dependencies.clock;
    this.counters = dependencies.counters;
    this.callers = dependencies.callers;
    this.turns = dependencies.turns;
    this.refusals = new Refusals(this.conductor, this.clock, this.counters);
    this.terminator = this.makeTerminator(secrets);
    this.listening = new ListeningSocket(config, (socket) => this.accept(socket), dependencies);
    this.meetOverload();
  }

  /** Starts to listen; rejects with the system's error. */
  listen(): Promise<void> {
    return this.listening.listen();
  }

  /** How long a connection that comes now will wait: see ListeningSocket. */
  acceptWaitMs(sinceMs: number, turns: number): number {
    return this.listening.acceptWaitMs(sinceMs, turns);
  }

  get keepsAlive(): boolean {
    return !this.draining && !this.sparing;
  }

  get sparing(): boolean {
    return this.conductor.overload?.disablesKeepalive === true;
  }

  get idleTimeoutMs(): number {
    const { overload } = this.conductor;
    return overload === null ? this.config.idleTimeoutMs : overload.idleTimeoutMs(this.config.idleTimeoutMs);
  }

  /** Does what overload, or its end, asks of connections: of new ones from now on, of idle ones at once. */
  meetOverload(): void {
    this.listening.meetOverload(this.conductor.overload);
    const { idleTimeoutMs } = this;
    const fullMs = this.config.idleTimeoutMs;
    if (idleTimeoutMs === 0 || (idleTimeoutMs >= fullMs && fullMs > 0)) return;
    const latestMs = this.clock.nowMs() + idleTimeoutMs;
    for (const { user } of this.links) {
      const { idleTimer } = user;
      if (idleTimer === null) continue;
      if (!idleTimer.armed || idleTimer.dueMs > latestMs) this.wheel.arm(idleTimer, idleTimeoutMs);
    }
  }

  /** True when `config` can be taken over without listening anew. */
  canBecome(config: ListenerConfig): boolean {
    return this.config.host === config.host && this.config.port === config.port;
  }

  /** Takes a newer configuration for new requests, and for new connections where it is about TLS. */
  update(config: ListenerConfig, secrets: SecretSet): void {
    const sameTls = JSON.stringify(config.tls) === JSON.stringify(this.config.tls);
    this.config = config;
    if (sameTls) this.terminator?.update(secrets);
    else {
      this.terminator?.close();
      this.terminator = this.makeTerminator(secrets);
    }
  }

  updateSecrets(secrets: SecretSet): void {
    this.terminator?.update(secrets);
  }

  /**
   * Ends in two steps. At once every answer says `Connection: close`, while new connections are still served: a
   * client that is about to reuse an idle connection, or whose connection waits to be accepted, would
   * otherwise be reset. After `graceMs` nothing is accepted and idle connections close. Resolves when the last
   * connection has ended, which `destroy` hastens.
   */
  drain(graceMs: number): Promise<void> {
    if (!this.draining) {
      this.draining = true;
      if (graceMs === 0) this.stopAccepting();
      else this.wheel.arm(this.graceTimer, graceMs);
    }
    return new Promise((resolve) => {
      this.onEmpty.push(resolve);
      this.checkEmpty();
    });
  }

  /** Cuts off tunnels after so long, also those that are agreed to later: they would keep a drain waiting for ever. */
  cutTunnelsAfter(delayMs: number): void {
    this.tunnelMs = delayMs;
    if (!this.isEmpty) this.wheel.arm(this.tunnelTimer, delayMs);
  }

  /** Cuts off every connection and returns how many requests were under way. */
  destroy(): number {
    this.stopAccepting();
    let active = 0;
    for (const { user } of [...this.links]) {
      active += user.active;
      user.destroy();
    }
    for (const socket of [...this.pending.keys()]) socket.destroy();
    return active;
  }

  onClosed(link: ClientLink): void {
    this.links.delete(link);
    this.callers.leave(link.facts.caller);
    this.counters.add(LISTENER_COUNTER.downstreamCxDestroy, 1);
    this.checkEmpty();
  }

  offence(link: ClientLink, why: Failure): Failure {
    this.offended(link.facts.caller);
    return why;
  }

  onTimer(tag: number): void {
    if (tag === GRACE) this.stopAccepting();
    else {
      for (const { user } of [...this.links]) user.cutTunnels();
      this.cutTunnelsAfter(this.tunnelMs);
    }
  }

  private stopAccepting(): void {
    if (this.closed) return;
    this.closed = true;
    this.wheel.cancel(this.graceTimer);
    this.listening.close();
    for (const { user } of [...this.links]) user.drain();
    for (const socket of this.pending.keys())
      if (socket.bytesRead === 0) socket.setTimeout(LIMITS.drainGraceMs);
    this.checkEmpty();
  }

  private accept(socket: Socket): void {
    const open = this.links.size + this.pending.size;
    const { remoteAddress } = socket;
    if (open >= this.config.maxConnections || remoteAddress === undefined) {
      this.counters.add(LISTENER_COUNTER.downstreamCxOverflow, 1);
      socket.destroy();
      return;
    }
    const { proxyProtocol, name } = this.config;
    // Behind a proxy the caller is who that names.
    const caller =
      proxyProtocol === null ? this.callers.enter(remoteAddress, this.clock.nowMs()) : NO_CALLER.untracked;
    if (caller < NO_CALLER.untracked) {
      const untracked = NO_CALLER.untracked;
      this.refusals.turnAway(socket, this.callers.refusalOf(caller), () => factsOf(socket, name, untracked));
      return;
    }
    this.counters.add(LISTENER_COUNTER.downstreamCxTotal, 1);
    const facts = factsOf(socket, name, caller);
    if (proxyProtocol === null) this.admit(socket, facts);
    else {
      this.hold(socket, facts);
      new ProxyHeaderWait(this, socket, this.config, proxyProtocol, this.wheel).start();
    }
  }

  onProxyHeader(socket: Socket, version: ProxyVersion | null, said: ProxiedAddresses | null): void {
    const facts = this.pending.get(socket);
    this.pending.delete(socket);
    if (facts === undefined) return;
    this.counters.add(FOUND[version ?? 'none'], 1);
    const proxied = said === null ? facts : { ...facts, ...said };
    const caller = this.callers.enter(proxied.remoteAddress, this.clock.nowMs());
    if (caller >= NO_CALLER.untracked) this.admit(socket, { ...proxied, caller });
    else {
      this.refusals.turnAway(socket, this.callers.refusalOf(caller), () => proxied);
      this.counters.add(LISTENER_COUNTER.downstreamCxDestroy, 1);
      this.checkEmpty();
    }
  }

  onProxyHeaderRefused(socket: Socket, why: Failure): void {
    const facts = this.pending.get(socket);
    if (facts !== undefined) this.conductor.connectionFailed(facts, why);
    this.counters.add(LISTENER_COUNTER.proxyProtoRefused, 1);
    socket.destroy();
  }

  private admit(socket: Socket, facts: ConnectionFacts): void {
    if (this.terminator !== null) this.detect(socket, facts);
    else {
      const { user } = this.begin(socket, socket, facts);
      if (this.closed) user.drain();
    }
  }

  /** Keeps count of a socket that is no connection yet. */
  private hold(socket: Socket, facts: ConnectionFacts): void {
    this.pending.set(socket, facts);
    const leave = (): void => {
      if (!this.pending.delete(socket)) return;
      this.callers.leave(facts.caller);
      this.counters.add(LISTENER_COUNTER.downstreamCxDestroy, 1);
      this.checkEmpty();
    };
    socket.on('error', leave);
    socket.once('close', leave);
  }

  private offended(caller: number): void {
    this.counters.add(LISTENER_COUNTER.callerOffences, 1);
    this.callers.offend(caller, this.clock.nowMs());
  }

  private begin(socket: Socket, raw: Socket, facts: ConnectionFacts): ClientLink {
    const link = new ClientLink(socket, raw, facts, this.turns, this.callers.accountOf(facts.caller));
    this.links.add(link);
    link.start(this.userFor(link));
    return link;
  }

  /** Who speaks on a connection: as configured, as ALPN agreed, or as its first bytes will tell. */
  private userFor(link: ClientLink): ClientUser {
    const { protocol } = this.config;
    const alpn = link.facts.tls?.alpn ?? '';
    if (protocol === 'tcp') return new TcpConnection(link, this, null);
    if (protocol === 'http2' || alpn === 'h2') return new Http2Connection(link, this);
    if (protocol === 'http' || alpn === 'http/1.1') return new Http1Connection(link, this);
    return new Detection(link, this);
  }

  /** Waits for the first byte of a connection to a TLS listener. */
  private detect(socket: Socket, facts: ConnectionFacts): void {
    this.hold(socket, facts);
    socket.setTimeout(LIMITS.tlsHandshakeTimeoutMs, () => {
      this.counters.add(LISTENER_COUNTER.downstreamHeaderTimeout, 1);
      socket.destroy();
    });
    socket.once('data', (head: Buffer) => {
      socket.pause();
      socket.setTimeout(0);
      // Who speaks no HTTP would take its refusal for an answer: OpenSSL says no in its own words.
      const isTls = head[0] === TLS_HANDSHAKE || this.config.protocol === 'tcp';
      if (isTls && this.terminator !== null) {
        this.turns.onArrival(facts.caller, () => this.shakeHands(socket, head));
        return;
      }
      this.pending.delete(socket);
      this.refusePlain(socket, facts);
    });
    socket.resume();
  }

  private shakeHands(socket: Socket, head: Buffer): void {
    if (this.terminator !== null) this.terminator.accept(socket, head);
    else socket.destroy(); // a reload has taken TLS from the listener
  }

  /** Tells a client in plain HTTP that this port speaks TLS. */
  private refusePlain(socket: Socket, facts: ConnectionFacts): void {
    const link = new ClientLink(socket, socket, facts, this.turns, null);
    const connection = new Http1Connection(link, this);
    this.links.add(link);
    link.start(connection);
    connection.reject(failure('plain-on-tls-port'));
  }

  private makeTerminator(secrets: SecretSet): TlsTerminator | null {
    const { name, tls } = this.config;
    if (tls === null) return null;
    return createTlsTerminator({
      listener: name,
      tls,
      secrets,
      clock: this.clock,
      handshakeTimeoutMs: LIMITS.tlsHandshakeTimeoutMs,
      onSecure: (socket, raw, facts) => this.onSecure(socket, raw, facts),
      onFailure: (raw, code, detail) => this.onTlsFailure(raw, code, detail),
    });
  }

  private onSecure(socket: TLSSocket, raw: Socket, tls: TlsFacts): void {
    const facts = this.pending.get(raw);
    this.pending.delete(raw);
    if (facts === undefined) {
      socket.destroy();
      return;
    }
    this.counters.add(LISTENER_COUNTER.sslHandshake, 1);
    if (tls.resumed) this.counters.add(LISTENER_COUNTER.sslSessionReused, 1);
    if (tls.peer === null) this.counters.add(LISTENER_COUNTER.sslNoCertificate, 1);
    const { user } = this.begin(socket, raw, { ...facts, tls });
    if (this.closed) user.drain();
  }

  private onTlsFailure(raw: Socket, code: string, detail: string): void {
    this.counters.add(TLS_COUNTERS[code] ?? LISTENER_COUNTER.sslConnectionError, 1);
    // A socket that is closed already has forgotten its addresses.
    const facts = this.pending.get(raw) ?? factsOf(raw, this.config.name, NO_CALLER.untracked);
    if (code === 'handshake-timeout') this.offended(facts.caller);
    this.conductor.connectionFailed(facts, failure('tls-handshake', `${code}: ${detail}`));
  }

  private get isEmpty(): boolean {
    return this.links.size === 0 && this.pending.size === 0;
  }

  private checkEmpty(): void {
    if (!this.closed || !this.isEmpty) return;
    this.wheel.cancel(this.tunnelTimer);
    for (const resolve of this.onEmpty.splice(0)) resolve();
  }
}
