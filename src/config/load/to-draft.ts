/**
 * The checked file as a draft: names of the file become names of the snapshot, file names become secret
 * names, and what follows from something else (ten times the base, ALPN) is worked out once, here.
 */
import type { ConfigDraft, SecretFiles, ServiceDraft } from '../draft.ts';
import type { ListenerTls, UpstreamTls } from '../secrets.ts';
import type { ListenerConfig, ListenerProtocol, NodeSettings } from '../snapshot.ts';
import { adaptiveConcurrencyDraft } from './adaptive-concurrency.ts';
import { callersConfig } from './callers.ts';
import type { Place } from './failover-priority.ts';
import type { ListenerFields } from './node-schema.ts';
import { overloadManagerDraft } from './overload-manager.ts';
import type { ConfigFields } from './schema.ts';
import type { ServiceFields } from './service-schema.ts';
import { balancingDraft, endpointDrafts } from './to-draft-balancer.ts';
import { healthCheckDraft, outlierDraft } from './to-draft-health.ts';
import { rateLimitDrafts } from './to-draft-rate-limit.ts';
import { l4RouteDrafts, routeDraft } from './to-draft-route.ts';

export function toDraft(
  config: ConfigFields,
  resolvePath: (path: string) => string,
  processors: number,
): ConfigDraft {
  const secrets = new Secrets(resolvePath);
  return {
    node: nodeSettings(config, resolvePath, processors),
    listeners: config.listeners.map((listener) => listenerDraft(listener, secrets)),
    routes: config.routes.map(routeDraft),
    ...l4RouteDrafts(config),
    services: config.services.map((service) => serviceDraft(service, config, secrets)),
    secrets: secrets.files(),
  };
}

/** Gathers the files behind the secrets; one that is used twice is listed once. */
export class Secrets {
  private readonly resolvePath: (path: string) => string;
  private readonly certificates = new Map<string, SecretFiles['certificates'][number]>();
  private readonly bundles = new Map<string, SecretFiles['bundles'][number]>();

  constructor(resolvePath: (path: string) => string) {
    this.resolvePath = resolvePath;
  }

  certificate(files: { certFile: string; keyFile: string; ocspFile?: string | undefined }): string {
    const certFile = this.resolvePath(files.certFile);
    const name = `file:${certFile}`;
    const ocspFile = files.ocspFile === undefined ? null : this.resolvePath(files.ocspFile);
    const known = this.certificates.get(name);
    this.certificates.set(name, {
      name,
      certFile,
      keyFile: this.resolvePath(files.keyFile),
      ocspFile: ocspFile ?? known?.ocspFile ?? null,
    });
    return name;
  }

  bundle(file: string): string {
    const caFile = this.resolvePath(file);
    const name = `file:${caFile}`;
    this.bundles.set(name, { name, caFile });
    return name;
  }

  files(): SecretFiles {
    return { certificates: [...this.certificates.values()], bundles: [...this.bundles.values()] };
  }
}

export function nodeSettings(
  config: ConfigFields,
  resolvePath: (path: string) => string,
  processors: number,
): NodeSettings {
  const { tracing, admin, accessLog } = config;
  const path = accessLog?.path;
  return {
    tracing: {
      sampling: tracing.sampling / 100,
      otlpEndpoint: tracing.otlp?.endpoint ?? null,
      serviceName: tracing.serviceName,
      propagation: [...new Set(tracing.propagation)],
    },
    admin: admin.address,
    accessLog: { path: path === undefined ? null : path === 'stdout' ? path : resolvePath(path) },
    callers: callersConfig(config.callers),
    workers: config.workers ?? processors,
    locality: config.locality ?? null,
    drainTimeoutMs: config.drainTimeout,
    overload: overloadManagerDraft(config.overloadManager),
  };
}

