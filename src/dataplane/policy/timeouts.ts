/**
 * Gateway API's two timeouts of a rule. `request` counts from the end of the request to the end of the
 * answer, with every retry and every backoff in between, and reaching it is never retried. `backendRequest`
 * counts for one attempt, and only when it is the shorter of the two (Envoy: `per_try_timeout`). 0 is off.
 */
export interface Timeouts {
  /** Milliseconds; 0: off. */
  readonly requestMs: number;
  /** Milliseconds for one attempt; 0: off, or not below `requestMs`. */
  readonly perTryMs: number;
}

export function compileTimeouts(config: {
  readonly requestMs: number;
  readonly backendRequestMs: number;
}): Timeouts {
  const { requestMs, backendRequestMs } = config;
  const counts = requestMs === 0 || backendRequestMs < requestMs;
  return { requestMs, perTryMs: counts ? backendRequestMs : 0 };
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
