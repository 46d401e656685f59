/**
 * Active health checks, as Envoy makes them: one result decides for an endpoint that has none yet, afterwards
 * it takes `healthyThreshold` passes or `unhealthyThreshold` failures in a row. A new endpoint counts as unhealthy
 * until its first check, which begins at once; `firstResults` lets a new configuration wait for it, so
 * that replacing all endpoints of a service leaves no moment without one (Envoy's cluster warming).
 *
 * Nothing but two bits per endpoint in the ledger reaches the workers: unhealthy, and degraded. A worker sets the first
 * one itself where an endpoint asks for it (x-envoy-immediate-health-check-fail); the next check takes that up.
 */
import { type Clock, LIMITS } from '../../base/index.ts';
import type {
  EndpointConfig,
  HealthCheckConfig,
  SecretSet,
  ServiceConfig,
  Snapshot,
} from '../../config/index.ts';
import type { EndpointAdmin } from '../../ledger/index.ts';
import { type CheckCounts, noChecks } from './check-counts.ts';
import { EndpointWatch } from './endpoint-watch.ts';
import type { HealthEvent } from './events.ts';
import { type Probe, probeEndpoint } from './probe.ts';
import { CheckQueue } from './queue.ts';
import { systemTimers, type Timers } from './timers.ts';

export type CheckState = 'pending' | 'healthy' | 'unhealthy';

/** What is known of one endpoint, for /clusters. */
export interface EndpointCheck {
  readonly state: CheckState;
  /** By its last check that passed. */
  readonly degraded: boolean;
  /** Milliseconds since the epoch; null: no check has ended. */
  readonly checkedAtMs: number | null;
  readonly reason: string;
}

/** The part of the ledger that is needed here. */
export type HealthLedger = Pick<EndpointAdmin, 'setHealth' | 'setDegraded' | 'passesHealth'>;

export interface HealthOptions {
  readonly clock: Clock;
  /** The secrets in force, for checks over TLS. */
  secrets(): SecretSet;
  readonly ledger: HealthLedger;
  /** Whether the service in this slot was ever called. */
  hasTraffic(serviceSlot: number): boolean;
  onEvent(event: HealthEvent): void;
  /** 0 to 1; spreads the checks of endpoints that appear together. Default Math.random. */
  readonly random?: () => number;
  readonly timers?: Timers;
  readonly probe?: Probe;
}

export class HealthChecker {
  private readonly options: Required<HealthOptions>;
  private readonly queue = new CheckQueue(LIMITS.healthChecksInFlight);
  /** By endpoint slot. */
  private watches = new Map<number, EndpointWatch>();
  /** By service slot. */
  private counts = new Map<number, CheckCounts>();
  /** Endpoints that the last configuration checks no more. */
  private dropped: number[] = [];
  private waiting: { until: () => boolean; resolve: () => void }[] = [];

  constructor(options: HealthOptions) {
    this.options = { random: Math.random, timers: systemTimers, probe: probeEndpoint, ...options };
  }

  /** Follows a snapshot: checks begin for new endpoints, go on for those that stay, end for the rest. */
  update(snapshot: Pick<Snapshot, 'services'>): void {
    const before = this.watches;
    const counted = this.counts;
    this.watches = new Map();
    this.counts = new Map();
    for (const service of snapshot.services) {
      const check = service.healthCheck;
      if (check === null) continue;
      this.counts.set(service.slot, counted.get(service.slot) ?? noChecks());
      for (const endpoint of service.endpoints) this.watch(service, endpoint, check, before);
    }
    for (const [slot, watch] of before) {
      watch.stop();
      this.release(slot);
    }
    this.dropped = [...before.keys()];
    this.settle();
  }

  /** Every worker has the configuration of the last `update`: what they said before of endpoints no longer checked is void. */
  inForce(): void {
    for (const slot of this.dropped) this.release(slot);
    this.dropped = [];
  }

  /** Resolves when every endpoint has its first result, or after `maxMs`. */
  firstResults(maxMs: number): Promise<void> {
    const watches = [...this.watches.values()].filter((watch) => watch.state === 'pending');
    const until = (): boolean => watches.every((watch) => watch.state !== 'pending' || watch.stopped);
    if (until()) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.options.timers.after(maxMs, () => {
        this.waiting = this.waiting.filter((waiter) => waiter !== entry);
        resolve();
      });
      const entry = {
        until,
        resolve: () => {
          cancel();
          resolve();
        },
      };
      this.waiting.push(entry);
    });
  }

  /** Null: the endpoint is not checked. */
  read(slot: number): EndpointCheck | null {
    return this.watches.get(slot)?.read() ?? null;
  }

  /** Null: the service has no checks. */
  readCounts(serviceSlot: number): Readonly<CheckCounts> | null {
    return this.counts.get(serviceSlot) ?? null;
  }

  stop(): void {
    for (const watch of this.watches.values()) watch.stop();
    this.watches.clear();
    this.settle();
  }

  private watch(
    service: ServiceConfig,
    endpoint: EndpointConfig,
    check: HealthCheckConfig,
    before: Map<number, EndpointWatch>,
  ): void {
    const { slot, address, port } = endpoint;
    const { name, protocol, tls, proxyProtocol } = service;
    const target = { service: name, protocol, address, port, check, tls, proxyProtocol };
    const known = before.get(slot);
    if (known) {
      before.delete(slot);
      known.retarget(target);
      this.watches.set(slot, known);
      return;
    }
    const { ledger, hasTraffic } = this.options;
    ledger.setHealth(slot, false);
    const watch = new EndpointWatch(target, {
      ...this.options,
      queue: this.queue,
      counts: this.counts.get(service.slot) as CheckCounts,
      stillPasses: () => ledger.passesHealth(slot),
      hasTraffic: () => hasTraffic(service.slot),
      onVerdict: (passes) => ledger.setHealth(slot, passes),
      onDegraded: (degraded) => ledger.setDegraded(slot, degraded),
      onResult: () => this.settle(),
    });
    this.watches.set(slot, watch);
  }

  /** Nobody checks the endpoint any more. */
  private release(slot: number): void {
    this.options.ledger.setHealth(slot, true);
    this.options.ledger.setDegraded(slot, false);
  }

  private settle(): void {
    const settled = this.waiting.filter((waiter) => waiter.until());
    if (settled.length === 0) return;
    this.waiting = this.waiting.filter((waiter) => !settled.includes(waiter));
    for (const waiter of settled) waiter.resolve();
  }
}
