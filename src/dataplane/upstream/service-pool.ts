/**
 * One worker's connections to one service, and the requests that wait for one.
 *
 * Who gets what: a connection of the chosen endpoint that can take a request, the most recently used first (the
 * others age and are closed); else a new one, if the node's limit has a slot; else the request waits its turn. An
 * HTTP/1.1 connection takes one request at a time, an HTTP/2 one as many as both sides allow, and those that come while
 * it is being dialled, or its SETTINGS are awaited, wait for it instead of dialling more. A waiter is not tied to its endpoint: when connections are the
 * scarce thing, the first that comes free goes to the oldest waiter that may use it. A worker out of slots closes an idle
 * connection of its own, or else asks the other workers for one of theirs through the ledger; otherwise one worker's
 * connections would starve the rest.
 *
 * Bytes that pass unread get a new connection each, and wait for a slot in the same queue.
 *
 * Waiting requests, those whose connection is being dialled included, count against maxPendingRequests, as in Envoy.
 */
import { type Clock, type Failure, failure, type TimerWheel } from '../../base/index.ts';
import type { ServiceConfig } from '../../config/index.ts';
import { GAUGE, type WorkerLedger } from '../../ledger/index.ts';
import type { Dialer } from '../transport/index.ts';
import type { ConnectionOwner, RequestConnection, UpstreamConnection } from './connection.ts';
import { FreeConnections } from './free-connections.ts';
import { Http1UpstreamConnection } from './http1-connection.ts';
import { Http2UpstreamConnection } from './http2-connection.ts';
import { Link, type LinkOwner } from './link.ts';
import { originKey, originOf } from './origin.ts';
import { TcpUpstreamConnection } from './tcp-connection.ts';
import { type Waiting, WaitQueue } from './wait-queue.ts';
import { type ConnectionWaiter, isTcp, type Waiter } from './waiter.ts';

/** Told of what is counted. */
export interface PoolObserver {
  /** A connection is being made. */
  onDialled(): void;
  onConnected(connection: UpstreamConnection): void;
  onConnectFailed(why: Failure): void;
  onClosed(link: Link, connection: UpstreamConnection | null): void;
  /** A request waits for a connection. */
  onQueued(): void;
}

export class ServicePool implements ConnectionOwner, LinkOwner {
  private config: ServiceConfig;
  private readonly ledger: WorkerLedger;
  private readonly wheel: TimerWheel;
  private readonly clock: Clock;
  private dialer: Dialer;
  private readonly tcpDialer: () => Dialer;
  private readonly observer: PoolObserver;
  /** From dial to descriptor closed; null until it is known what is spoken. */
  private readonly links = new Map<Link, UpstreamConnection | null>();
  private readonly free = new FreeConnections();
  private readonly queue = new WaitQueue();
  private slots = new Set<number>();
  /** HTTP/2 is what the endpoints speak, as far as is known: then several requests wait for one dial. */
  private multiplexed: boolean;
  private waitsForSlot = false;
  private closed = false;
  private onEmpty: (() => void) | null = null;

  constructor(
    config: ServiceConfig,
    ledger: WorkerLedger,
    wheel: TimerWheel,
    clock: Clock,
    dialer: Dialer,
    tcpDialer: () => Dialer,
    observer: PoolObserver,
  ) {
    this.config = config;
    this.ledger = ledger;
    this.wheel = wheel;
    this.clock = clock;
    this.dialer = dialer;
    this.tcpDialer = tcpDialer;
    this.observer = observer;
    this.slots = new Set(config.endpoints.map((endpoint) => endpoint.slot));
    this.multiplexed = mayMultiplex(config);
  }

  /** Takes a newer configuration; connections to endpoints that left are closed when they have no request. */
  update(config: ServiceConfig, dialer: Dialer): void {
    const renewed = this.dialer !== dialer || this.config.protocol !== config.protocol;
    this.config = config;
    this.dialer = dialer;
    this.slots = new Set(config.endpoints.map((endpoint) => endpoint.slot));
    if (renewed) this.multiplexed = mayMultiplex(config);
    for (const connection of this.free.all())
      if (renewed || !this.slots.has(connection.link.endpointSlot)) this.retire(connection);
    this.serveWaiting();
  }

