/** Checks of meaning for how a service chooses an endpoint. */
import type { CheckContext } from './context.ts';
import { isTopology, labelsOfNode, type Place } from './failover-priority.ts';
import type { ServiceFields } from './service-schema.ts';
import type { Path } from './source-text.ts';

const HASHING: ReadonlySet<string> = new Set(['ring-hash', 'maglev']);
const HASH_KEYS = 'httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp';

export function checkBalancer(service: ServiceFields, path: Path, context: CheckContext): void {
  const at = [...path, 'loadBalancer'];
  checkHashing(service, at, context);
  checkPolicyParts(service, at, context);
  checkLocality(service, at, context);
}

function checkHashing(service: ServiceFields, at: Path, context: CheckContext): void {
  const { policy, consistentHash: hash } = service.loadBalancer;
  if (hash === undefined) {
    if (HASHING.has(policy))
      context.faultIfWhole({
        path: at,
        expected: `consistentHash beside policy: ${policy}`,
        found: 'none',
        cure: 'say what the key of a request is: consistentHash: { httpHeaderName: x-user }',
      });
    return;
  }
  if (!HASHING.has(policy))
    context.faultIfWhole({
      path: [...at, 'policy'],
      expected: 'ring-hash or maglev beside consistentHash',
      found: policy,
      cure: 'write policy: maglev, or remove consistentHash',
    });
  checkHashKey(hash, [...at, 'consistentHash'], service.protocol, context);
}

function checkHashKey(
  hash: NonNullable<ServiceFields['loadBalancer']['consistentHash']>,
  path: Path,
  protocol: string,
  context: CheckContext,
): void {
  const { httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp } = hash;
  const ofRequest = [httpHeaderName, httpCookie, httpQueryParameterName].filter((key) => key !== undefined);
  const keys = ofRequest.length + (useSourceIp ? 1 : 0);
  if (keys !== 1)
    context.faultIfWhole({
      path,
      expected: `one of ${HASH_KEYS}`,
      found: keys === 0 ? 'none' : `${keys} of them`,
      cure: keys === 0 ? 'write httpHeaderName: x-user, for one' : 'keep one',
    });
  if (protocol === 'tcp' && ofRequest.length > 0)
    context.faultIfWhole({
      path,
      expected: 'useSourceIp beside protocol: tcp',
      found: 'a key of requests',
      cure: 'bytes have no headers: write useSourceIp: true',
    });
  if (hash.minimumRingSize > hash.maximumRingSize)
    context.faultIfWhole({
      path: [...path, 'maximumRingSize'],
      expected: 'at least minimumRingSize',
      cure: 'raise it, or lower minimumRingSize',
    });
}

/** Envoy has slow start for the same two. */
const SLOW_START: ReadonlySet<string> = new Set(['least-request', 'round-robin']);

function checkPolicyParts({ loadBalancer }: ServiceFields, at: Path, context: CheckContext): void {
  const { policy, peakEwma, slowStart } = loadBalancer;
  if (peakEwma !== undefined && policy !== 'peak-ewma')
    context.faultIfWhole({
      path: [...at, 'peakEwma'],
      expected: 'policy: peak-ewma beside peakEwma',
      found: `policy: ${policy}`,
      cure: 'write policy: peak-ewma, or remove peakEwma',
    });
  if (slowStart !== undefined && !SLOW_START.has(policy))
    context.faultIfWhole({
      path: [...at, 'slowStart'],
      expected: 'policy: least-request or round-robin beside slowStart',
      found: `policy: ${policy}`,
      cure: 'change the policy, or remove slowStart',
    });
}

