/** Envoy's counters of a service's active checks, since the service has them. */

export interface CheckCounts {
  attempt: number;
  success: number;
  /** Of any kind. */
  failure: number;
  /** Checks without an answer. */
  networkFailure: number;
  /** Endpoints that asked for no more requests on an answer to a request. */
  passiveFailure: number;
}

export function noChecks(): CheckCounts {
  return { attempt: 0, success: 0, failure: 0, networkFailure: 0, passiveFailure: 0 };
}
