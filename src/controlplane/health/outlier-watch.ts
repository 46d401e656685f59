/**
 * The supervisor's part in outlier detection. Workers count failures in a row and eject by themselves; here, once in
 * each service's interval, success rates and failure percentages are judged over all workers, and the ejection multiplier
 * decays. Ejections and returns become events, found by comparing what the ledger shows with what it showed a second
 * ago (reading 65,536 endpoints takes milliseconds). An endpoint returns by a single probe, a real request that a
 * worker lets through; nothing here ends an ejection, unless too few endpoints are healthy (minHealthPercent).
 */
import { isIPv6 } from 'node:net';
import type { Clock } from '../../base/index.ts';
import type { EndpointConfig, OutlierConfig, ServiceConfig, Snapshot } from '../../config/index.ts';
import { type EndpointAdmin, healthyFloor, type OutlierPolicy } from '../../ledger/index.ts';
import type { HealthEvent } from './events.ts';
import {
  type Judgement,
  judge,
  type Origin,
  type Sample,
  type Statistics,
  sampleOf,
} from './success-rates.ts';
import { systemTimers, type Timers } from './timers.ts';

/** The part of the ledger that is needed here. */
export type OutlierLedger = Pick<
  EndpointAdmin,
  'sweep' | 'read' | 'takeResults' | 'detected' | 'recountHealthy' | 'uneject'
>;

export interface OutlierWatchOptions {
  readonly clock: Clock;
  readonly ledger: OutlierLedger;
  onEvent(event: HealthEvent): void;
  readonly timers?: Timers;
}

/** Success rates of an endpoint in the last interval, in percent; null: it had too few requests. */
export type Rates = Readonly<Record<Origin, number | null>>;

/** What is known of a service's last interval, for /clusters. */
export interface RateReading {
  readonly statistics: Readonly<Record<Origin, Statistics | null>>;
  /** By endpoint slot. */
  readonly rates: ReadonlyMap<number, Rates>;
}

/** How often ejections are looked for, in ms. */
const LOOK_MS = 1_000;
/** Between two rounds at least, however short the interval of a service. */
const ROUND_MS_MIN = 10;

interface Watched {
  readonly config: OutlierConfig;
  readonly policy: OutlierPolicy;
  /** When its interval ends. */
  dueMs: number;
  reading: RateReading | null;
}

interface Seen {
  out: boolean;
  ejections: number;
  unenforced: number;
}

export class OutlierWatch {
  private readonly options: OutlierWatchOptions;
  private readonly timers: Timers;
  private services: readonly ServiceConfig[] = [];
  /** By service slot. */
  private watched = new Map<number, Watched>();
  /** By endpoint slot. */
  private seen = new Map<number, Seen>();
  private lookMs: number;
  private cancel: () => void = () => {};

  constructor(options: OutlierWatchOptions) {
    this.options = options;
    this.timers = options.timers ?? systemTimers;
    this.lookMs = options.clock.nowMs() + LOOK_MS;
  }

  start(): void {
    let nextMs = this.lookMs;
    for (const { dueMs } of this.watched.values()) nextMs = Math.min(nextMs, dueMs);
    const waitMs = nextMs - this.options.clock.nowMs();
    this.cancel = this.timers.after(Math.min(LOOK_MS, Math.max(ROUND_MS_MIN, waitMs)), () => {
      this.round();
      this.start();
    });
  }

  stop(): void {
    this.cancel();
  }

  update(snapshot: Pick<Snapshot, 'services'>): void {
    this.services = snapshot.services.filter((service) => service.outlierDetection !== null);
    const before = this.watched;
    this.watched = new Map();
    const slots = new Set<number>();
    for (const service of this.services) {
      const config = service.outlierDetection as OutlierConfig;
      const known = before.get(service.slot);
      this.watched.set(service.slot, {
        config,
        policy: { ...config, splitExternalLocalOriginErrors: true },
        dueMs: known?.dueMs ?? this.begin(service, config),
        reading: known?.reading ?? null,
      });
      for (const { slot } of service.endpoints) slots.add(slot);
    }
    for (const slot of this.seen.keys()) if (!slots.has(slot)) this.seen.delete(slot);
  }

  /** Null: nothing was judged yet, or the service has no outlier detection. */
  read(serviceSlot: number): RateReading | null {
    return this.watched.get(serviceSlot)?.reading ?? null;
  }

