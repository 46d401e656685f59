/** Which endpoints of a service may take requests: outlier detection and active checks, in the snapshot. */

export interface OutlierConfig {
  readonly consecutive5xxErrors: number;
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveLocalOriginFailures: number;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionJitterMs: number;
  readonly maxEjectionPercent: number;
  /** So many may be ejected whatever the percentage says, while one other endpoint stays. */
  readonly maxEjectionCount: number;
  /** An ejection leaves at least this share of the endpoints healthy, 0 to 100. */
  readonly minHealthPercent: number;
  /** Endpoints with enough requests, below which success rates are not compared. */
  readonly successRateMinimumHosts: number;
  /** Requests in an interval below which an endpoint's success rate says nothing. */
  readonly successRateRequestVolume: number;
  /** Thousandths of the standard deviation that a rate may lie below the average, as in Envoy. */
  readonly successRateStdevFactor: number;
  /** Failures in percent of the requests of an interval, from which on an endpoint is an outlier. */
  readonly failurePercentageThreshold: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  /** Of 100 detections so many become ejections, for each detector under Envoy's name. */
  readonly enforcingConsecutive5xx: number;
  readonly enforcingConsecutiveGatewayFailure: number;
  readonly enforcingConsecutiveLocalOriginFailure: number;
  readonly enforcingSuccessRate: number;
  readonly enforcingLocalOriginSuccessRate: number;
  readonly enforcingFailurePercentage: number;
  readonly enforcingFailurePercentageLocalOrigin: number;
}

export interface HealthCheckConfig {
  /** grpc.health.v1 in place of a GET: `path` and `expectedStatuses` then say nothing. Null: not this. */
  readonly grpc: {
    /** What is asked about; empty: the server as a whole. */
    readonly service: string;
  } | null;
  /** A connection in place of a GET, and what is said on it. Null: not this. */
  readonly tcp: TcpHealthCheckConfig | null;
  readonly path: string;
  readonly host: string | null;
  readonly intervalMs: number;
  /** A wait between two checks is up to so much longer, by chance. */
  readonly intervalJitterMs: number;
  /** The first check begins up to so much later, by chance. */
  readonly initialJitterMs: number;
  /** In place of `intervalMs` while the endpoint is unhealthy. */
  readonly unhealthyIntervalMs: number;
  /** In place of both while the service has never been called; null: nothing is. */
  readonly noTrafficIntervalMs: number | null;
  readonly timeoutMs: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  readonly expectedStatuses: readonly (readonly [number, number])[];
  /** An event for every check that fails, and not only for one that changes something. */
  readonly alwaysLogHealthCheckFailures: boolean;
}

/** Bytes in hexadecimal digits, lower case. */
export interface TcpHealthCheckConfig {
  /** Empty: nothing is sent. */
  readonly send: string;
  /** All have to come, in this order, with anything in between. Empty: the connection is enough. */
  readonly receive: readonly string[];
}
