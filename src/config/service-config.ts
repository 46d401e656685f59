/** Services of the snapshot: where requests go, how one endpoint is chosen, and what its requests may take. */
import type { UpstreamTls } from './secrets.ts';

/**
 * `http`: HTTP/1.1. `http2`, `grpc`: HTTP/2, by prior knowledge in plain and by ALPN over TLS. `auto`:
 * HTTP/1.1 in plain, over TLS what ALPN says. `tcp`: bytes.
 */
export type ServiceProtocol = 'auto' | 'http' | 'http2' | 'grpc' | 'tcp';

export interface ServiceConfig {
  readonly name: string;
  /** Place of its counts in the ledger; given by the supervisor, kept while the service lives. */
  readonly slot: number;
  readonly protocol: ServiceProtocol;
  readonly endpoints: readonly EndpointConfig[];
  /** The name whose addresses the endpoints are; null: they are listed. For the supervisor and for people. */
  readonly dns: DnsTarget | null;
  readonly loadBalancer: LoadBalancerConfig;
  readonly connectTimeoutMs: number;
  /** An idle upstream connection is closed after this. */
  readonly idleTimeoutMs: number;
  /** A connection older than this takes no new request, and ends with its last one. 0: off. */
  readonly maxConnectionAgeMs: number;
  readonly http2: UpstreamHttp2Config;
  readonly circuitBreaker: CircuitBreakerConfig;
  readonly retryBudget: RetryBudgetConfig | null;
  readonly outlierDetection: OutlierConfig | null;
  readonly healthCheck: HealthCheckConfig | null;
  readonly tls: UpstreamTls | null;
  /** Healthy share below which health and ejections are ignored, 0 to 100 (Envoy 50, Istio 0). */
  readonly panicThreshold: number;
}

export interface LoadBalancerConfig {
  readonly policy: 'least-request' | 'round-robin' | 'random' | 'ring-hash' | 'maglev';
  /** Of the last two only. */
  readonly consistentHash: ConsistentHashConfig | null;
}

export interface ConsistentHashConfig {
  readonly key: HashKeyConfig;
  /** Points on the ring, for all endpoints together. */
  readonly minimumRingSize: number;
  readonly maximumRingSize: number;
  /** Places of Maglev's table, a prime number. */
  readonly tableSize: number;
  /** What an endpoint may have of its share of the requests in flight, in percent, at least 100. 0: no bound. */
  readonly hashBalanceFactor: number;
}

/** What of a request is hashed. */
export type HashKeyConfig =
  /** `name` is in lower case. */
  | { readonly type: 'header'; readonly name: string }
  /** `ttlMs` null: a client without the cookie gets none; 0: one for its session. */
  | {
      readonly type: 'cookie';
      readonly name: string;
      readonly path: string | null;
      readonly ttlMs: number | null;
    }
  | { readonly type: 'query'; readonly name: string }
  | { readonly type: 'source' };

export interface UpstreamHttp2Config {
  /** Streams opened on one connection; the endpoint's own setting counts where it is lower. */
  readonly maxConcurrentStreams: number;
  /** Between two pings. 0: none. */
  readonly keepaliveIntervalMs: number;
  /** A connection whose ping is not answered by then is closed. */
  readonly keepaliveTimeoutMs: number;
}

export interface DnsTarget {
  readonly name: string;
  readonly port: number;
  /** Between two look-ups. Also the longest that a new address stays unknown. */
  readonly refreshMs: number;
  /** Which addresses become endpoints, under Envoy's names for `dns_lookup_family`. */
  readonly lookupFamily: DnsLookupFamily;
}

/**
 * `V4_PREFERRED`: IPv4 addresses, or IPv6 ones where there are none; `AUTO` the other way round; `ALL`:
 * both, which counts a dual-stack endpoint twice.
 */
export type DnsLookupFamily = 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL';

export interface EndpointConfig {
  /** An IPv4 or IPv6 address, the latter without brackets. */
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Place of its counts in the ledger. */
  readonly slot: number;
}

export interface CircuitBreakerConfig {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  /** In force only where the retry budget is off. */
  readonly maxRetries: number;
}

export interface RetryBudgetConfig {
  readonly percent: number;
  readonly intervalMs: number;
  readonly minCount: number;
  readonly minIntervalMs: number;
}

export interface OutlierConfig {
  readonly consecutive5xxErrors: number;
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveLocalOriginFailures: number;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionPercent: number;
  /** So many may be ejected whatever the percentage says, while one other endpoint stays. */
  readonly maxEjectionCount: number;
}

export interface HealthCheckConfig {
  /** grpc.health.v1 in place of a GET: `path` and `expectedStatuses` then say nothing. Null: HTTP. */
  readonly grpc: {
    /** What is asked about; empty: the server as a whole. */
    readonly service: string;
  } | null;
  readonly path: string;
  readonly host: string | null;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  readonly expectedStatuses: readonly (readonly [number, number])[];
}