  /** Closes idle connections now and the others when they end; requests already waiting are still served. */
  close(): void {
    this.closed = true;
    for (const connection of this.free.all()) this.retire(connection);
  }

  /** Cuts off every connection; resolves when the last descriptor is closed. */
  destroy(): Promise<void> {
    this.closed = true;
    for (const link of this.links.keys()) link.destroy();
    return new Promise((resolve) => {
      if (this.links.size === 0) resolve();
      else this.onEmpty = resolve;
    });
  }

  get size(): number {
    return this.links.size;
  }

  /**
   * Gives `waiter` a connection: at once, or later by its callbacks. Returns what is in the way when it
   * may not even wait.
   */
  checkout(waiter: Waiter): Failure | null {
    if (!isTcp(waiter) && this.takeFree(waiter)) return null;
    const unable = this.dialerFor(waiter).failure;
    if (unable !== null) return unable;
    const { slot, circuitBreaker } = this.config;
    if (!this.ledger.gauges.acquire(slot, GAUGE.pending, circuitBreaker.maxPendingRequests))
      return this.displaceFor(waiter) ? null : failure('max-pending');
    this.enqueue(waiter);
    return null;
  }

  private enqueue(waiter: Waiter): void {
    this.observer.onQueued();
    this.dialFor(this.queue.add(waiter));
  }

  /** Gives `waiter` the place of a request whose caller has more that wait here; false: there is none. */
  private displaceFor(waiter: Waiter): boolean {
    const at = this.queue.rivalOf(waiter.client.caller);
    if (at < 0) return false;
    const { waiter: displaced } = this.left(this.queue.remove(at));
    this.enqueue(waiter);
    displaced.onDisplaced(failure('max-pending'));
    return true;
  }

  private takeFree(waiter: ConnectionWaiter): boolean {
    const { slot } = waiter.endpoint;
    const origin = originKey(this.config, waiter.client);
    for (
      let ready = this.free.last(slot, origin);
      ready !== undefined;
      ready = this.free.last(slot, origin)
    ) {
      if (this.tooOld(ready)) {
        this.retire(ready);
        continue;
      }
      const { capacity } = ready;
      if (capacity <= 1) this.free.remove(ready);
      if (capacity === 0) continue; // its end has begun and is not complete
      waiter.onConnection(ready.open());
      return true;
    }
    return false;
  }

  /** The waiter needs no connection any more. One that is being dialled for it is kept for others. */
  abandon(waiter: Waiter): void {
    const at = this.queue.indexOf(waiter);
    if (at >= 0) this.giveUpPlace(this.queue.remove(at));
  }

  /** Another worker needs a connection slot of this service. */
  onWanted(): void {
    if (this.queue.hasSlotless()) return;
    const victim = this.free.oldestIdle();
    if (victim !== null) this.retire(victim);
  }

  // What links and connections tell.

  onReady(link: Link): void {
    if (link.tcp) {
      this.giveTcp(link);
      return;
    }
    const connection = this.speak(link);
    this.links.set(link, connection);
    this.observer.onConnected(connection);
    // HTTP/2 says by `onFree` when it takes requests.
    if (connection.capacity > 0) this.onFree(connection);
  }

  onConnectFailed(link: Link, why: Failure): void {
    this.observer.onConnectFailed(why);
    const failed: Waiter[] = [];
    for (let at = this.queue.dialledFor(link); at >= 0; at = this.queue.dialledFor(link))
      failed.push(this.giveUpPlace(this.queue.remove(at)).waiter);
    for (const waiter of failed) waiter.onConnectFailed(why);
  }

