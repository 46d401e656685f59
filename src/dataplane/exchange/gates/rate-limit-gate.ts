/**
 * The node's own rate limits: a request passes when every limit that it meets has a token for it, those of its listener first,
 * then those of its rule and of its service. One that is refused gives back what it took of others, so that a caller over a
 * limit of its own uses up nobody else's.
 */
import { type Failure, failure } from '../../../base/index.ts';
import type { RateLimitConfig } from '../../../config/index.ts';
import { LIMIT_COUNTER } from '../../../telemetry/index.ts';
import { rateLimitField, rateLimitKeyOf, wholeSeconds } from '../../policy/index.ts';
import { noteLimit } from '../attempts/admission.ts';
import type { Gate, GatedRequest, Passage } from './gates.ts';
import type { RateLimit } from './rate-limits.ts';

/** Null: the request meets no limit. */
export function rateLimitGate(request: GatedRequest): Gate | null {
  const { listener, rule, service } = request;
  const ofRule = rule.config.rateLimits;
  const ofService = service.config.rateLimits;
  if (listener.rateLimits.length === 0 && ofRule.length === 0 && ofService.length === 0) return null;
  return new RateLimitGate(request, [listener.rateLimits, ofRule, ofService]);
}

class RateLimitGate implements Gate {
  private readonly request: GatedRequest;
  private readonly lists: readonly (readonly RateLimitConfig[])[];
  private readonly passed: RateLimit[] = [];

  constructor(request: GatedRequest, lists: readonly (readonly RateLimitConfig[])[]) {
    this.request = request;
    this.lists = lists;
  }

  enter(): Passage {
    const { rateLimits } = this.request.context;
    for (const list of this.lists) {
      if (list.length === 0) continue;
      for (const limit of rateLimits.of(list)) {
        const refused = this.ask(limit);
        if (refused === null) continue;
        for (const { bucket } of this.passed) bucket.giveBack(rateLimits.nowMs());
        return { refused };
      }
    }
    for (const limit of this.passed) {
      limit.counters.add(LIMIT_COUNTER.ok, 1);
      if (limit.config.headers) this.tell(limit);
    }
    return 'open';
  }

  end(): void {
    // Tokens are not returned.
  }

  private ask(limit: RateLimit): Failure | null {
    const { config, bucket, counters } = limit;
    const { context, record } = this.request;
    const key = this.keyOf(config);
    counters.add(LIMIT_COUNTER.enabled, 1);
    const taken = bucket.take(key, context.rateLimits.nowMs());
    if (bucket.overflowed) counters.add(LIMIT_COUNTER.overflow, 1);
    if (taken) {
      this.passed.push(limit);
      return null;
    }
    counters.add(LIMIT_COUNTER.rateLimited, 1);
    const { enforcedPercent } = config;
    if (enforcedPercent < 100 && context.random() * 100 >= enforcedPercent) {
      if (record.shadowedBy === '') record.shadowedBy = config.id;
      return null;
    }
    counters.add(LIMIT_COUNTER.enforced, 1);
    return this.refuse(limit, key);
  }

  private keyOf({ per }: RateLimitConfig): string {
    if (per === null) return '';
    const { head, record } = this.request;
    const { clientAddress, facts } = record;
    return rateLimitKeyOf(per, head, clientAddress === '' ? facts.remoteAddress : clientAddress, facts);
  }

  private refuse(limit: RateLimit, key: string): Failure {
    const { config, bucket } = limit;
    const { request } = this;
    noteLimit(request.record, `rateLimits ${config.id}`, config.burst, bucket.remaining);
    request.addAnswerField('x-envoy-ratelimited', 'true');
    request.addAnswerField('retry-after', String(Math.max(1, wholeSeconds(bucket.waitMs))));
    this.tell(limit);
    const whose = bucket.overflowed ? `${key}, whose key found no room` : key;
    const detail =
      config.per === null ? config.id : `${config.id} of ${whose === '' ? 'requests without a key' : whose}`;
    return { ...failure('rate-limited', detail), status: config.status };
  }

  private tell({ config, bucket, policyField }: RateLimit): void {
    this.request.addAnswerField('ratelimit-policy', policyField);
    this.request.addAnswerField('ratelimit', rateLimitField(config.name, bucket.remaining, bucket.fullInMs));
  }
}