  /** Judges and sweeps what is due, and tells what changed since the last look. */
  private round(): void {
    const nowMs = this.options.clock.nowMs();
    const looks = nowMs >= this.lookMs;
    if (looks) this.lookMs = nowMs + LOOK_MS;
    for (const service of this.services) {
      const watched = this.watched.get(service.slot) as Watched;
      const due = nowMs >= watched.dueMs;
      if (due) this.endInterval(service, watched, nowMs);
      if (!due && !looks) continue;
      this.keepFloor(service, watched.config, nowMs);
      for (const endpoint of service.endpoints) this.compare(endpoint, service.name, nowMs);
    }
  }

  /** What ended before is nobody's interval. Returns when the first one ends. */
  private begin(service: ServiceConfig, { intervalMs }: OutlierConfig): number {
    for (const { slot } of service.endpoints) this.options.ledger.takeResults(slot);
    return this.options.clock.nowMs() + intervalMs;
  }

  private endInterval(service: ServiceConfig, watched: Watched, nowMs: number): void {
    const { ledger } = this.options;
    const { config } = watched;
    watched.dueMs = nowMs + config.intervalMs;
    const external: Sample[] = [];
    const localOrigin: Sample[] = [];
    for (const { slot } of service.endpoints) {
      const results = ledger.takeResults(slot);
      if (ledger.read(slot, nowMs).state !== 'healthy') continue;
      for (const [samples, origin] of [
        [external, 'external'],
        [localOrigin, 'localOrigin'],
      ] as const) {
        const sample = sampleOf(slot, results, origin);
        if (sample !== null) samples.push(sample);
      }
    }
    const judged = {
      external: judge(external, config, 'external'),
      localOrigin: judge(localOrigin, config, 'localOrigin'),
    };
    watched.reading = readingOf(config, judged, { external, localOrigin });
    const hosts = service.endpoints.length;
    for (const { outliers } of [judged.external, judged.localOrigin])
      for (const { slot, detector, observed, threshold } of outliers)
        ledger.detected(slot, nowMs, hosts, watched.policy, detector, observed, threshold);
    for (const { slot } of service.endpoints) ledger.sweep(slot, nowMs, config.intervalMs);
  }

  /** Ends all ejections of a service that has too few healthy endpoints even so. */
  private keepFloor({ slot, endpoints }: ServiceConfig, config: OutlierConfig, nowMs: number): void {
    const { ledger } = this.options;
    if (config.minHealthPercent === 0) return;
    const healthy = ledger.recountHealthy(slot);
    if (healthy >= healthyFloor(endpoints.length, config.minHealthPercent)) return;
    for (const endpoint of endpoints) ledger.uneject(endpoint.slot, nowMs);
  }

  private compare({ slot, address, port }: EndpointConfig, service: string, nowMs: number): void {
    const reading = this.options.ledger.read(slot, nowMs);
    const { state, ejections, unenforced, finding, ejectedForMs } = reading;
    const out = state !== 'healthy';
    let before = this.seen.get(slot);
    if (before === undefined) {
      before = { out: false, ejections: 0, unenforced: 0 };
      this.seen.set(slot, before);
    }
    const again = ejections !== before.ejections;
    const passed = unenforced !== before.unenforced;
    const returned = !out && (before.out || again);
    before.out = out;
    before.ejections = ejections;
    before.unenforced = unenforced;
    if (!again && !passed && !returned) return;
    const endpoint = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
    const about = { service, endpoint, ejections };
    const { onEvent } = this.options;
    if (passed && !again) onEvent({ type: 'detected', ...about, ...finding });
    if (again) onEvent({ type: 'ejected', ...about, forMs: ejectedForMs, ...finding });
    if (returned) onEvent({ type: 'returned', ...about });
  }
}

function readingOf(
  { successRateRequestVolume, failurePercentageRequestVolume }: OutlierConfig,
  judged: Readonly<Record<Origin, Judgement>>,
  samples: Readonly<Record<Origin, readonly Sample[]>>,
): RateReading {
  const least = Math.min(successRateRequestVolume, failurePercentageRequestVolume);
  const rates = new Map<number, { external: number | null; localOrigin: number | null }>();
  for (const origin of ['external', 'localOrigin'] as const)
    for (const { slot, successRate, volume } of samples[origin]) {
      if (volume < least) continue;
      const known = rates.get(slot) ?? { external: null, localOrigin: null };
      known[origin] = successRate;
      rates.set(slot, known);
    }
  const { external, localOrigin } = judged;
  return { statistics: { external: external.statistics, localOrigin: localOrigin.statistics }, rates };
}
