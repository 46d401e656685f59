/**
 * The snapshot: the whole configuration, validated, with every default filled in and every duration in
 * milliseconds, so that whoever reads it decides nothing again. It is plain data (it crosses to the
 * workers by structured clone) and never changes: a new configuration is a new snapshot with a higher
 * version, sent as a delta. It holds names of certificates and keys, never their content.
 */
import type { ListenerTls, UpstreamTls } from './secrets.ts';

export interface Snapshot {
  /** Counts up from 1 with every accepted configuration. */
  readonly version: number;
  readonly node: NodeSettings;
  readonly listeners: readonly ListenerConfig[];
  /** In the order of the file, which breaks the last ties of route precedence. */
  readonly routes: readonly RouteConfig[];
  readonly tlsRoutes: readonly TlsRouteConfig[];
  readonly tcpRoutes: readonly TcpRouteConfig[];
  readonly services: readonly ServiceConfig[];
}

/** What concerns the whole process. */
export interface NodeSettings {
  readonly tracing: TracingConfig;
  readonly admin: { readonly host: string; readonly port: number };
  readonly accessLog: AccessLogConfig;
  readonly workers: number;
  /** How long in-flight requests may take to end when the process drains. */
  readonly drainTimeoutMs: number;
}

export interface TracingConfig {
  /** 0 to 1. */
  readonly sampling: number;
  /** `http://host:4318`; null: spans are kept in memory only. */
  readonly otlpEndpoint: string | null;
  readonly serviceName: string;
  /** Formats written to upstream besides what came in; W3C by default. */
  readonly propagation: readonly PropagationFormat[];
}

export type PropagationFormat = 'w3c' | 'b3' | 'b3multi' | 'jaeger';

export interface AccessLogConfig {
  /** A file path, `stdout`, or null: no access log. */
  readonly path: string | null;
}

export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

/**
 * `auto`: HTTP/1 and HTTP/2 told apart and, where a TLS or TCP route names the listener, these as well.
 * `tls`: passed through by SNI. `tcp`: bytes, and nothing is waited for, so that a server may speak first.
 */
export type ListenerProtocol = 'auto' | 'http' | 'http2' | 'tls' | 'tcp';

export interface ListenerConfig {
  readonly name: string;
  /** An IP address without brackets; empty: every address, IPv6 and IPv4, as `net.listen` takes it. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly protocol: ListenerProtocol;
  readonly tls: ListenerTls | null;
  /** Streams that a client may have open on one connection. */
  readonly http2: { readonly maxConcurrentStreams: number };
  readonly pathNormalization: PathNormalization;
  /** Proxies in front of this one whose `x-forwarded-for` entries are believed; 0: none. */
  readonly trustedHops: number;
  readonly headerTimeoutMs: number;
  /** Between requests, and while no byte moves in either direction of a request. 0: off. */
  readonly idleTimeoutMs: number;
  /** How long an `auto` listener with a TCP route waits for a first byte; then it is TCP. 0: for ever. */
  readonly detectTimeoutMs: number;
  /** A WebSocket or TCP connection without a byte either way ends after this. 0: off. */
  readonly tunnelIdleTimeoutMs: number;
  /** The longest that a WebSocket or TCP connection lives. 0: off. */
  readonly tunnelMaxMs: number;
  readonly maxHeaderBytes: number;
  /** Largest request body; 0: no bound (bodies stream, so none is needed for memory). */
  readonly maxRequestBytes: number;
  readonly maxConnections: number;
}

export interface RouteConfig {
  readonly name: string;
  /** Listener names; empty: every listener. */
  readonly listeners: readonly string[];
  /** Lower case; `*.` in front for wildcards; empty: every host. */
  readonly hostnames: readonly string[];
  readonly rules: readonly RuleConfig[];
}

export interface RuleConfig {
  /** `<route>/<index>` or the rule's own name: what decision records call it. */
  readonly name: string;
  /** Alternatives; never empty (the default is the path prefix `/`). */
  readonly matches: readonly MatchConfig[];
  readonly filters: readonly FilterConfig[];
  readonly backends: readonly BackendRef[];
  readonly timeouts: TimeoutsConfig;
  /** A rule that states none has Outboard's defaults: only what is provably unsent or idempotent. */
  readonly retry: RetryConfig;
  /** Null: nothing is done to its requests. */
  readonly fault: FaultConfig | null;
}

/** What is done to some requests on purpose, to see what becomes of it. */
export interface FaultConfig {
  readonly delay: { readonly percent: number; readonly delayMs: number } | null;
  readonly abort: {
    readonly percent: number;
    readonly status: number;
    /** For gRPC calls; null: the one that `status` maps to. */
    readonly grpcStatus: number | null;
  } | null;
}

