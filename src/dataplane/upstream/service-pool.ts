/**
 * One worker's connections to one service, and the requests that wait for one.
 *
 * Who gets what: an idle connection of the chosen endpoint, the most recently used first (the others age
 * and are closed); else a new one, if the node's limit has a slot; else the request waits its turn. A
 * waiter is not tied to its endpoint: when connections are the scarce thing, the first that comes free
 * goes to the oldest waiter that may use it. A worker out of slots closes an idle connection of its own, or
 * else asks the other workers for one of theirs through the ledger; otherwise one worker's idle connections
 * would starve the rest.
 *
 * Waiting requests, those whose connection is being dialled included, count against maxPendingRequests, as in Envoy.
 */
import { type Clock, type Failure, failure, LIMITS, type TimerWheel } from '../../base/index.ts';
import type { EndpointConfig, ServiceConfig } from '../../config/index.ts';
import { GAUGE, type WorkerLedger } from '../../ledger/index.ts';
import type { Dialer } from '../transport/index.ts';
import { type ConnectionOwner, Http1UpstreamConnection } from './http1-connection.ts';

/** A request that needs a connection. */
export interface ConnectionWaiter {
  /** Index of the chosen endpoint in the service's list. */
  readonly endpoint: EndpointConfig;
  /** May it be given a connection to this other endpoint of the service? */
  accepts(endpointSlot: number): boolean;
  /** The connection is idle and this waiter's alone. */
  onConnection(connection: Http1UpstreamConnection): void;
  onConnectFailed(why: Failure): void;
}

interface Waiting {
  readonly waiter: ConnectionWaiter;
  /** The connection being dialled for it; null: there was no slot. */
  dialled: Http1UpstreamConnection | null;
}

/** Told of what is counted. */
export interface PoolObserver {
  onConnected(connection: Http1UpstreamConnection): void;
  onConnectFailed(why: Failure): void;
  onClosed(connection: Http1UpstreamConnection): void;
  /** A request waits for a connection. */
  onQueued(): void;
}

export class ServicePool implements ConnectionOwner {
  private config: ServiceConfig;
  private readonly ledger: WorkerLedger;
  private readonly wheel: TimerWheel;
  private readonly clock: Clock;
  private dialer: Dialer;
  private readonly observer: PoolObserver;
  /** Every connection of this pool, from dial to descriptor closed. */
  private readonly connections = new Set<Http1UpstreamConnection>();
  /** Idle connections by endpoint slot, the most recently used last. */
  private readonly idle = new Map<number, Http1UpstreamConnection[]>();
  private readonly waiting: Waiting[] = [];
  private slots = new Set<number>();
  private waitsForSlot = false;
  private closed = false;
  private onEmpty: (() => void) | null = null;

  constructor(
    config: ServiceConfig,
    ledger: WorkerLedger,
    wheel: TimerWheel,
    clock: Clock,
    dialer: Dialer,
    observer: PoolObserver,
  ) {
    this.config = config;
    this.ledger = ledger;
    this.wheel = wheel;
    this.clock = clock;
    this.dialer = dialer;
    this.observer = observer;
    this.slots = new Set(config.endpoints.map((endpoint) => endpoint.slot));
  }

  /** Takes a newer configuration; idle connections to endpoints that left are closed, busy ones when they end. */
  update(config: ServiceConfig, dialer: Dialer): void {
    const renewed = this.dialer !== dialer;
    this.config = config;
    this.dialer = dialer;
    this.slots = new Set(config.endpoints.map((endpoint) => endpoint.slot));
    for (const [slot, list] of this.idle) {
      if (renewed || !this.slots.has(slot)) for (const connection of list.slice()) this.dropIdle(connection);
    }
    this.serveWaiting();
  }

  /** Closes idle connections now and the others when they end; requests already waiting are still served. */
  close(): void {
    this.closed = true;
    for (const list of this.idle.values()) for (const connection of list.slice()) this.dropIdle(connection);
  }

  /** Cuts off every connection; resolves when the last descriptor is closed. */
  destroy(): Promise<void> {
    this.closed = true;
    for (const connection of this.connections) connection.destroy();
    return new Promise((resolve) => {
      if (this.connections.size === 0) resolve();
      else this.onEmpty = resolve;
    });
  }

  get size(): number {
    return this.connections.size;
  }

  /**
   * Gives `waiter` a connection: at once, or later by its callbacks. Returns what is in the way when it
   * may not even wait.
   */
  checkout(waiter: ConnectionWaiter): Failure | null {
    const list = this.idle.get(waiter.endpoint.slot);
    for (let ready = list?.at(-1); ready !== undefined; ready = list?.at(-1)) {
      this.takeIdle(ready);
      if (!ready.isIdle) continue; // its end has begun and is not complete
      waiter.onConnection(ready);
      return null;
    }
    const unable = this.dialer.failure;
    if (unable !== null) return unable;
    if (
      !this.ledger.gauges.acquire(
        this.config.slot,
        GAUGE.pending,
        this.config.circuitBreaker.maxPendingRequests,
      )
    ) {
      return failure('max-pending');
    }
    this.observer.onQueued();
    const entry: Waiting = { waiter, dialled: null };
    this.waiting.push(entry);
    this.dialFor(entry);
    return null;
  }

