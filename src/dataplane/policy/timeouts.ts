/**
 * Gateway API's two timeouts of a rule. `request` ends with the answer, with every retry and every backoff in
 * between, and reaching it is never retried. `backendRequest` counts for one attempt, and only when it is the
 * shorter of the two (Envoy: `per_try_timeout`). 0 is off.
 *
 * For HTTP `request` counts from the end of the request (docs/decisions/0003). A gRPC call brings a deadline, which
 * runs while the request is still being sent, so all its time counts from its start, and the shorter of
 * `grpc-timeout` and what the rule states holds (grpc-deadline.ts).
 */
export interface Timeouts {
  /** Milliseconds; 0: off. */
  readonly requestMs: number;
  /** Milliseconds for one attempt; 0: off, or not below `requestMs`. */
  readonly perTryMs: number;
  /** `requestMs` counts from the start of the request; false: from its end. */
  readonly fromStart: boolean;
  readonly statedBy: StatedBy;
}

/** Who gave the request its `requestMs`: its rule, its own `grpc-timeout`, or a trusted caller by a field (caller-fields.ts). */
export type StatedBy = 'timeouts.request' | 'grpc-timeout' | 'x-envoy-upstream-rq-timeout-ms';

/** What a rule states, for either kind of request. */
export interface RuleTimeouts {
  readonly http: Timeouts;
  /** For gRPC calls without a shorter `grpc-timeout`. */
  readonly grpc: Timeouts;
  /** As stated; 0: off. */
  readonly backendRequestMs: number;
}

export function compileTimeouts(config: {
  readonly requestMs: number;
  readonly backendRequestMs: number;
  readonly grpcRequestMs: number;
}): RuleTimeouts {
  const { requestMs, backendRequestMs, grpcRequestMs } = config;
  return {
    http: timeoutsOf(requestMs, backendRequestMs, false, 'timeouts.request'),
    grpc: timeoutsOf(grpcRequestMs, backendRequestMs, true, 'timeouts.request'),
    backendRequestMs,
  };
}

/**
 * A rule's timeouts with what a trusted caller asked for in their place, in milliseconds; -1: it did not. 0 switches one off, as in
 * Envoy. A gRPC call's own `grpc-timeout` still bounds it.
 */
export function callerTimeouts(
  rule: RuleTimeouts,
  asks: { readonly requestMs: number; readonly perTryMs: number } | null,
): RuleTimeouts {
  if (asks === null || (asks.requestMs < 0 && asks.perTryMs < 0)) return rule;
  const { requestMs, perTryMs } = asks;
  const backendRequestMs = perTryMs < 0 ? rule.backendRequestMs : perTryMs;
  const timeouts = ({ requestMs: ruleMs, fromStart }: Timeouts): Timeouts =>
    requestMs < 0
      ? timeoutsOf(ruleMs, backendRequestMs, fromStart, 'timeouts.request')
      : timeoutsOf(requestMs, backendRequestMs, fromStart, 'x-envoy-upstream-rq-timeout-ms');
  return { http: timeouts(rule.http), grpc: timeouts(rule.grpc), backendRequestMs };
}

/**
 * What an endpoint is told of the time it has (`x-envoy-expected-rq-timeout-ms`), in milliseconds, when its attempt starts after
 * `elapsedMs`; 0: no limit. As in Envoy that of the attempt, or what is left of the request, and never below 1. `goesOn`: the
 * attempt's does not end it.
 */
export function expectedTimeoutMs(timeouts: Timeouts, elapsedMs: number, goesOn: boolean): number {
  const { requestMs } = timeouts;
  const perTryMs = goesOn ? 0 : timeouts.perTryMs;
  if (requestMs === 0) return perTryMs;
  const leftMs = Math.max(1, requestMs - Math.floor(elapsedMs));
  return perTryMs === 0 ? leftMs : Math.min(perTryMs, leftMs);
}

/** Milliseconds of a request that count against `requestMs`. `endMs`: when the whole request was in; -1: not yet. */
export function countedMs(timeouts: Timeouts, startMs: number, endMs: number, nowMs: number): number {
  if (timeouts.fromStart) return nowMs - startMs;
  return endMs < 0 ? 0 : nowMs - endMs;
}

/**
 * Milliseconds left of the whole request after `elapsedMs`; Infinity when it has no timeout, never below
 * 0. A retry is worth its wait only when the wait is shorter than this.
 */
export function remainingMs(timeouts: Timeouts, elapsedMs: number): number {
  return timeouts.requestMs === 0 ? Number.POSITIVE_INFINITY : Math.max(0, timeouts.requestMs - elapsedMs);
}

/**
 * Timeout of an attempt that starts after `elapsedMs`, in milliseconds; 0: none of its own, because none
 * is stated or the request's comes first (which then is a request-timeout, not a per-try-timeout).
 */
export function attemptTimeoutMs(timeouts: Timeouts, elapsedMs: number): number {
  return timeouts.perTryMs < remainingMs(timeouts, elapsedMs) ? timeouts.perTryMs : 0;
}

/** `perTryMs` counts only where it is the shorter. */
export function timeoutsOf(
  requestMs: number,
  backendRequestMs: number,
  fromStart: boolean,
  statedBy: StatedBy,
): Timeouts {
  const counts = requestMs === 0 || backendRequestMs < requestMs;
  return { requestMs, perTryMs: counts ? backendRequestMs : 0, fromStart, statedBy };
}
