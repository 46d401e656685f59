/** Services of the snapshot: where requests go, how one endpoint is chosen, and what its requests may take. */
import type { HealthCheckConfig, OutlierConfig } from './health-config.ts';
import type { AdaptiveConcurrencyConfig } from './overload-config.ts';
import type { RateLimitConfig } from './rate-limit-config.ts';
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
  /** Null: nothing but the breakers limits it. */
  readonly adaptiveConcurrency: AdaptiveConcurrencyConfig | null;
  readonly outlierDetection: OutlierConfig | null;
  readonly healthCheck: HealthCheckConfig | null;
  readonly tls: UpstreamTls | null;
  readonly subsets: readonly SubsetConfig[];
  readonly subsetFallback: SubsetFallbackPolicy;
  /** Name of a subset; null where the fallback is another. */
  readonly defaultSubset: string | null;
  readonly sessionPersistence: SessionPersistenceConfig | null;
  /** Connections begin with a PROXY header that says whose they are; null: they don't. */
  readonly proxyProtocol: 'v1' | 'v2' | null;
  /** Healthy share below which health and ejections are ignored, 0 to 100 (Envoy 50, Istio 0). */
  readonly panicThreshold: number;
  readonly rateLimits: readonly RateLimitConfig[];
}

export type LoadBalancerPolicy =
  | 'least-request'
  | 'round-robin'
  | 'random'
  | 'ring-hash'
  | 'maglev'
  | 'peak-ewma';

export interface LoadBalancerConfig {
  readonly policy: LoadBalancerPolicy;
  /** Of ring-hash and maglev only. */
  readonly consistentHash: ConsistentHashConfig | null;
  /** Of peak-ewma only. */
  readonly peakEwma: PeakEwmaConfig | null;
  /** Of least-request and round-robin; null: a new endpoint takes its share at once. */
  readonly slowStart: SlowStartConfig | null;
  /** A priority or locality of which this share is healthy, turned round, counts as whole: percent, 100 or more (140). */
  readonly overprovisioningFactor: number;
  /** What the localities of endpoints are for; null: nothing. */
  readonly locality: LocalityConfig | null;
}

export interface PeakEwmaConfig {
  /** Taken for the latency of an endpoint that has not answered yet. */
  readonly defaultRttMs: number;
  /** In this time a latency falls to 1/e while nothing is heard. */
  readonly decayMs: number;
}

/** Envoy's SlowStartConfig. */
export interface SlowStartConfig {
  readonly windowMs: number;
  /** Above 0; 1: linear, above it faster in the beginning. */
  readonly aggression: number;
  /** 0 to 100. */
  readonly minWeightPercent: number;
}

/** Where an endpoint or this node is. Empty: not known. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export type LocalityConfig =
  /** The nearer endpoints first, as priorities: Istio's locality failover. */
  | {
      readonly type: 'failover';
      /** Regions that come before all other regions, for nodes of another. */
      readonly failover: readonly { readonly from: string; readonly to: string }[];
    }
  /** Shares by locality: Istio's `distribute`, Envoy's locality weighted load balancing. */
  | {
      readonly type: 'distribute';
      readonly distribute: readonly {
        /** Of nodes. */
        readonly from: LocalityPattern;
        /** Of endpoints; the first one that fits counts, and endpoints that none fits get nothing. */
        readonly to: readonly { readonly locality: LocalityPattern; readonly weight: number }[];
      }[];
    }
  /** As much as balance allows stays in this zone: Envoy's zone aware routing. */
  | {
      readonly type: 'zone-aware';
      /** The service whose endpoints call this one from everywhere: Envoy's local cluster. */
      readonly localService: string;
      /** Healthy endpoints below which zones don't matter. */
      readonly minClusterSize: number;
      /** Of requests, 0 to 100. */
      readonly routingEnabled: number;
    };

/** `region/zone/subZone`, where `*`, and what is left out at the end, stands for any. */
export type LocalityPattern = string;

export interface SubsetConfig {
  readonly name: string;
  /** Which an endpoint has to have, all of them. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What becomes of a request for a subset that has no endpoints, under Envoy's names. */
export type SubsetFallbackPolicy = 'none' | 'any-endpoint' | 'default-subset';

/** A client keeps its endpoint by a cookie that names it: Gateway API's SessionPersistence. */
export interface SessionPersistenceConfig {
  /** What the client keeps, and sends with its requests. */
  readonly type: 'cookie' | 'header';
  /** Its name, of a header in lower case. */
  readonly sessionName: string;
  /** Path of the cookie; null: that of the request. */
  readonly path: string | null;
  /** The session ends so long after it began; 0: with the client's own session. */
  readonly absoluteTimeoutMs: number;
  /** Whether a client may keep the cookie beyond its own session. */
  readonly permanent: boolean;
  /** A request whose endpoint may not be used fails; else it goes to another. */
  readonly strict: boolean;
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
  /** 0: first. Others take what the endpoints before them have no room for. */
  readonly priority: number;
  /** Null: not known. */
  readonly locality: Locality | null;
  /** Null: none. */
  readonly labels: Readonly<Record<string, string>> | null;
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