function checkLocality(service: ServiceFields, at: Path, context: CheckContext): void {
  const { locality, consistentHash } = service.loadBalancer;
  if (locality === undefined) return;
  const path = [...at, 'locality'];
  const stated = (['failover', 'failoverPriority', 'distribute', 'zoneAware'] as const).filter(
    (key) => locality[key] !== undefined,
  );
  if (stated.length !== 1)
    context.faultIfWhole({
      path,
      expected: 'one of failover, failoverPriority, distribute, zoneAware',
      found: stated.length === 0 ? 'none' : stated.join(' and '),
      cure: stated.length === 0 ? 'failover: [] sends requests to the nearest endpoints' : 'keep one',
    });
  if (service.dns !== undefined)
    context.faultIfWhole({
      path,
      expected: 'endpoints beside locality',
      found: 'dns',
      cure: 'addresses of a name have no locality; list them as endpoints, or remove locality',
    });
  if (locality.zoneAware !== undefined && consistentHash !== undefined)
    context.faultIfWhole({
      path: [...path, 'zoneAware'],
      expected: 'no consistentHash beside zoneAware',
      cure: 'the key decides, not the zone; use distribute, or another policy',
    });
  for (const key of ['failover', 'failoverPriority'] as const)
    if (locality[key] !== undefined) checkFailover(service, path, key, context);
  locality.distribute?.forEach(({ to }, i) => {
    const total = Object.values(to).reduce((sum, weight) => sum + weight, 0);
    if (total !== 100)
      context.faultIfWhole({
        path: [...path, 'distribute', i, 'to'],
        expected: 'percentages that are 100 together',
        found: `${total}`,
        cure: 'say where every request goes',
      });
  });
}

function checkFailover(
  service: ServiceFields,
  path: Path,
  key: 'failover' | 'failoverPriority',
  context: CheckContext,
): void {
  const { endpoints, outlierDetection, healthCheck } = service;
  endpoints?.forEach(({ priority }, i) => {
    if (priority > 0)
      context.faultIfWhole({
        path: [...path.slice(0, -2), 'endpoints', i, 'priority'],
        expected: `no priority beside locality.${key}`,
        cure: `${key} makes priorities of its own; remove one of the two`,
      });
  });
  if (outlierDetection === undefined && healthCheck === undefined)
    context.faultIfWhole({
      path: [...path, key],
      severity: 'warning',
      expected: `outlierDetection or healthCheck beside ${key}`,
      cure: 'without them no endpoint is ever unhealthy, and nothing fails over',
    });
}

/** What a service says of others and of the node: looked at when all of the file is known. */
export interface LocalityNeeds {
  readonly path: Path;
  /** The service that zoneAware names; null: none. */
  readonly localService: string | null;
  /** Labels that failoverPriority compares with the node's; null: the node's locality is needed. */
  readonly labels: readonly string[] | null;
}

/** Null: its localities mean nothing. */
export function localityNeeds({ loadBalancer }: ServiceFields, path: Path): LocalityNeeds | null {
  const { locality } = loadBalancer;
  if (locality === undefined) return null;
  return {
    path: [...path, 'loadBalancer', 'locality'],
    localService: locality.zoneAware?.localService ?? null,
    labels: locality.failoverPriority === undefined ? null : labelsOfNode(locality.failoverPriority),
  };
}

export function checkLocalityNeeds(
  { path, localService, labels }: LocalityNeeds,
  node: Place,
  context: CheckContext,
): void {
  const missing = labels?.find((label) => !isTopology(label) && node.labels?.[label] === undefined);
  if (missing !== undefined)
    context.faultIfWhole({
      path: [...path, 'failoverPriority'],
      expected: `labels at the top of the file, with the ${missing} of this node`,
      found: 'none',
      cure: `add labels: { ${missing}: … }, or write ${missing}=VALUE`,
    });
  const needsLocality = labels === null || labels.some(isTopology);
  if (needsLocality && node.locality === undefined)
    context.faultIfWhole({
      path,
      expected: 'locality at the top of the file, where this node is',
      found: 'none',
      cure: 'add locality: { region: eu, zone: eu-a }',
    });
  if (localService !== null && !context.serviceNames.has(localService))
    context.faultIfWhole({
      path: [...path, 'zoneAware', 'localService'],
      expected: 'the name of a service',
      cure: 'list the callers as a service of the configuration',
    });
}
