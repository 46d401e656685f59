/**
 * What a proxy under test is to do, said once; `outboard.ts` and `envoy.ts` put it into each one's words. Everything a
 * mesh has on is on in both: routing by hostname among many services, circuit breakers, outlier detection, retries,
 * access log to a file with the same fields, metrics, and traces of 1 % of the requests.
 */

/** Endpoints per service, all on the one backend, so that each proxy balances. */
const ENDPOINTS = 2;

/** What the endpoints of a service speak: `http` HTTP/1.1, the others HTTP/2 without asking. */
export type UpstreamProtocol = 'http' | 'http2' | 'grpc';

export interface ServiceSpec {
  readonly name: string;
  /** Null: every host, as the inbound side of a sidecar has it. */
  readonly hostname: string | null;
  /** Loopback ports. */
  readonly ports: readonly number[];
  readonly protocol: UpstreamProtocol;
}

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

export interface ListenerSpec {
  readonly name: string;
  readonly port: number;
  readonly tls: boolean;
  /** Client certificates are asked for, and refused unless the authority signed them. */
  readonly mutual: boolean;
}

export interface RetrySpec {
  /** Envoy's names; Outboard has the same. */
  readonly on: readonly string[];
  readonly perTryTimeoutMs: number | null;
}

/** Overload manager and adaptive concurrency; Outboard's alone. */
export interface Protection {
  /** What its memory is measured against. */
  readonly memoryBytes: number;
  /** Every service finds its limit of requests in flight. */
  readonly adaptiveConcurrency: boolean;
}

export interface ProxySpec {
  /** For configuration and logs; made by the caller. */
  readonly directory: string;
  readonly core: number;
  readonly adminPort: number;
  readonly listeners: readonly ListenerSpec[];
  readonly services: readonly ServiceSpec[];
  readonly tls: TlsFiles;
  /** Mutual TLS to every endpoint, as between two sidecars. */
  readonly upstreamTls: boolean;
  readonly retry: RetrySpec;
  /** Outboard only. */
  readonly hedging: { readonly latencyPercentile: number; readonly maxExtraPercent: number } | null;
  /** Outboard only: every request is copied to a port that nobody listens on. */
  readonly mirrorToNobody: boolean;
  /** Routes will change while it runs. */
  readonly changing: boolean;
  /** Null: none, as everywhere but under overload. */
  readonly protection: Protection | null;
  /** Outboard only: of one source address; null: as many as come. */
  readonly callerConnections: number | null;
  /** OTLP over HTTP on loopback. */
  readonly collectorPort: number;
}

/** Istio's default conditions for HTTP; 503 is the retriable status code. */
export const RETRY: RetrySpec = {
  on: ['connect-failure', 'refused-stream', 'reset-before-request', 'retriable-status-codes'],
  perTryTimeoutMs: null,
};

/** Istio's default conditions for gRPC beside them. */
export const GRPC_RETRY: RetrySpec = { ...RETRY, on: [...RETRY.on, 'unavailable', 'cancelled'] };

/** Numbers that stand in both configurations. */
export const POLICY = {
  requestTimeoutMs: 15_000,
  connectTimeoutMs: 1_000,
  retries: 2,
  retryBudgetPercent: 20,
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  consecutive5xxErrors: 5,
  outlierIntervalS: 10,
  baseEjectionS: 30,
  maxEjectionPercent: 50,
  samplingPercent: 1,
} as const;

/** `svc-0.bench.example` … each with neighbouring ports of the backend. */
export function serviceList(
  count: number,
  backendPorts: readonly number[],
  endpoints: number = ENDPOINTS,
  protocol: UpstreamProtocol = 'http',
): ServiceSpec[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `svc-${i}`,
    hostname: `svc-${i}.bench.example`,
    ports: Array.from({ length: endpoints }, (_, j) => backendPorts[(i + j) % backendPorts.length] as number),
    protocol,
  }));
}
