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
  /** Share of the endpoints, 0 to 100, that an ejection must leave neither ejected nor failing active checks. Default 0. */
  readonly minHealthPercent: number;
  /** An ejection lasts up to so much longer, by chance. Default 0. */
  readonly maxEjectionJitterMs: number;
  /** How many of 100 detections lead to an ejection, for each detector: 0 to 100. Defaults 100, for percentages 0. */
  readonly enforcingConsecutive5xx: number;
  readonly enforcingConsecutiveGatewayFailure: number;
  readonly enforcingConsecutiveLocalOriginFailure: number;
  readonly enforcingSuccessRate: number;
  readonly enforcingLocalOriginSuccessRate: number;
  readonly enforcingFailurePercentage: number;
  readonly enforcingFailurePercentageLocalOrigin: number;
}

/** What finds an outlier, in the order of Envoy's OutlierEjectionType; a failed probe is ours. */
export const DETECTOR = {
  consecutive5xx: 0,
  consecutiveGatewayFailure: 1,
  successRate: 2,
  consecutiveLocalOriginFailure: 3,
  successRateLocalOrigin: 4,
  failurePercentage: 5,
  failurePercentageLocalOrigin: 6,
  probe: 7,
} as const;
export type Detector = (typeof DETECTOR)[keyof typeof DETECTOR];

/** Envoy's names of them, as its event log writes them. */
export const DETECTOR_NAMES = [
  'CONSECUTIVE_5XX',
  'CONSECUTIVE_GATEWAY_FAILURE',
  'SUCCESS_RATE',
  'CONSECUTIVE_LOCAL_ORIGIN_FAILURE',
  'SUCCESS_RATE_LOCAL_ORIGIN',
  'FAILURE_PERCENTAGE',
  'FAILURE_PERCENTAGE_LOCAL_ORIGIN',
  'PROBE',
] as const;
export type DetectorName = (typeof DETECTOR_NAMES)[number];

/** How many of 100 detections the policy lets become ejections. */
export function enforcingOf(policy: OutlierPolicy, detector: Detector): number {
  switch (detector) {
    case DETECTOR.consecutive5xx:
      return policy.enforcingConsecutive5xx;
    case DETECTOR.consecutiveGatewayFailure:
      return policy.enforcingConsecutiveGatewayFailure;
    case DETECTOR.consecutiveLocalOriginFailure:
      return policy.enforcingConsecutiveLocalOriginFailure;
    case DETECTOR.successRate:
      return policy.enforcingSuccessRate;
    case DETECTOR.successRateLocalOrigin:
      return policy.enforcingLocalOriginSuccessRate;
    case DETECTOR.failurePercentage:
      return policy.enforcingFailurePercentage;
    case DETECTOR.failurePercentageLocalOrigin:
      return policy.enforcingFailurePercentageLocalOrigin;
    default:
      return 100;
  }
}

/** Kinds of failure: an answer 500, 501 or above 504; an answer 502, 503 or 504; no answer (connect, reset, timeout). */
export const FAILED = { serverError: 0, gatewayError: 1, localOrigin: 2 } as const;
export type FailedKind = (typeof FAILED)[keyof typeof FAILED];

/**
 * How a request to an endpoint ended, for the detectors that look at an interval: an answer below 500, the failures
 * of {@link FAILED} in their order.
 */
export const RESULT = { success: 0, serverError: 1, gatewayError: 2, localOrigin: 3 } as const;
export type Result = (typeof RESULT)[keyof typeof RESULT];

/**
 * What a reported failure led to. ignored: it started before an ejection, or the endpoint is ejected
 * or removed. overflow: a threshold is reached but the ejection limit too (Envoy: ejections_overflow);
 * the next failure asks again. unenforced: the policy's `enforcing` let this one pass.
 */
export const OUTLIER = { ignored: 0, counted: 1, overflow: 2, ejected: 3, unenforced: 4 } as const;
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

/**
 * The most endpoints of a service that may be ejected at once, of which `unavailable` more are out for failing their
 * active checks. Below 1: nobody.
 */
export function ejectionLimit(hosts: number, policy: OutlierPolicy, unavailable: number = 0): number {
  const byPercent = Math.floor((hosts * policy.maxEjectionPercent) / 100);
  const limit = Math.min(hosts, Math.max(byPercent, policy.maxEjectionCount));
  if (policy.minHealthPercent === 0) return limit;
  return Math.min(limit, hosts - healthyFloor(hosts, policy.minHealthPercent) - unavailable);
}

/** How many of `hosts` make up `percent` of them. */
export function healthyFloor(hosts: number, percent: number): number {
  return Math.ceil((hosts * percent) / 100);
}
