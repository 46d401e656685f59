/**
 * The rate limits that a worker asks: each with its bucket in the ledger, its counters, and what is always the same of its
 * answer fields. Lists are made when a request first meets them, and kept with the configuration that they belong to.
 */
import type { RateLimitConfig, RateLimitSlot } from '../../../config/index.ts';
import { rateLimitKey } from '../../../config/index.ts';
import { bucketShape, type RateLimitBucket, type WorkerLedger } from '../../../ledger/index.ts';
import type { CounterBlock, WorkerMetrics } from '../../../telemetry/index.ts';
import { rateLimitPolicyField } from '../../policy/index.ts';

export interface RateLimit {
  readonly config: RateLimitConfig;
  readonly bucket: RateLimitBucket;
  readonly counters: CounterBlock;
  readonly policyField: string;
}

interface Placed {
  readonly slot: RateLimitSlot;
  readonly bucket: RateLimitBucket;
  readonly counters: CounterBlock;
}

export class RateLimits {
  private readonly ledger: WorkerLedger;
  private readonly metrics: WorkerMetrics;
  /** By `rateLimitKey`. */
  private placed = new Map<string, Placed>();
  private compiled = new WeakMap<readonly RateLimitConfig[], readonly RateLimit[]>();

  constructor(ledger: WorkerLedger, metrics: WorkerMetrics) {
    this.ledger = ledger;
    this.metrics = metrics;
  }

  /** Takes over the slots of a new snapshot; before a request meets its limits. */
  update(slots: readonly RateLimitSlot[], nowMs: number): void {
    const older = this.placed;
    this.placed = new Map();
    for (const slot of slots) this.placed.set(slot.name, this.place(slot, older.get(slot.name)));
    const ids = new Set(slots.map(({ id }) => id));
    for (const { slot } of older.values()) if (!ids.has(slot.id)) this.metrics.limits.remove(slot.id, nowMs);
    this.compiled = new WeakMap();
  }

  /** Of a listener, a rule or a service. */
  of(configs: readonly RateLimitConfig[]): readonly RateLimit[] {
    let limits = this.compiled.get(configs);
    if (limits === undefined) {
      limits = configs.flatMap((config) => this.compile(config));
      this.compiled.set(configs, limits);
    }
    return limits;
  }

  /** The clock of buckets, read afresh: see token-bucket.ts. */
  nowMs(): number {
    return this.ledger.nowMs();
  }

  private place(slot: RateLimitSlot, older: Placed | undefined): Placed {
    const counters = this.metrics.limits.add(slot.id);
    if (older?.slot.slot === slot.slot && older.slot.table === slot.table)
      return { ...older, slot, counters };
    const shape = bucketShape(slot.requests, slot.intervalMs, slot.burst);
    return { slot, counters, bucket: this.ledger.rateLimits.open(slot.slot, slot.table, shape) };
  }

  private compile(config: RateLimitConfig): RateLimit[] {
    const placed = this.placed.get(rateLimitKey(config));
    // It has left the configuration since the request was routed.
    if (placed === undefined) return [];
    const { bucket, counters } = placed;
    const { full, unitsPerMs } = bucket.shape;
    const policyField = rateLimitPolicyField(config.name, config.burst, full / unitsPerMs);
    return [{ config, bucket, counters, policyField }];
  }
}
