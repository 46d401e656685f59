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
import { failoverPriority, type Place } from './failover-priority.ts';
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

/** `node`: for failoverPriority, which makes priorities of labels. */
export function endpointDrafts(
  { endpoints = [], loadBalancer }: ServiceFields,
  node: Place,
): EndpointDraft[] {
  const labels = loadBalancer.locality?.failoverPriority;
  return endpoints.map((fields) => {
    const priority = labels === undefined ? fields.priority : failoverPriority(labels, node, fields);
    return endpointDraft({ ...fields, priority });
  });
}

function endpointDraft(fields: NonNullable<ServiceFields['endpoints']>[number]): EndpointDraft {
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
    locality: locality(fields.locality ?? {}),
  };
}

/** Finagle's and Linkerd's, as in the schema. */
function peakEwma(fields: BalancerFields['peakEwma']): PeakEwmaConfig {
  return { defaultRttMs: fields?.defaultRtt ?? 30, decayMs: fields?.decay ?? 10_000 };
}

/** No more than one is stated: the checks saw to that. Null: none, or failoverPriority, of which priorities are left. */
function locality({
  failover,
  distribute,
  zoneAware,
}: NonNullable<BalancerFields['locality']>): LocalityConfig | null {
  if (distribute !== undefined)
    return {
      type: 'distribute',
      distribute: distribute.map(({ from, to }) => ({
        from,
        to: Object.entries(to).map(([pattern, weight]) => ({ locality: pattern, weight })),
      })),
    };
  if (zoneAware !== undefined) return { type: 'zone-aware', ...zoneAware };
  return failover === undefined ? null : { type: 'failover', failover };
}

function session(fields: ServiceFields['sessionPersistence']): SessionPersistenceConfig | null {
  if (fields === undefined) return null;
  const { type, sessionName, absoluteTimeout, cookieConfig, strict } = fields;
  const isHeader = type === 'Header';
  return {
    type: isHeader ? 'header' : 'cookie',
    sessionName: isHeader ? sessionName.toLowerCase() : sessionName,
    path: cookieConfig?.path ?? null,
    absoluteTimeoutMs: absoluteTimeout ?? 0,
    permanent: cookieConfig?.lifetimeType === 'Permanent',
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