  /** The waiter needs no connection any more. One that is being dialled for it is kept for others. */
  abandon(waiter: ConnectionWaiter): void {
    const at = this.waiting.findIndex((entry) => entry.waiter === waiter);
    if (at >= 0) this.leaveQueue(at);
  }

  /** Another worker needs a connection slot of this service. */
  onWanted(): void {
    if (this.hasSlotless()) return;
    const victim = this.oldestIdle();
    if (victim !== null) this.dropIdle(victim);
  }

  // What connections tell.

  onConnected(connection: Http1UpstreamConnection): void {
    this.observer.onConnected(connection);
    const at = this.waiting.findIndex((entry) => entry.dialled === connection);
    if (at >= 0) this.give(at, connection);
    else this.onIdle(connection);
  }

  onConnectFailed(connection: Http1UpstreamConnection, why: Failure): void {
    this.observer.onConnectFailed(why);
    const at = this.waiting.findIndex((entry) => entry.dialled === connection);
    if (at < 0) return;
    const { waiter } = this.leaveQueue(at);
    waiter.onConnectFailed(why);
  }

  onIdle(connection: Http1UpstreamConnection): void {
    const keep = !this.closed && this.slots.has(connection.endpointSlot);
    if (!keep && this.waiting.length === 0) {
      connection.closeGracefully();
      return;
    }
    if (this.ledger.connections.mustYield(this.config.slot, this.waiting.length > 0, this.clock.nowMs())) {
      connection.closeGracefully();
      return;
    }
    const at = this.slots.has(connection.endpointSlot) ? this.nextFor(connection.endpointSlot) : -1;
    if (at >= 0) {
      this.give(at, connection);
      return;
    }
    if (!keep || this.hasSlotless()) {
      connection.closeGracefully();
      return;
    }
    const list = this.idle.get(connection.endpointSlot);
    if (list === undefined) this.idle.set(connection.endpointSlot, [connection]);
    else list.push(connection);
    if (list !== undefined && list.length > LIMITS.idleConnectionsPerEndpoint) {
      this.dropIdle(list[0] as Http1UpstreamConnection);
    }
  }

  onClosed(connection: Http1UpstreamConnection): void {
    this.connections.delete(connection);
    this.takeIdle(connection);
    this.ledger.connections.release(this.config.slot);
    this.observer.onClosed(connection);
    if (this.connections.size === 0) this.onEmpty?.();
    this.serveWaiting();
  }

  /** Dials for every waiter that had no slot, as far as slots go. */
  private serveWaiting(): void {
    for (const entry of this.waiting.slice()) {
      if (entry.dialled === null && !this.dialFor(entry)) return;
    }
  }

  /** False: no slot is free. The waiter stays, and a slot is on its way. */
  private dialFor(entry: Waiting): boolean {
    const { config, ledger } = this;
    if (!ledger.connections.acquire(config.slot, config.circuitBreaker.maxConnections)) {
      const victim = this.oldestIdle();
      if (victim !== null) this.dropIdle(victim);
      else this.waitForSlot();
      return false;
    }
    const connection = new Http1UpstreamConnection(
      this,
      this.wheel,
      this.dialer,
      entry.waiter.endpoint,
      config.connectTimeoutMs,
      config.idleTimeoutMs,
    );
    this.connections.add(connection);
    entry.dialled = connection;
    return true;
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

  /** The waiter to serve with a free connection to this endpoint: one that chose it, else the oldest without a slot. */
  private nextFor(endpointSlot: number): number {
    const { waiting } = this;
    for (let i = 0; i < waiting.length; i++) {
      const entry = waiting[i] as Waiting;
      if (entry.waiter.endpoint.slot === endpointSlot) return i;
      if (entry.dialled === null && entry.waiter.accepts(endpointSlot)) return i;
    }
    return -1;
  }

  private hasSlotless(): boolean {
    return this.waiting.some((entry) => entry.dialled === null);
  }

  private give(at: number, connection: Http1UpstreamConnection): void {
    const { waiter } = this.leaveQueue(at);
    waiter.onConnection(connection);
  }

  private leaveQueue(at: number): Waiting {
    const [entry] = this.waiting.splice(at, 1) as [Waiting];
    this.ledger.gauges.release(this.config.slot, GAUGE.pending);
    if (this.waitsForSlot && !this.hasSlotless()) {
      this.waitsForSlot = false;
      this.ledger.connections.stopWaiting(this.config.slot);
    }
    return entry;
  }

  private oldestIdle(): Http1UpstreamConnection | null {
    for (const list of this.idle.values()) {
      const first = list.find((connection) => connection.isIdle);
      if (first !== undefined) return first;
    }
    return null;
  }

  private takeIdle(connection: Http1UpstreamConnection): void {
    const list = this.idle.get(connection.endpointSlot);
    if (list === undefined) return;
    if (list.at(-1) === connection) list.pop();
    else {
      const at = list.indexOf(connection);
      if (at >= 0) list.splice(at, 1);
    }
    if (list.length === 0) this.idle.delete(connection.endpointSlot);
  }

  private dropIdle(connection: Http1UpstreamConnection): void {
    this.takeIdle(connection);
    connection.closeGracefully();
  }
}
