/**
 * When an attempt of a request is slow enough for a second one beside it: later than so many percent of the attempts at the
 * service, as far as its worker knows, and within a share of the node's requests to it. At most once for each request.
 */
import { Timer, type TimerOwner, type TimerWheel } from '../../../base/index.ts';
import type { HedgingConfig } from '../../../config/index.ts';
import { type AttemptRecord, COUNTER, type RequestRecord } from '../../../telemetry/index.ts';
import { isIdempotent } from '../../policy/index.ts';
import type { UpstreamService } from '../../upstream/index.ts';
import type { ExchangeContext, RulePolicy } from '../context.ts';

export interface HedgeOwner {
  onHedge(): void;
}

export class Hedge implements TimerOwner {
  readonly config: HedgingConfig;
  private readonly owner: HedgeOwner;
  private readonly service: UpstreamService;
  private readonly wheel: TimerWheel;
  private readonly clock: ExchangeContext['clock'];
  private readonly timer = new Timer(this, 0);
  /** Latency has yet to make it begin. */
  private waits: boolean;

  private constructor(
    owner: HedgeOwner,
    { wheel, clock }: ExchangeContext,
    service: UpstreamService,
    config: HedgingConfig,
    byLatency: boolean,
  ) {
    this.owner = owner;
    this.service = service;
    this.wheel = wheel;
    this.clock = clock;
    this.config = config;
    this.waits = byLatency;
  }

  /** Null: nothing hedges this request. */
  static of(
    owner: HedgeOwner,
    context: ExchangeContext,
    {
      service,
      policy,
      record,
    }: { readonly service: UpstreamService; readonly policy: RulePolicy; readonly record: RequestRecord },
  ): Hedge | null {
    const { hedging } = policy;
    if (hedging === null) return null;
    const twice = hedging.anyMethod || isIdempotent(record.method);
    // One endpoint can't outrun itself.
    const byLatency = hedging.latencyPercentile !== null && twice && service.config.endpoints.length > 1;
    if (byLatency) service.earnHedge(hedging.maxExtraPercent);
    return new Hedge(owner, context, service, hedging, byLatency);
  }

  /** A second attempt for latency is still possible. */
  get mayCome(): boolean {
    return this.waits;
  }

  /** The attempt that began at `startMs` has all of the request. */
  arm(startMs: number): void {
    const { latencyPercentile } = this.config;
    if (!this.waits || latencyPercentile === null || this.timer.armed) return;
    const nowMs = this.clock.nowMs();
    const slowMs = this.service.latency.percentile(latencyPercentile, nowMs);
    if (slowMs >= 0) this.wheel.arm(this.timer, Math.max(0, startMs + slowMs - nowMs));
    else this.waits = false;
  }

  onTimer(): void {
    this.owner.onHedge();
  }

  /** Takes leave for the second attempt; false: the node has made all that it may. */
  take(): boolean {
    this.waits = false;
    if (this.service.acquireHedge()) return true;
    this.service.counters.add(COUNTER.upstreamRqHedgeOverflow, 1);
    return false;
  }

  /** An attempt has been answered, or was stopped, at `nowMs`. */
  observe({ startMs }: AttemptRecord, nowMs: number): void {
    if (this.config.latencyPercentile !== null) this.service.latency.observe(nowMs - startMs, nowMs);
  }

  /** There will be none. */
  cancel(): void {
    this.waits = false;
    this.wheel.cancel(this.timer);
  }
}
