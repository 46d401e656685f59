/**
 * A snapshot in the shape of the configuration file, with every default spelled out: what `/config` shows
 * and what one pastes into a file to say the same again. A snapshot names certificates and holds none,
 * so there is no key to leave out; where a certificate's key file lies is not shown either.
 */
import { formatDuration } from '../base/index.ts';
import { renderCallers } from './callers.ts';
import { grpcMatchOf } from './grpc-path.ts';
import { balancing, endpoint } from './render-balancer.ts';
import { renderHealthCheck, renderOutlier } from './render-health.ts';
import { renderAdaptiveConcurrency, renderOverloadManager } from './render-overload.ts';
import { address, given, type Rendered, same } from './render-parts.ts';
import { renderGlobalRateLimit, renderRateLimits } from './render-rate-limit.ts';
import type {
  FaultConfig,
  FilterConfig,
  HedgingConfig,
  PathModifier,
  RetryConfig,
  RouteConfig,
  RuleConfig,
  TcpRouteConfig,
  TimeoutsConfig,
  TlsRouteConfig,
} from './route-config.ts';
import type { ListenerTls, UpstreamTls } from './secrets.ts';
import type { ServiceConfig } from './service-config.ts';
import type { ListenerConfig, NodeSettings, Snapshot } from './snapshot.ts';

/** Plain data for JSON or YAML. Sections that are off are absent. */
export function renderConfig(snapshot: Snapshot): Rendered {
  return {
    listeners: snapshot.listeners.map(listener),
    routes: snapshot.routes.map(route),
    tlsRoutes: snapshot.tlsRoutes.map((config) => ({ ...l4Route(config), hostnames: config.hostnames })),
    tcpRoutes: snapshot.tcpRoutes.map(l4Route),
    services: snapshot.services.map(service),
    ...node(snapshot.node),
  };
}

function node(settings: NodeSettings): Rendered {
  const { tracing, admin, accessLog } = settings;
  return {
    callers: renderCallers(settings.callers),
    tracing: {
      sampling: `${Number((tracing.sampling * 100).toPrecision(12))}%`,
      serviceName: tracing.serviceName,
      propagation: tracing.propagation,
      ...given('otlp', tracing.otlpEndpoint, (endpoint) => ({ endpoint })),
    },
    ...given('accessLog', accessLog.path, (path) => ({ path })),
    admin: { address: address(admin.host, admin.port) },
    ...given('locality', settings.locality, same),
    ...given('overloadManager', settings.overload, renderOverloadManager),
    workers: settings.workers,
    drainTimeout: formatDuration(settings.drainTimeoutMs),
  };
}

function listener(config: ListenerConfig): Rendered {
  return {
    name: config.name,
    address: address(config.host, config.port),
    protocol: config.protocol,
    ...given('tls', config.tls, listenerTls),
    http2: config.http2,
    pathNormalization: config.pathNormalization,
    trustedHops: config.trustedHops,
    ...given('proxyProtocol', config.proxyProtocol, same),
    trustedCallers: config.trustedCallers,
    proxyHeaders: config.proxyHeaders,
    timeouts: {
      header: formatDuration(config.headerTimeoutMs),
      idle: formatDuration(config.idleTimeoutMs),
      detect: formatDuration(config.detectTimeoutMs),
      tunnelIdle: formatDuration(config.tunnelIdleTimeoutMs),
      tunnelMax: formatDuration(config.tunnelMaxMs),
    },
    limits: {
      maxHeaderBytes: config.maxHeaderBytes,
      maxRequestBytes: config.maxRequestBytes,
      maxConnections: config.maxConnections,
    },
    ...renderRateLimits(config.rateLimits),
  };
}

function listenerTls(tls: ListenerTls): Rendered {
  return {
    certificates: tls.certificates.map((name) => ({ certFile: fileOf(name) })),
    clientAuth: tls.clientAuth,
    ...given('clientCaFile', tls.clientCa, fileOf),
    minProtocolVersion: tls.minProtocolVersion,
  };
}

function route(config: RouteConfig): Rendered {
  return {
    name: config.name,
    parentRefs: parentRefs(config.listeners),
    hostnames: config.hostnames,
    rules: config.rules.map(rule),
  };
}

function rule(config: RuleConfig): Rendered {
  return {
    name: config.name,
    matches: config.matches.map(({ path, method, grpc, headers, queryParams }) => ({
      ...(grpc ? { grpc: grpcMatchOf(path) } : { path, ...given('method', method, same) }),
      headers,
      queryParams,
    })),
    filters: config.filters.map(filter),
    backendRefs: config.backends.map((backend) => ({
      name: backend.service,
      ...given('subset', backend.subset, same),
      weight: backend.weight,
      filters: backend.filters.map(filter),
    })),
    timeouts: timeouts(config.timeouts),
    ...given('maxRequestBytes', config.maxRequestBytes, same),
    retry: retry(config.retry),
    ...given('hedging', config.hedging, hedging),
    priority: config.priority,
    ...given('fault', config.fault, fault),
    ...renderRateLimits(config.rateLimits),
    ...given('globalRateLimit', config.globalRateLimit, renderGlobalRateLimit),
  };
}

function hedging({
  onPerTryTimeout,
  latencyPercentile,
  maxExtraPercent,
  anyMethod,
}: HedgingConfig): Rendered {
  return {
    onPerTryTimeout,
    ...(latencyPercentile === null ? {} : { latencyPercentile }),
    maxExtraPercent,
    methods: anyMethod ? 'ANY' : 'IDEMPOTENT',
  };
}

