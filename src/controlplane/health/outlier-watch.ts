/**
 * The supervisor's part in outlier detection. Workers count failures and eject by themselves; here the ejection
 * multiplier decays once per interval spent healthy, and ejections and returns become events, found by comparing
 * what the ledger shows with what it showed a second ago (reading 65,536 endpoints takes milliseconds).
 * An endpoint returns by a single probe, a real request that a worker lets through; nothing here ends an ejection.
 */
import { isIPv6 } from 'node:net';
import type { Clock } from '../../base/index.ts';
import type { ServiceConfig, Snapshot } from '../../config/index.ts';
import type { HealthEvent } from './events.ts';
import { systemTimers, type Timers } from './timers.ts';

/** The part of the ledger that is needed here. */
export interface OutlierLedger {
  sweep(endpoint: number, nowMs: number, intervalMs: number): void;
  read(endpoint: number, nowMs: number): OutlierReading;
}

interface OutlierReading {
  readonly state: 'healthy' | 'ejected' | 'probing';
  readonly ejectedForMs: number;
  readonly ejections: number;
}

export interface OutlierWatchOptions {
  readonly clock: Clock;
  readonly ledger: OutlierLedger;
  onEvent(event: HealthEvent): void;
  readonly timers?: Timers;
}

/** How often ejections are looked for, in ms. */
const LOOK_MS = 1_000;

interface Seen {
  out: boolean;
  ejections: number;
}

export class OutlierWatch {
  private readonly options: OutlierWatchOptions;
  private readonly timers: Timers;
  private services: readonly ServiceConfig[] = [];
  /** By endpoint slot. */
  private seen = new Map<number, Seen>();
  /** When the next sweep of a service is due, by its slot. */
  private nextSweepMs = new Map<number, number>();
  private cancel: () => void = () => {};

  constructor(options: OutlierWatchOptions) {
    this.options = options;
    this.timers = options.timers ?? systemTimers;
  }

  start(): void {
    this.cancel = this.timers.after(LOOK_MS, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    this.cancel();
  }

  update(snapshot: Pick<Snapshot, 'services'>): void {
    this.services = snapshot.services.filter((service) => service.outlierDetection !== null);
    const slots = new Set(this.services.flatMap((service) => service.endpoints.map(({ slot }) => slot)));
    for (const slot of this.seen.keys()) if (!slots.has(slot)) this.seen.delete(slot);
    const serviceSlots = new Set(this.services.map(({ slot }) => slot));
    for (const slot of this.nextSweepMs.keys()) if (!serviceSlots.has(slot)) this.nextSweepMs.delete(slot);
  }

  /** Sweeps what is due and reports what changed since the last look. */
  look(): void {
    const nowMs = this.options.clock.nowMs();
    for (const service of this.services) {
      const due = this.sweepIsDue(service, nowMs);
      for (const { slot, address, port } of service.endpoints) {
        if (due) this.options.ledger.sweep(slot, nowMs, service.outlierDetection?.intervalMs ?? 0);
        const endpoint = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
        this.compare(slot, service.name, endpoint, nowMs);
      }
    }
  }

  private sweepIsDue(service: ServiceConfig, nowMs: number): boolean {
    const intervalMs = service.outlierDetection?.intervalMs ?? 0;
    const next = this.nextSweepMs.get(service.slot);
    if (next !== undefined && nowMs < next) return false;
    this.nextSweepMs.set(service.slot, nowMs + intervalMs);
    return next !== undefined;
  }

  private compare(slot: number, service: string, endpoint: string, nowMs: number): void {
    const { state, ejectedForMs, ejections } = this.options.ledger.read(slot, nowMs);
    const out = state !== 'healthy';
    const before = this.seen.get(slot);
    if (before === undefined) {
      this.seen.set(slot, { out: false, ejections: 0 });
      if (ejections > 0 || out) this.compare(slot, service, endpoint, nowMs);
      return;
    }
    const again = ejections !== before.ejections;
    if (again) this.options.onEvent({ type: 'ejected', service, endpoint, forMs: ejectedForMs, ejections });
    if (!out && (before.out || again)) {
      this.options.onEvent({ type: 'returned', service, endpoint, forMs: 0, ejections });
    }
    before.out = out;
    before.ejections = ejections;
  }
}