/** 0: off. */
export interface TimeoutsConfig {
  readonly requestMs: number;
  readonly backendRequestMs: number;
  /**
   * In place of `requestMs` for gRPC requests: what the rule states, else 0, because a default would cut
   * streams; the request's own `grpc-timeout` then bounds it alone.
   */
  readonly grpcRequestMs: number;
}

export interface MatchConfig {
  readonly path: { readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression'; readonly value: string };
  readonly method: string | null;
  /** True: gRPC requests only (`isGrpc` of src/message). */
  readonly grpc: boolean;
  readonly headers: readonly ValueMatch[];
  readonly queryParams: readonly ValueMatch[];
}

export interface ValueMatch {
  readonly type: 'Exact' | 'RegularExpression';
  /** Lower case for headers. */
  readonly name: string;
  readonly value: string;
}

/** Connections that are passed through without an end of their TLS here. */
export interface TlsRouteConfig {
  readonly name: string;
  /** Listener names, never empty: a route that states none has every `tls` listener. */
  readonly listeners: readonly string[];
  /** Server names (SNI): lower case; `*.` in front for wildcards; empty: every one, and none at all. */
  readonly hostnames: readonly string[];
  readonly backends: readonly WeightedService[];
}

/** The bytes of whole connections. At most one of a listener. */
export interface TcpRouteConfig {
  readonly name: string;
  /** Listener names, never empty: a route that states none has every `tcp` listener. */
  readonly listeners: readonly string[];
  readonly backends: readonly WeightedService[];
}

export interface WeightedService {
  readonly service: string;
  /** 0 to 1,000,000; 0 takes no traffic. */
  readonly weight: number;
}

export interface BackendRef extends WeightedService {
  readonly filters: readonly FilterConfig[];
}

export type FilterConfig =
  | ({ readonly type: 'RequestHeaderModifier' } & HeaderModifier)
  | ({ readonly type: 'ResponseHeaderModifier' } & HeaderModifier)
  | { readonly type: 'URLRewrite'; readonly hostname: string | null; readonly path: PathModifier | null }
  | {
      readonly type: 'RequestRedirect';
      readonly scheme: 'http' | 'https' | null;
      readonly hostname: string | null;
      readonly port: number | null;
      readonly path: PathModifier | null;
      readonly statusCode: 301 | 302 | 303 | 307 | 308;
    }
  | {
      readonly type: 'DirectResponse';
      readonly statusCode: number;
      readonly body: string;
      readonly contentType: string;
    };

export interface HeaderModifier {
  readonly set: readonly NameValue[];
  readonly add: readonly NameValue[];
  /** Lower case. */
  readonly remove: readonly string[];
}

export interface NameValue {
  readonly name: string;
  readonly value: string;
}

export type PathModifier =
  | { readonly type: 'ReplaceFullPath'; readonly value: string }
  | { readonly type: 'ReplacePrefixMatch'; readonly value: string };

/** Envoy's names; `gateway-error` is 502, 503, 504. The last five are gRPC statuses, of response headers only. */
export type RetryCondition =
  | '5xx'
  | 'gateway-error'
  | 'reset'
  | 'reset-before-request'
  | 'connect-failure'
  | 'refused-stream'
  | 'retriable-4xx'
  | 'retriable-status-codes'
  | 'retriable-headers'
  | 'envoy-ratelimited'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable';

export interface RetryConfig {
  /** Retries after the first attempt; 0: never. */
  readonly attempts: number;
  /**
   * Conditions the route stated: they hold for every method, as in Envoy. Empty: the defaults, which
   * send again only what was provably unsent, or what is idempotent (RFC 9110 section 9.2.2).
   */
  readonly retryOn: readonly RetryCondition[];
  /** Status codes that are retried; a route that lists one wants it for every method. */
  readonly codes: readonly number[];
  /** Answer headers that make an answer retriable (`retriable-headers`). */
  readonly retriableHeaders: readonly HeaderPresence[];
  readonly backoffBaseMs: number;
  /** Ten times the base unless stated. */
  readonly backoffMaxMs: number;
  /** Answer headers that say when to come back, in the order they are tried. */
  readonly resetHeaders: readonly { readonly name: string; readonly format: 'SECONDS' | 'UNIX_TIMESTAMP' }[];
  readonly resetMaxMs: number;
  /** Bytes of a request body kept for a retry. */
  readonly replayBytes: number;
  /** How often to pick again for a host that has not been tried. */
  readonly hostSelectionAttempts: number;
}

export interface HeaderPresence {
  /** Lower case. */
  readonly name: string;
  /** Exact value, or null: present is enough. */
  readonly value: string | null;
}

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