function fault({ delay, abort, responseRateLimit }: FaultConfig): Rendered {
  return {
    ...given('delay', delay, ({ percent, delayMs }) => ({
      percentage: percent,
      ...(delayMs === null ? { headerDelay: true } : { fixedDelay: formatDuration(delayMs) }),
    })),
    ...given('abort', abort, ({ percent, fixed }) => ({
      percentage: percent,
      ...(fixed === null ? { headerAbort: true } : { httpStatus: fixed.status }),
      ...given('grpcStatus', fixed?.grpcStatus ?? null, same),
    })),
    ...given('responseRateLimit', responseRateLimit, ({ percent, kbps }) => ({
      percentage: percent,
      ...(kbps === null ? { headerLimit: true } : { limitKbps: kbps }),
    })),
  };
}

function l4Route(config: TlsRouteConfig | TcpRouteConfig): Rendered {
  return {
    name: config.name,
    parentRefs: parentRefs(config.listeners),
    backendRefs: config.backends.map(({ service: name, subset, weight }) => ({
      name,
      ...given('subset', subset, same),
      weight,
    })),
  };
}

function parentRefs(listeners: readonly string[]): Rendered[] {
  return listeners.map((sectionName) => ({ sectionName }));
}

/** One that is not stated stays so: stated, it would hold for gRPC too. */
function timeouts({ requestMs, backendRequestMs, grpcRequestMs }: TimeoutsConfig): Rendered {
  return {
    ...given('request', requestMs === grpcRequestMs ? requestMs : null, formatDuration),
    backendRequest: formatDuration(backendRequestMs),
  };
}

function retry(config: RetryConfig): Rendered {
  return {
    attempts: config.attempts,
    retryOn: config.retryOn,
    codes: config.codes,
    headers: config.retriableHeaders.map(({ name, value }) => ({ name, ...given('value', value, same) })),
    backoff: { base: formatDuration(config.backoffBaseMs), max: formatDuration(config.backoffMaxMs) },
    resetHeaders: config.resetHeaders,
    maxResetInterval: formatDuration(config.resetMaxMs),
    replayBytes: config.replayBytes,
    hostSelectionAttempts: config.hostSelectionAttempts,
  };
}

function filter(config: FilterConfig): Rendered {
  switch (config.type) {
    case 'RequestHeaderModifier': {
      const { type, ...requestHeaderModifier } = config;
      return { type, requestHeaderModifier };
    }
    case 'ResponseHeaderModifier': {
      const { type, ...responseHeaderModifier } = config;
      return { type, responseHeaderModifier };
    }
    case 'URLRewrite':
      return {
        type: config.type,
        urlRewrite: {
          ...given('hostname', config.hostname, same),
          ...given('path', config.path, pathModifier),
        },
      };
    case 'RequestRedirect':
      return {
        type: config.type,
        requestRedirect: {
          ...given('scheme', config.scheme, same),
          ...given('hostname', config.hostname, same),
          ...given('port', config.port, same),
          ...given('path', config.path, pathModifier),
          statusCode: config.statusCode,
        },
      };
    case 'RequestMirror': {
      const { type, service: name, percent } = config;
      return { type, requestMirror: { backendRef: { name }, percent } };
    }
    case 'CORS': {
      const { type, maxAgeSeconds, ...cors } = config;
      return { type, cors: { ...cors, maxAge: maxAgeSeconds } };
    }
    case 'DirectResponse': {
      const { type, ...directResponse } = config;
      return { type, directResponse };
    }
  }
}

function pathModifier({ type, value }: PathModifier): Rendered {
  return type === 'ReplaceFullPath' ? { type, replaceFullPath: value } : { type, replacePrefixMatch: value };
}

function service(config: ServiceConfig): Rendered {
  const { dns, retryBudget: budget } = config;
  return {
    name: config.name,
    protocol: config.protocol,
    ...(dns === null
      ? {
          endpoints: config.endpoints.map(endpoint),
        }
      : {
          dns: address(dns.name, dns.port),
          dnsRefreshRate: formatDuration(dns.refreshMs),
          dnsLookupFamily: dns.lookupFamily,
        }),
    ...balancing(config),
    connectTimeout: formatDuration(config.connectTimeoutMs),
    idleTimeout: formatDuration(config.idleTimeoutMs),
    maxConnectionAge: formatDuration(config.maxConnectionAgeMs),
    http2: {
      maxConcurrentStreams: config.http2.maxConcurrentStreams,
      keepaliveInterval: formatDuration(config.http2.keepaliveIntervalMs),
      keepaliveTimeout: formatDuration(config.http2.keepaliveTimeoutMs),
    },
    circuitBreaker: config.circuitBreaker,
    retryBudget:
      budget === null
        ? 'off'
        : {
            percent: budget.percent,
            interval: formatDuration(budget.intervalMs),
            minRetryRate: { count: budget.minCount, interval: formatDuration(budget.minIntervalMs) },
          },
    ...given('adaptiveConcurrency', config.adaptiveConcurrency, renderAdaptiveConcurrency),
    ...given('outlierDetection', config.outlierDetection, renderOutlier),
    ...given('healthCheck', config.healthCheck, renderHealthCheck),
    ...given('tls', config.tls, upstreamTls),
    ...given('proxyProtocol', config.proxyProtocol, same),
    panicThreshold: config.panicThreshold,
    ...renderRateLimits(config.rateLimits),
  };
}

function upstreamTls(tls: UpstreamTls): Rendered {
  return {
    ...given('sni', tls.sni, same),
    ...given('caFile', tls.ca, fileOf),
    subjectAltNames: tls.subjectAltNames,
    ...given('certFile', tls.certificate, fileOf),
  };
}

function fileOf(secret: string): string {
  return secret.startsWith('file:') ? secret.slice('file:'.length) : secret;
}
