/**
 * What every exchange of one worker shares. Routes and `services` belong to one snapshot; an
 * exchange takes what it needs of them when it starts.
 */
import type { Clock, TimerWheel } from '../../base/index.ts';
import type {
  FaultConfig,
  HedgingConfig,
  MirrorConfig,
  RequestPriority,
  RuleConfig,
} from '../../config/index.ts';
import type { Recorder } from '../../telemetry/index.ts';
import {
  type CallerFields,
  type Callers,
  type CorsPolicy,
  callerHedging,
  callerRetry,
  callerTimeouts,
  compileCors,
  compileGlobalRateLimit,
  compileRetry,
  compileTimeouts,
  type GlobalRateLimit,
  type Overload,
  type RetryPolicy,
  type RuleTimeouts,
} from '../policy/index.ts';
import type { ConnectionRoutes, Router } from '../router/index.ts';
import type { UpstreamService } from '../upstream/index.ts';
import type { RateLimits } from './gates/rate-limits.ts';

/** The policies of one rule, compiled with it. */
export interface RulePolicy {
  readonly retry: RetryPolicy;
  readonly timeouts: RuleTimeouts;
  readonly hedging: HedgingConfig | null;
  readonly priority: RequestPriority;
  readonly fault: FaultConfig | null;
  readonly globalRateLimit: GlobalRateLimit | null;
  readonly mirrors: readonly MirrorConfig[];
  readonly cors: CorsPolicy | null;
}

export function compileRulePolicy(rule: RuleConfig): RulePolicy {
  const cors = rule.filters.find((filter) => filter.type === 'CORS');
  return {
    retry: compileRetry(rule.retry),
    timeouts: compileTimeouts(rule.timeouts),
    hedging: rule.hedging,
    priority: rule.priority,
    fault: rule.fault,
    globalRateLimit: compileGlobalRateLimit(rule.globalRateLimit),
    mirrors: rule.filters.filter((filter) => filter.type === 'RequestMirror'),
    cors: cors === undefined ? null : compileCors(cors),
  };
}

/** A rule's policies with what a trusted caller asks for; null: nothing. */
export function policyFor(rule: RulePolicy, asks: CallerFields | null): RulePolicy {
  if (asks === null) return rule;
  return {
    ...rule,
    retry: callerRetry(rule.retry, asks),
    timeouts: callerTimeouts(rule.timeouts, asks),
    hedging: callerHedging(rule.hedging, asks),
  };
}

export interface ExchangeContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly random: () => number;
  readonly recorder: Recorder;
  readonly callers: Callers;
  router: Router<RulePolicy>;
  connectionRoutes: ConnectionRoutes;
  services: ReadonlyMap<string, UpstreamService>;
  readonly rateLimits: RateLimits;
  /** What this worker does about overload; null: nothing is watched. */
  overload: Overload | null;
  /** Exchanges under way: what a drain waits for. */
  active: number;
}
