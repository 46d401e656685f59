/**
 * Adaptive concurrency: how many requests a service may have outstanding, found from its own latency (Envoy's gradient
 * controller, adaptive_concurrency/controller/gradient_controller.cc; after Netflix's "Performance Under Load").
 *
 *   gradient  = minRTT · (1 + buffer) / sampleRTT, at least 0.5, at most 2
 *   limit     = limit · gradient + √(limit · gradient), between minimum and maximum
 *
 * minRTT is the latency of a service that is not busy: every `interval` (and a jitter) the limit is pinned to
 * `minConcurrency` until `requestCount` requests have been timed. The limit is the node's, exact over all workers: places
 * are taken in the ledger, where the samples of all workers meet as well. Without a request nothing is done, so a
 * window may end later than its interval says, with the first sample after it.
 */
import type { AdaptiveConcurrencyConfig } from '../../config/index.ts';
import {
  ADAPTIVE,
  type AdaptiveTable,
  bucketStartUs,
  GAUGE,
  LATENCY_BUCKETS,
  type ServiceGauges,
} from '../../ledger/index.ts';

/** Windows in a row at the smallest limit after which minRTT is taken for wrong and measured again (Envoy's number). */
const AT_MINIMUM_MAX = 5;

/** A request that was begun a day before the minRTT window is none: the 32-bit moment has wrapped. */
const DAY_MS = 86_400_000;

/** Where samples are taken out to; one at a time is looked at. */
const counts = new Int32Array(LATENCY_BUCKETS);

/** One service's controller on one worker. */
export class GradientController {
  private readonly config: AdaptiveConcurrencyConfig;
  private readonly service: number;
  private readonly gauges: ServiceGauges;
  private readonly table: AdaptiveTable;
  private readonly random: () => number;

  /** `service`: its slot in the ledger. `random` returns numbers in [0, 1). */
  constructor(
    config: AdaptiveConcurrencyConfig,
    service: number,
    ledger: { readonly gauges: ServiceGauges; readonly adaptive: AdaptiveTable },
    random: () => number,
    nowMs: number,
  ) {
    this.config = config;
    this.service = service;
    this.gauges = ledger.gauges;
    this.table = ledger.adaptive;
    this.random = random;
    if (this.table.limit(service) === 0) this.begin(nowMs);
  }

  /** The limit in force: at least 1. */
  get limit(): number {
    return Math.max(1, Math.min(this.table.limit(this.service), this.config.maxLimit));
  }

  /** Requests outstanding on the node. */
  get outstanding(): number {
    return this.gauges.active(this.service, GAUGE.outstanding);
  }

  /** Takes a place; false: as many requests as the limit allows are outstanding. */
  admit(): boolean {
    return this.gauges.acquire(this.service, GAUGE.outstanding, this.limit);
  }

  /** Gives the place back. Of a request that says nothing of the service's latency that is all. */
  release(): void {
    this.gauges.release(this.service, GAUGE.outstanding);
  }

  /** Counts the latency of a request that was begun at `startMs`. */
  sample(startMs: number, nowMs: number): void {
    const { service, table, config } = this;
    const measuring = table.get(service, ADAPTIVE.deferred) > 0;
    const aheadMs = ((startMs | 0) - table.get(service, ADAPTIVE.epochMs)) | 0;
    if (aheadMs <= 0 && aheadMs > -DAY_MS && config.minRtt.fixedMs === null) return;
    table.sample(service, Math.max(1, Math.round((nowMs - startMs) * 1_000)));
    if (measuring) {
      if (table.countSample(service) < config.minRtt.requestCount && config.minRtt.fixedMs === null) return;
    } else if (!this.windowIsOver(nowMs) && !this.minRttIsDue(nowMs)) return;
    if (!table.tryTurn(service)) return;
    this.takeTurn(nowMs);
    table.endTurn(service);
  }

  /** The request was given up before it was answered: its latency is more than that, which says something if it is much. */
  sampleAtLeast(startMs: number, nowMs: number): void {
    const { service, table } = this;
    if (table.get(service, ADAPTIVE.deferred) > 0) return;
    if ((nowMs - startMs) * 1_000 > table.get(service, ADAPTIVE.minRttUs)) this.sample(startMs, nowMs);
  }

  private begin(nowMs: number): void {
    const { service, table } = this;
    if (!table.tryTurn(service)) return;
    // Another worker may just have begun.
    if (table.limit(service) === 0) {
      const { fixedMs } = this.config.minRtt;
      if (fixedMs === null) this.enterMinRtt(this.minLimit, nowMs);
      else table.set(service, ADAPTIVE.minRttUs, fixedMs * 1_000);
      table.setLimit(service, this.minLimit);
      this.startWindow(nowMs);
    }
    table.endTurn(service);
  }

  /** Draws the conclusions that are due. Somebody else may have drawn them in the meantime. */
  private takeTurn(nowMs: number): void {
    const { service, table, config } = this;
    const { requestCount, fixedMs } = config.minRtt;
    if (table.get(service, ADAPTIVE.deferred) > 0) {
      if (fixedMs !== null || table.get(service, ADAPTIVE.samples) >= requestCount) this.endMinRtt(nowMs);
      return;
    }
    if (this.windowIsOver(nowMs)) this.endWindow(nowMs);
    if (this.minRttIsDue(nowMs)) this.enterMinRtt(table.limit(service), nowMs);
  }

