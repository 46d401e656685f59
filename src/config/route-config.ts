/** Routes of the snapshot: which requests and connections go where, and what is done to them on the way. */

import type { RequestPriority } from './overload-config.ts';
import type { GlobalRateLimitConfig, RateLimitConfig } from './rate-limit-config.ts';

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
  /** Largest request body, in place of the listener's; 0: no bound, null: as the listener has it. */
  readonly maxRequestBytes: number | null;
  /** A rule that states none has Outboard's defaults: only what is provably unsent or idempotent. */
  readonly retry: RetryConfig;
  /** Null: one attempt at a time. */
  readonly hedging: HedgingConfig | null;
  /** Which requests an overloaded node refuses first. */
  readonly priority: RequestPriority;
  /** Null: nothing is done to its requests. */
  readonly fault: FaultConfig | null;
  readonly rateLimits: readonly RateLimitConfig[];
  readonly globalRateLimit: GlobalRateLimitConfig | null;
}

/** When a second attempt begins beside one that is slow. */
export interface HedgingConfig {
  /** The per-try timeout lets its attempt go on, beside the retry that follows (Envoy: `hedge_on_per_try_timeout`). */
  readonly onPerTryTimeout: boolean;
  /** An attempt is slow when it takes longer than so many percent of the service's do, above 0, below 100. Null: never. */
  readonly latencyPercentile: number | null;
  /** Hedges because of latency, in percent of the service's requests. */
  readonly maxExtraPercent: number;
  /** Latency hedges requests of every method; false: only what may be sent twice (RFC 9110 section 9.2.2). */
  readonly anyMethod: boolean;
}

/** What is done to some requests on purpose, to see what becomes of it. */
export interface FaultConfig {
  /** `delayMs` null: the request says. */
  readonly delay: { readonly percent: number; readonly delayMs: number | null } | null;
  readonly abort: {
    readonly percent: number;
    /** Null: the request says. `grpcStatus`, for gRPC calls, null: the one that `status` maps to. */
    readonly fixed: { readonly status: number; readonly grpcStatus: number | null } | null;
  } | null;
  /** KiB a second; null: the request says. */
  readonly responseRateLimit: { readonly percent: number; readonly kbps: number | null } | null;
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
  | ({ readonly type: 'RequestMirror' } & MirrorConfig)
  | ({ readonly type: 'CORS' } & CorsConfig)
  | {
      readonly type: 'DirectResponse';
      readonly statusCode: number;
      readonly body: string;
      readonly contentType: string;
    };

/** Where copies of requests go. */
export interface MirrorConfig {
  readonly service: string;
  /** Of the requests, 0 to 100. */
  readonly percent: number;
}

/** Origins in lower case, without the port that their scheme has by default; `*` stands alone where it stands. */
export interface CorsConfig {
  readonly allowOrigins: readonly string[];
  readonly allowCredentials: boolean;
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSeconds: number;
}

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
  /** Of the service; null: all its endpoints. */
  readonly subset: string | null;
  /** 0 to 1,000,000; 0 takes no traffic. */
  readonly weight: number;
}