export function listenerDraft(listener: ListenerFields, secrets: Secrets): ListenerConfig {
  return {
    name: listener.name,
    host: listener.address.host,
    port: listener.address.port,
    protocol: listener.protocol,
    tls: listener.tls === undefined ? null : listenerTls(listener.tls, listener.protocol, secrets),
    pathNormalization: listener.pathNormalization,
    trustedHops: listener.trustedHops,
    proxyProtocol: listener.proxyProtocol ?? null,
    trustedCallers: [...new Set(listener.trustedCallers)],
    proxyHeaders: listener.proxyHeaders,
    headerTimeoutMs: listener.timeouts.header,
    idleTimeoutMs: listener.timeouts.idle,
    http2: listener.http2,
    detectTimeoutMs: listener.timeouts.detect,
    tunnelIdleTimeoutMs: listener.timeouts.tunnelIdle,
    tunnelMaxMs: listener.timeouts.tunnelMax,
    ...listener.limits,
    rateLimits: rateLimitDrafts(`listeners/${listener.name}`, listener.rateLimits),
  };
}

function listenerTls(
  tls: NonNullable<ListenerFields['tls']>,
  protocol: ListenerProtocol,
  secrets: Secrets,
): ListenerTls {
  const used = tls.clientAuth === 'off' ? undefined : tls.clientCaFile;
  return {
    certificates: tls.certificates.map((files) => secrets.certificate(files)),
    clientAuth: tls.clientAuth,
    clientCa: used === undefined ? null : secrets.bundle(used),
    minProtocolVersion: tls.minProtocolVersion,
    alpn: ALPN[protocol],
  };
}

/** RFC 9113 section 3.2, RFC 7301. */
const ALPN: Readonly<Record<ListenerProtocol, readonly string[]>> = {
  auto: ['h2', 'http/1.1'],
  http: ['http/1.1'],
  http2: ['h2'],
  tls: [],
  tcp: [],
};

export function serviceDraft(service: ServiceFields, node: Place, secrets: Secrets): ServiceDraft {
  const { dns, retryBudget: budget, outlierDetection: outlier, healthCheck: check } = service;
  return {
    name: service.name,
    protocol: service.protocol,
    endpoints: endpointDrafts(service, node),
    dns:
      dns === undefined
        ? null
        : {
            name: dns.host,
            port: dns.port,
            refreshMs: service.dnsRefreshRate,
            lookupFamily: service.dnsLookupFamily,
          },
    ...balancingDraft(service),
    connectTimeoutMs: service.connectTimeout,
    idleTimeoutMs: service.idleTimeout,
    maxConnectionAgeMs: service.maxConnectionAge,
    http2: {
      maxConcurrentStreams: service.http2.maxConcurrentStreams,
      keepaliveIntervalMs: service.http2.keepaliveInterval,
      keepaliveTimeoutMs: service.http2.keepaliveTimeout,
    },
    circuitBreaker: service.circuitBreaker,
    retryBudget:
      budget === 'off'
        ? null
        : {
            percent: budget.percent,
            intervalMs: budget.interval,
            minCount: budget.minRetryRate.count,
            minIntervalMs: budget.minRetryRate.interval,
          },
    adaptiveConcurrency: adaptiveConcurrencyDraft(service.adaptiveConcurrency),
    outlierDetection: outlier === undefined ? null : outlierDraft(outlier),
    healthCheck: check === undefined ? null : healthCheckDraft(check),
    tls: service.tls === undefined ? null : upstreamTls(service.tls, dns?.host ?? null, secrets),
    proxyProtocol: service.proxyProtocol ?? null,
    panicThreshold: service.panicThreshold,
    rateLimits: rateLimitDrafts(`services/${service.name}`, service.rateLimits),
  };
}

/** The files that a service names, for one whose draft is there already. */
export function gatherSecrets({ tls, dns }: ServiceFields, secrets: Secrets): void {
  if (tls !== undefined) upstreamTls(tls, dns?.host ?? null, secrets);
}

function upstreamTls(
  tls: NonNullable<ServiceFields['tls']>,
  dnsName: string | null,
  secrets: Secrets,
): UpstreamTls {
  const { certFile, keyFile } = tls;
  return {
    sni: tls.sni ?? dnsName?.toLowerCase() ?? null,
    ca: tls.caFile === undefined ? null : secrets.bundle(tls.caFile),
    subjectAltNames: tls.subjectAltNames,
    certificate:
      certFile === undefined || keyFile === undefined ? null : secrets.certificate({ certFile, keyFile }),
  };
}