  onFree(connection: RequestConnection): void {
    const { link } = connection;
    for (
      let at = this.queue.dialledFor(link);
      at >= 0 && connection.capacity > 0;
      at = this.queue.dialledFor(link)
    )
      this.give(this.sooner(link, at), connection);
    if (connection.capacity === 0) {
      // More have waited than it takes, or than an HTTP/1.1 connection does.
      if (!isPromising(connection)) this.lookElsewhere(link);
      return;
    }
    const { endpointSlot } = link;
    const keep = !this.closed && this.slots.has(endpointSlot) && !this.tooOld(connection);
    const { entries } = this.queue;
    if (!keep && entries.length === 0) {
      this.retire(connection);
      return;
    }
    const queued = entries.length > 0 || !connection.isIdle;
    if (this.ledger.connections.mustYield(this.config.slot, queued, this.clock.nowMs())) {
      this.retire(connection);
      return;
    }
    if (this.slots.has(endpointSlot)) {
      for (let at = this.nextFor(link); at >= 0 && connection.capacity > 0; at = this.nextFor(link))
        this.give(at, connection);
    }
    if (!keep || (connection.isIdle && this.queue.hasSlotless())) this.retire(connection);
    else if (connection.capacity > 0) {
      const tooMany = this.free.add(connection);
      if (tooMany !== null) this.retire(tooMany);
    }
  }

  onRetired(connection: RequestConnection): void {
    this.free.remove(connection);
    this.lookElsewhere(connection.link);
  }

  onLinkClosed(link: Link): void {
    const connection = this.links.get(link) ?? null;
    this.links.delete(link);
    if (connection !== null) this.free.remove(connection);
    this.ledger.connections.release(this.config.slot);
    this.observer.onClosed(link, connection);
    if (this.links.size === 0) this.onEmpty?.();
    this.lookElsewhere(link);
  }

  /** What is spoken on a connection that has just been made: as configured, or as ALPN agreed. */
  private speak(link: Link): RequestConnection {
    const { config, wheel, clock } = this;
    const { protocol } = config;
    const http2 = protocol === 'http2' || protocol === 'grpc' || (protocol === 'auto' && link.alpn === 'h2');
    this.multiplexed = http2;
    return http2
      ? new Http2UpstreamConnection(this, wheel, clock, link, config)
      : new Http1UpstreamConnection(this, wheel, link, config.idleTimeoutMs);
  }

  /** Nobody waits for this connection any more. */
  private lookElsewhere(link: Link): void {
    for (const entry of this.queue.entries) if (entry.dialled === link) entry.dialled = null;
    link.awaited = 0;
    this.serveWaiting();
  }

  /** Dials for every waiter that had no slot, as far as slots go. */
  private serveWaiting(): void {
    for (const entry of this.queue.entries.slice()) {
      if (entry.dialled === null && !this.dialFor(entry)) return;
    }
  }

  /** False: no slot is free. The waiter stays, and a slot is on its way. */
  private dialFor(entry: Waiting): boolean {
    const { config, ledger } = this;
    const { endpoint, client } = entry.waiter;
    const tcp = isTcp(entry.waiter);
    const shared = tcp ? null : this.shareable(endpoint.slot, originKey(config, client));
    if (shared !== null) {
      entry.dialled = shared;
      shared.awaited++;
      return true;
    }
    if (!ledger.connections.acquire(config.slot, config.circuitBreaker.maxConnections)) {
      const victim = this.free.oldestIdle();
      if (victim !== null) this.retire(victim);
      else this.waitForSlot();
      return false;
    }
    const dialer = this.dialerFor(entry.waiter);
    const origin = originOf(config, client);
    const link = new Link(this, this.wheel, this.clock, dialer, endpoint, config.connectTimeoutMs, origin);
    link.tcp = tcp;
    this.observer.onDialled();
    this.links.set(link, null);
    entry.dialled = link;
    link.awaited++;
    return true;
  }

