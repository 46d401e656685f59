/** How a service chooses an endpoint, and what of it its endpoints say, as a draft has them. */
import type { EndpointDraft } from '../draft.ts';
import type {
  ConsistentHashConfig,
  HashKeyConfig,
  LoadBalancerConfig,
  LocalityConfig,
  PeakEwmaConfig,
  ServiceConfig,
  SessionPersistenceConfig,
} from '../service-config.ts';
import type { ServiceFields } from './service-schema.ts';

type Balancing = Pick<
  ServiceConfig,
  'loadBalancer' | 'subsets' | 'subsetFallback' | 'defaultSubset' | 'sessionPersistence'
>;

export function balancingDraft(service: ServiceFields): Balancing {
  return {
    loadBalancer: loadBalancer(service.loadBalancer),
    subsets: service.subsets,
    subsetFallback: service.subsetFallbackPolicy,
    defaultSubset: service.defaultSubset ?? null,
    sessionPersistence: session(service.sessionPersistence),
  };
}

export function endpointDraft(fields: NonNullable<ServiceFields['endpoints']>[number]): EndpointDraft {
  const { address, weight, priority, locality: at, labels } = fields;
  return {
    address: address.host,
    port: address.port,
    weight,
    priority,
    locality: at ?? null,
    labels: labels ?? null,
  };
}

type BalancerFields = ServiceFields['loadBalancer'];

function loadBalancer(fields: BalancerFields): LoadBalancerConfig {
  const { policy, overprovisioningFactor, slowStart } = fields;
  return {
    policy,
    consistentHash: hashing(fields.consistentHash),
    peakEwma: policy === 'peak-ewma' ? peakEwma(fields.peakEwma) : null,
    slowStart:
      slowStart === undefined
        ? null
        : {
            windowMs: slowStart.window,
            aggression: slowStart.aggression,
            minWeightPercent: slowStart.minWeightPercent,
          },
    overprovisioningFactor,
    locality: fields.locality === undefined ? null : locality(fields.locality),
  };
}

/** Finagle's and Linkerd's, as in the schema. */
function peakEwma(fields: BalancerFields['peakEwma']): PeakEwmaConfig {
  return { defaultRttMs: fields?.defaultRtt ?? 30, decayMs: fields?.decay ?? 10_000 };
}

/** One of the three is stated: the checks saw to that. */
function locality({
  failover,
  distribute,
  zoneAware,
}: NonNullable<BalancerFields['locality']>): LocalityConfig {
  if (distribute !== undefined)
    return {
      type: 'distribute',
      distribute: distribute.map(({ from, to }) => ({
        from,
        to: Object.entries(to).map(([pattern, weight]) => ({ locality: pattern, weight })),
      })),
    };
  return zoneAware === undefined
    ? { type: 'failover', failover: failover ?? [] }
    : { type: 'zone-aware', ...zoneAware };
}

function session(fields: ServiceFields['sessionPersistence']): SessionPersistenceConfig | null {
  if (fields === undefined) return null;
  const { sessionName, absoluteTimeout, cookieConfig, strict } = fields;
  return {
    sessionName,
    path: cookieConfig.path ?? null,
    absoluteTimeoutMs: absoluteTimeout ?? 0,
    permanent: cookieConfig.lifetimeType === 'Permanent',
    strict,
  };
}

function hashing(consistentHash: BalancerFields['consistentHash']): ConsistentHashConfig | null {
  if (consistentHash === undefined) return null;
  const { httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp: _, ...sizes } = consistentHash;
  return { key: hashKey(httpHeaderName, httpCookie, httpQueryParameterName), ...sizes };
}

type Hashing = NonNullable<BalancerFields['consistentHash']>;

function hashKey(
  header: Hashing['httpHeaderName'],
  cookie: Hashing['httpCookie'],
  query: Hashing['httpQueryParameterName'],
): HashKeyConfig {
  if (header !== undefined) return { type: 'header', name: header.toLowerCase() };
  if (cookie !== undefined)
    return { type: 'cookie', name: cookie.name, path: cookie.path ?? null, ttlMs: cookie.ttl ?? null };
  return query === undefined ? { type: 'source' } : { type: 'query', name: query };
}
