/**
 * The snapshot: the whole configuration, validated, with every default filled in and every duration in
 * milliseconds, so that whoever reads it decides nothing again. It is plain data (it crosses to the
 * workers by structured clone) and never changes: a new configuration is a new snapshot with a higher
 * version, sent as a delta. It holds names of certificates and keys, never their content.
 */

import type { CallersConfig } from './callers.ts';
import type { OverloadManagerConfig } from './overload-config.ts';
import type { RateLimitConfig, RateLimitSlot } from './rate-limit-config.ts';
import type { RouteConfig, TcpRouteConfig, TlsRouteConfig } from './route-config.ts';
import type { ListenerTls } from './secrets.ts';
import type { Locality, ServiceConfig } from './service-config.ts';

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
  /** Where the buckets of all rate limits lie. */
  readonly limitSlots: readonly RateLimitSlot[];
}

/** What concerns the whole process. */
export interface NodeSettings {
  readonly tracing: TracingConfig;
  readonly admin: { readonly host: string; readonly port: number };
  readonly accessLog: AccessLogConfig;
  readonly callers: CallersConfig;
  readonly workers: number;
  /** Where this node is; null: not known. */
  readonly locality: Locality | null;
  /** How long in-flight requests may take to end when the process drains. */
  readonly drainTimeoutMs: number;
  /** Null: nothing is watched. */
  readonly overload: OverloadManagerConfig | null;
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

/** Connections begin with a PROXY header. */
export interface ProxyProtocolConfig {
  /** Ranges of those who may send one. */
  readonly trustedProxies: readonly string[];
  /** False: a connection without one is refused. */
  readonly optional: boolean;
  readonly versions: readonly ('v1' | 'v2')[];
}

/** Fields that say what this proxy does; under Istio's names. */
export interface ProxyHeaders {
  /** `x-envoy-*` but for those below: Envoy's `suppress_envoy_headers`, the other way round. */
  readonly envoyDebugHeaders: boolean;
  /** `x-envoy-attempt-count`, to endpoints. */
  readonly attemptCount: boolean;
  /** The same in answers. */
  readonly attemptCountInResponse: boolean;
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
  /** Null: connections begin with what clients say. */
  readonly proxyProtocol: ProxyProtocolConfig | null;
  /** Ranges (CIDR) of callers whose `x-envoy-*` fields are believed; empty: nobody's. */
  readonly trustedCallers: readonly string[];
  readonly proxyHeaders: ProxyHeaders;
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
  readonly rateLimits: readonly RateLimitConfig[];
}