  /** A connection that is about to take requests, and will have room for one more. */
  private shareable(endpointSlot: number, origin: string): Link | null {
    if (!this.multiplexed) return null;
    for (const [link, connection] of this.links) {
      const promising = connection === null ? link.connecting : isPromising(connection);
      if (!promising || link.endpointSlot !== endpointSlot || link.tcp || link.origin !== origin) continue;
      if (link.awaited < this.config.http2.maxConcurrentStreams) return link;
    }
    return null;
  }

  private waitForSlot(): void {
    const { slot, circuitBreaker } = this.config;
    this.waitsForSlot = true;
    this.ledger.connections.wait(slot, circuitBreaker.maxConnections, this.onSlotFreed);
  }

  private readonly onSlotFreed = (): void => {
    this.waitsForSlot = false;
    this.serveWaiting();
  };

  /** Whose turn comes before that of the one for which the connection was dialled, and who can use it as well. */
  private sooner(link: Link, dialledFor: number): number {
    const next = this.slots.has(link.endpointSlot) ? this.nextFor(link) : -1;
    return next < 0 ? dialledFor : Math.min(next, dialledFor);
  }

  /** The waiter to serve with a free connection: the first that chose its endpoint, or that is without a slot. */
  private nextFor({ endpointSlot, origin }: Link): number {
    const { config } = this;
    const { entries } = this.queue;
    for (let i = 0; i < entries.length; i++) {
      const { waiter, dialled } = entries[i] as Waiting;
      if (isTcp(waiter) || originKey(config, waiter.client) !== origin) continue;
      if (waiter.endpoint.slot === endpointSlot) return i;
      if (dialled === null && waiter.accepts(endpointSlot)) return i;
    }
    return -1;
  }

  private give(at: number, connection: RequestConnection): void {
    const { waiter } = this.giveUpPlace(this.queue.take(at));
    if (!isTcp(waiter)) waiter.onConnection(connection.open());
  }

  /** It was dialled for one waiter alone; when that has left, there is nobody to keep it for. */
  private giveTcp(link: Link): void {
    const connection = new TcpUpstreamConnection(this.wheel, link);
    this.links.set(link, connection);
    this.observer.onConnected(connection);
    const at = this.queue.dialledFor(link);
    const waiter = at < 0 ? null : this.giveUpPlace(this.queue.take(at)).waiter;
    if (waiter !== null && isTcp(waiter)) waiter.onTcpConnection(connection);
    else connection.close();
  }

  private dialerFor(waiter: Waiter): Dialer {
    return isTcp(waiter) ? this.tcpDialer() : this.dialer;
  }

  /** It waits no longer, and counts no longer. */
  private giveUpPlace(entry: Waiting): Waiting {
    this.ledger.gauges.release(this.config.slot, GAUGE.pending);
    return this.left(entry);
  }

  private left(entry: Waiting): Waiting {
    if (entry.dialled !== null) entry.dialled.awaited--;
    if (this.waitsForSlot && !this.queue.hasSlotless()) {
      this.waitsForSlot = false;
      this.ledger.connections.stopWaiting(this.config.slot);
    }
    return entry;
  }

  private tooOld(connection: RequestConnection): boolean {
    const { maxConnectionAgeMs } = this.config;
    return maxConnectionAgeMs > 0 && this.clock.nowMs() - connection.link.readyMs >= maxConnectionAgeMs;
  }

  /** Gives it no further request. */
  private retire(connection: RequestConnection): void {
    if (this.tooOld(connection)) connection.closeCause = 'max-age';
    this.free.remove(connection);
    connection.closeGracefully();
  }
}

/** It takes no request now, and will without another one's end. */
function isPromising(connection: UpstreamConnection): boolean {
  return connection instanceof Http2UpstreamConnection && connection.promising;
}

/** Whether it is worth waiting for a connection that others wait for too. */
function mayMultiplex({ protocol, tls }: ServiceConfig): boolean {
  return protocol === 'http2' || protocol === 'grpc' || (protocol === 'auto' && tls !== null);
}
