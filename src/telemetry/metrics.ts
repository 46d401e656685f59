/**
 * One worker's metrics: which block of cells each service and listener has. The hot path holds these objects
 * (an exchange its service's, a connection its listener's) and adds to cells; names are looked up when
 * configuration changes, not per request.
 *
 * A block is announced to the supervisor before its first count. The supervisor drops the series of a removed
 * service after `LIMITS.removedSeriesMs`; the worker gives the cells to other series only after twice that
 * time, so the supervisor never reads a new series under an old name. A service that comes back
 * earlier goes on counting where it was.
 */
import { LIMITS } from '../base/index.ts';
import type { WorkerCells } from '../ledger/index.ts';
import type { SeriesAnnouncement } from './batch.ts';
import { CellBlocks, DISCARD } from './cells.ts';
import { ConnectionSeries } from './connection-series.ts';
import { CounterBlock } from './counter-block.ts';
import { type BlockKind, WORKER_COUNTER } from './families.ts';
import { LimitSeries } from './limit-series.ts';
import { istioLabelsOf, RequestSeries, type SeriesSource } from './request-series.ts';

/** A service: its counters, its request series and its connection series. */
export class ServiceMetrics {
  readonly name: string;
  readonly counters: CounterBlock;
  readonly requests: RequestSeries;
  readonly connections: ConnectionSeries;
  /** When it left the configuration, by `Clock.nowMs`; -1: it is in force. */
  /** @internal */ removedMs = -1;

  constructor(name: string, counters: CounterBlock, requests: RequestSeries, connections: ConnectionSeries) {
    this.name = name;
    this.counters = counters;
    this.requests = requests;
    this.connections = connections;
  }
}

interface ListenerEntry {
  readonly name: string;
  readonly address: string;
  readonly counters: CounterBlock;
  removedMs: number;
}

/** Stands for the service of requests that reached none, as in Istio's metrics. */
export const UNKNOWN_SERVICE = 'unknown';

/** Cells are reused so many times `removedSeriesMs` after their series' owner was removed. */
const REUSE_AFTER = 2;

/** `removedMs` of what was found to be removed where no clock is at hand; the next sweep states the time. */
const LATE = Number.POSITIVE_INFINITY;

export class WorkerMetrics implements SeriesSource {
  readonly worker: CounterBlock;
  /** For requests that reached no service. */
  readonly unknown: ServiceMetrics;
  readonly limits = new LimitSeries(this);
  private readonly blocks: CellBlocks;
  private readonly announce: (series: SeriesAnnouncement) => void;
  private readonly services = new Map<string, ServiceMetrics>();
  private readonly bySlot: (ServiceMetrics | undefined)[] = [];
  private readonly listeners = new Map<string, ListenerEntry>();
  /** Former addresses of listeners. */
  private readonly moved: ListenerEntry[] = [];

  /** `announce` must reach the supervisor before any later batch. */
  constructor(cells: WorkerCells, announce: (series: SeriesAnnouncement) => void) {
    this.blocks = new CellBlocks(cells);
    this.announce = announce;
    this.worker = new CounterBlock(cells, this.block('worker', {}, ''));
    this.unknown = new ServiceMetrics(
      UNKNOWN_SERVICE,
      new CounterBlock(cells, DISCARD),
      new RequestSeries(this, istioLabelsOf(UNKNOWN_SERVICE), ''),
      new ConnectionSeries(this, istioLabelsOf(UNKNOWN_SERVICE), ''),
    );
  }

  /** The metrics of a service in force; call it for every service of a new snapshot. */
  addService(name: string, slot: number): ServiceMetrics {
    let service = this.services.get(name);
    if (service === undefined) {
      service = this.makeService(name);
      this.services.set(name, service);
    } else if (service.removedMs >= 0) {
      service.removedMs = -1;
      if (service.counters.base !== DISCARD) this.announceService(service);
      service.requests.announceAll();
      service.connections.announceAll();
    }
    this.bySlot[slot] = service;
    return service;
  }

  /** The service left the configuration; requests under way may still count for it. */
  removeService(name: string, nowMs: number): void {
    const service = this.services.get(name);
    if (service && service.removedMs < 0) service.removedMs = nowMs;
  }

  /** The metrics of a service by its slot in the ledger; by name where the slot has another owner by now. */
  serviceOf(slot: number, name: string): ServiceMetrics {
    if (slot >= 0) {
      const service = this.bySlot[slot];
      if (service !== undefined && service.name === name) return service;
    }
    return name === '' ? this.unknown : this.lateService(name);
  }

