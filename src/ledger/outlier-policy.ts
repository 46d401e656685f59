// What outlier detection is told and what it answers: the vocabulary of the endpoint table.
// Names and defaults are Envoy's and Istio's; the count floor is ours, because Envoy's 10 % of fewer
// than 10 hosts ejects nobody (envoy#27909, envoy#34796).

/** When to eject; thresholds of 0 switch a detector off. Names and defaults are Envoy's and Istio's. */
export interface OutlierPolicy {
  /** Any 5xx in a row, local-origin failures included unless split. Default 5. */
  readonly consecutive5xxErrors: number;
  /** 502, 503 and 504 in a row, local-origin failures included unless split. Default 5. */
  readonly consecutiveGatewayErrors: number;
  /** Failed connections, resets and timeouts in a row. Default 5. */
  readonly consecutiveLocalOriginFailures: number;
  /** Istio's splitExternalLocalOriginErrors: local-origin failures count only as such. Default false. */
  readonly splitExternalLocalOriginErrors: boolean;
  /** Ejection lasts min(baseEjectionMs * k, maxEjectionMs), k being the ejections in close succession. Default 30,000. */
  readonly baseEjectionMs: number;
  /** Default 300,000; a value below baseEjectionMs means baseEjectionMs. */
  readonly maxEjectionMs: number;
  /** Ejects while 100 * (ejected + 1) / hosts is at most this. */
  readonly maxEjectionPercent: number;
  /** Also ejects while ejected + 1 is at most this, whatever the percentage. */
  readonly maxEjectionCount: number;
}

/** Kinds of failure: an answer 500, 501 or above 504; an answer 502, 503 or 504; no answer (connect, reset, timeout). */
export const FAILED = { serverError: 0, gatewayError: 1, localOrigin: 2 } as const;
export type FailedKind = (typeof FAILED)[keyof typeof FAILED];

/**
 * What a reported failure led to. ignored: it started before an ejection, or the endpoint is ejected
 * or removed. overflow: a threshold is reached but the ejection limit too (Envoy: ejections_overflow);
 * the next failure asks again.
 */
export const OUTLIER = { ignored: 0, counted: 1, overflow: 2, ejected: 3 } as const;
export type OutlierOutcome = (typeof OUTLIER)[keyof typeof OUTLIER];

/**
 * What `availability` answers: the endpoint takes no request, any request, a single probe, or (degraded) what healthy ones
 * have no room for.
 */
export const AVAILABLE = { no: 0, yes: 1, probe: 2, degraded: 3 } as const;
export type Availability = (typeof AVAILABLE)[keyof typeof AVAILABLE];

/** `admit` refused: ejected, being probed by another request, or failed its active health check. */
export const NOT_ADMITTED = -1;

/** Whether a ticket from `admit` is the endpoint's single probe. */
export function isProbe(ticket: number): boolean {
  return (ticket & 1) === 1;
}

/** The most endpoints of a service that may be ejected at once. */
export function ejectionLimit(hosts: number, policy: OutlierPolicy): number {
  const byPercent = Math.floor((hosts * policy.maxEjectionPercent) / 100);
  return Math.min(hosts, Math.max(byPercent, policy.maxEjectionCount));
}
