/**
 * What stands between one attempt and the next: whether there may be another, why, after what wait, and the unit of
 * maxRetries held meanwhile. The policy has decided that a retry is wanted; here it meets every limit that may
 * forbid it, the cheapest first and the node-wide one last, because asking that one takes from it.
 */

import type { RetryRefusal } from '../../../telemetry/index.ts';
import type { RetryDecision } from '../../policy/index.ts';
import { backoffMs, type RetryPolicy } from '../../policy/index.ts';
import type { UpstreamService } from '../../upstream/index.ts';

export class RetryPlan {
  /** Endpoints that attempts have used, by their index in the service's list. */
  readonly tried: number[] = [];
  /** Wait before the coming attempt, in ms, and whether the last answer asked for it. */
  waitMs = 0;
  waitFromAnswer = false;
  /** Why the coming attempt is made; empty for the first. */
  reason = '';
  private readonly policy: RetryPolicy;
  private readonly service: UpstreamService;
  private planned = 0;
  private holdsUnit = false;

  constructor(policy: RetryPolicy, service: UpstreamService) {
    this.policy = policy;
    this.service = service;
  }

  /** Would the route allow one more retry? */
  get allowsMore(): boolean {
    return this.planned < this.policy.config.attempts;
  }

  /**
   * Plans the next attempt, or says what forbids it. `resetMs`: the wait that the answer asked for, -1: none.
   * `leftMs`: what is left of the request timeout. `restartable`: the body can be sent from its first byte.
   */
  plan(
    decision: RetryDecision,
    restartable: boolean,
    resetMs: number,
    leftMs: number,
    random: number,
  ): RetryRefusal {
    if (!this.allowsMore) return 'attempts';
    if (!restartable) return 'body';
    const fromAnswer = resetMs >= 0;
    const waitMs = fromAnswer ? resetMs : backoffMs(this.policy.config, this.planned + 1, random);
    if (waitMs >= leftMs) return 'timeout';
    const leave = this.service.acquireRetry();
    if (leave !== 'yes') return leave;
    this.planned++;
    this.holdsUnit = this.service.retriesAreGauged;
    this.waitMs = waitMs;
    this.waitFromAnswer = fromAnswer;
    this.reason = decision.reason;
    return '';
  }

  /** Passes the unit of maxRetries on to the attempt that begins; true when there is one. */
  takeUnit(): boolean {
    const held = this.holdsUnit;
    this.holdsUnit = false;
    return held;
  }

  /** The planned attempt will not be made. */
  drop(slot: number): void {
    if (this.takeUnit()) this.service.releaseRetry(slot);
  }
}