  private enterMinRtt(limit: number, nowMs: number): void {
    const { service, table, config } = this;
    table.set(service, ADAPTIVE.atMinimum, 0);
    table.set(service, ADAPTIVE.samples, 0);
    // What was timed so far, or was begun so far, met a busy service.
    table.set(service, ADAPTIVE.epochMs, nowMs | 0);
    table.takeSamples(service, counts);
    table.set(service, ADAPTIVE.deferred, limit);
    if (config.minLimit === null) table.setLimit(service, config.minRtt.minConcurrency);
  }

  private endMinRtt(nowMs: number): void {
    const { service, table, config } = this;
    const { fixedMs, intervalMs, jitterPercent } = config.minRtt;
    const total = table.takeSamples(service, counts);
    if (fixedMs !== null) table.set(service, ADAPTIVE.minRttUs, fixedMs * 1_000);
    else if (total > 0) table.set(service, ADAPTIVE.minRttUs, quantileUs(counts, total, config.percentile));
    if (config.minLimit === null) table.setLimit(service, table.get(service, ADAPTIVE.deferred));
    table.set(service, ADAPTIVE.atMinimum, 0);
    const jitterMs = Math.floor(this.random() * Math.ceil((intervalMs * jitterPercent) / 100));
    table.set(service, ADAPTIVE.minRttDueMs, (nowMs + intervalMs + jitterMs) | 0);
    this.startWindow(nowMs);
    table.set(service, ADAPTIVE.deferred, 0);
  }

  private endWindow(nowMs: number): void {
    const { service, table, config } = this;
    this.startWindow(nowMs);
    const total = table.takeSamples(service, counts);
    if (total === 0) return;
    const sampleRttUs = quantileUs(counts, total, config.percentile);
    const { fixedMs } = config.minRtt;
    const minRttUs = fixedMs === null ? table.get(service, ADAPTIVE.minRttUs) : fixedMs * 1_000;
    const older = table.limit(service);
    const step = gradientStep(config, older, minRttUs, sampleRttUs, this.minLimit);
    table.set(service, ADAPTIVE.sampleRttUs, sampleRttUs);
    table.set(service, ADAPTIVE.gradient, Math.round(step.gradient * 1_000));
    table.set(service, ADAPTIVE.headroom, Math.floor(step.headroom));
    table.setLimit(service, step.limit);
    const atMinimum = older === this.minLimit && step.limit === this.minLimit;
    table.set(service, ADAPTIVE.atMinimum, atMinimum ? table.get(service, ADAPTIVE.atMinimum) + 1 : 0);
  }

  private startWindow(nowMs: number): void {
    this.table.set(this.service, ADAPTIVE.windowEndMs, (nowMs + this.config.updateIntervalMs) | 0);
  }

  private windowIsOver(nowMs: number): boolean {
    const { updateIntervalMs } = this.config;
    return isDue(nowMs, this.table.get(this.service, ADAPTIVE.windowEndMs), updateIntervalMs);
  }

  private minRttIsDue(nowMs: number): boolean {
    const { fixedMs, intervalMs } = this.config.minRtt;
    if (fixedMs !== null) return false;
    if (this.table.get(this.service, ADAPTIVE.atMinimum) >= AT_MINIMUM_MAX) return true;
    // The jitter is at most the interval itself.
    return isDue(nowMs, this.table.get(this.service, ADAPTIVE.minRttDueMs), 2 * intervalMs);
  }

  private get minLimit(): number {
    return this.config.minLimit ?? this.config.minRtt.minConcurrency;
  }
}

export interface GradientStep {
  /** 0.5 to 2. */
  readonly gradient: number;
  readonly headroom: number;
  readonly limit: number;
}

/** The limit after a window, with Envoy's arithmetic. Latencies in µs, `sampleRttUs` above 0. */
export function gradientStep(
  config: Pick<AdaptiveConcurrencyConfig, 'maxLimit'> & {
    readonly minRtt: Pick<AdaptiveConcurrencyConfig['minRtt'], 'bufferPercent'>;
  },
  limit: number,
  minRttUs: number,
  sampleRttUs: number,
  minLimit: number,
): GradientStep {
  const buffered = minRttUs + (minRttUs * config.minRtt.bufferPercent) / 100;
  const gradient = Math.max(0.5, Math.min(2, buffered / sampleRttUs));
  const scaled = limit * gradient;
  const headroom = Math.sqrt(scaled);
  const next = Math.floor(scaled + headroom);
  return { gradient, headroom, limit: Math.max(minLimit, Math.min(config.maxLimit, next)) };
}

/** The latency in µs, at least 1, below which `percentile` of the `total` counted lie; even within a bucket. */
export function quantileUs(buckets: Int32Array, total: number, percentile: number): number {
  const rank = (total * percentile) / 100;
  let before = 0;
  let last = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const count = buckets[bucket] as number;
    if (count === 0) continue;
    last = bucket;
    if (before + count >= rank) {
      const start = bucketStartUs(bucket);
      const inside = Math.max(0, (rank - before) / count);
      return Math.max(1, Math.round(start + inside * (bucketStartUs(bucket + 1) - start)));
    }
    before += count;
  }
  return Math.max(1, bucketStartUs(last + 1));
}

/**
 * Whether the 32-bit moment `thenMs` has come, which was never more than `aheadMs` ahead: one that seems to be was passed so
 * long ago (24 days) that the number has wrapped.
 */
function isDue(nowMs: number, thenMs: number, aheadMs: number): boolean {
  const leftMs = (thenMs - (nowMs | 0)) | 0;
  return leftMs <= 0 || leftMs > aheadMs;
}