  /** The counters of a listener; `address` is `host_port`, as Envoy writes it. A new address is a new listener. */
  addListener(name: string, address: string): CounterBlock {
    const entry = this.listeners.get(name);
    if (entry !== undefined && entry.address === address) {
      if (entry.removedMs >= 0) {
        entry.removedMs = -1;
        this.announceListener(entry);
      }
      return entry.counters;
    }
    if (entry !== undefined) {
      entry.removedMs = LATE;
      this.moved.push(entry);
    }
    const base = this.blocks.allocate('listener');
    const made = { name, address, counters: new CounterBlock(this.cells, base), removedMs: -1 };
    if (base === DISCARD) this.countOverflow();
    else this.announceListener(made);
    this.listeners.set(name, made);
    return made.counters;
  }

  removeListener(name: string, nowMs: number): void {
    const entry = this.listeners.get(name);
    if (entry && entry.removedMs < 0) entry.removedMs = nowMs;
  }

  /** Counters of a listener by name; null when it was never added. */
  listenerOf(name: string): CounterBlock | null {
    return this.listeners.get(name)?.counters ?? null;
  }

  /** Frees the cells of what was removed long enough ago; call it every few seconds. */
  sweep(nowMs: number): void {
    for (const [name, service] of this.services) {
      if (!isOver(service, nowMs)) continue;
      this.services.delete(name);
      for (let i = 0; i < this.bySlot.length; i++) if (this.bySlot[i] === service) this.bySlot[i] = undefined;
      service.requests.release();
      service.connections.release();
      this.releaseCounters('service', service.counters);
    }
    this.limits.sweep(nowMs);
    for (const [name, entry] of this.listeners) {
      if (!isOver(entry, nowMs)) continue;
      this.listeners.delete(name);
      this.releaseCounters('listener', entry.counters);
    }
    for (let i = this.moved.length - 1; i >= 0; i--) {
      if (!isOver(this.moved[i], nowMs)) continue;
      this.releaseCounters('listener', this.moved[i].counters);
      this.moved.splice(i, 1);
    }
  }

  /** @internal A new block, announced; `DISCARD` when there is none left. */
  block(kind: BlockKind, labels: Readonly<Record<string, string>>, owner: string): number {
    const base = this.blocks.allocate(kind);
    if (base !== DISCARD) this.announceBlock(kind, base, labels, owner);
    return base;
  }

  /** @internal */
  announceBlock(
    kind: BlockKind,
    base: number,
    labels: Readonly<Record<string, string>>,
    owner: string,
  ): void {
    this.announce({ block: kind, offset: base, labels, owner });
  }

  /** @internal */
  releaseBlock(kind: BlockKind, base: number): void {
    this.blocks.release(kind, base);
  }

  /** @internal */
  countOverflow(): void {
    this.worker.add(WORKER_COUNTER.seriesOverflow, 1);
  }

  /** @internal */
  get cells(): WorkerCells {
    return this.blocks.cells;
  }

  /** A request that outlived its service, and perhaps the service's cells. */
  private lateService(name: string): ServiceMetrics {
    let service = this.services.get(name);
    if (service === undefined) {
      service = this.makeService(name);
      service.removedMs = LATE;
      this.services.set(name, service);
    }
    return service;
  }

  private makeService(name: string): ServiceMetrics {
    const counters = new CounterBlock(this.cells, this.block('service', { envoy_cluster_name: name }, name));
    if (counters.base === DISCARD) this.countOverflow();
    const labels = istioLabelsOf(name);
    return new ServiceMetrics(
      name,
      counters,
      new RequestSeries(this, labels, name),
      new ConnectionSeries(this, labels, name),
    );
  }

  private announceService(service: ServiceMetrics): void {
    this.announceBlock('service', service.counters.base, { envoy_cluster_name: service.name }, service.name);
  }

  private announceListener({ name, address, counters }: ListenerEntry): void {
    const labels = { envoy_http_conn_manager_prefix: name, envoy_listener_address: address };
    if (counters.base !== DISCARD) {
      this.announceBlock('listener', counters.base, labels, listenerOwner(name, address));
    }
  }

  /** Whoever still holds the counters adds to the discarded block from now on. */
  private releaseCounters(kind: BlockKind, counters: CounterBlock): void {
    const base = counters.base;
    counters.base = DISCARD;
    this.blocks.release(kind, base);
  }
}

/** What `SeriesAnnouncement.owner` says for a listener. */
export function listenerOwner(name: string, address: string): string {
  return `${name} ${address}`;
}

/** True when the cells of what was removed may be used again. */
function isOver(owner: { removedMs: number }, nowMs: number): boolean {
  if (owner.removedMs === LATE) owner.removedMs = nowMs;
  return owner.removedMs >= 0 && owner.removedMs <= nowMs - REUSE_AFTER * LIMITS.removedSeriesMs;
}
