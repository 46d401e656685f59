/** How a service chooses an endpoint, in the shape of the configuration file. */
import { formatDuration } from '../base/index.ts';
import { address, given, type Rendered, same } from './render-parts.ts';
import type {
  EndpointConfig,
  HashKeyConfig,
  LoadBalancerConfig,
  LocalityConfig,
  ServiceConfig,
  SessionPersistenceConfig,
} from './service-config.ts';

export function balancing(config: ServiceConfig): Rendered {
  return {
    loadBalancer: loadBalancer(config.loadBalancer),
    subsets: config.subsets,
    subsetFallbackPolicy: config.subsetFallback,
    ...given('defaultSubset', config.defaultSubset, same),
    ...given('sessionPersistence', config.sessionPersistence, session),
  };
}

export function endpoint(at: EndpointConfig): Rendered {
  return {
    address: address(at.address, at.port),
    weight: at.weight,
    priority: at.priority,
    ...given('locality', at.locality, same),
    ...given('labels', at.labels, same),
  };
}

function loadBalancer(config: LoadBalancerConfig): Rendered {
  return {
    policy: config.policy,
    ...given('consistentHash', config.consistentHash, ({ key, ...sizes }) => ({ ...hashKey(key), ...sizes })),
    ...given('peakEwma', config.peakEwma, ({ defaultRttMs, decayMs }) => ({
      defaultRtt: formatDuration(defaultRttMs),
      decay: formatDuration(decayMs),
    })),
    ...given('slowStart', config.slowStart, ({ windowMs, ...rest }) => ({
      window: formatDuration(windowMs),
      ...rest,
    })),
    overprovisioningFactor: config.overprovisioningFactor,
    ...given('locality', config.locality, locality),
  };
}

function locality(config: LocalityConfig): Rendered {
  switch (config.type) {
    case 'failover':
      return { failover: config.failover };
    case 'distribute':
      return {
        distribute: config.distribute.map(({ from, to }) => ({
          from,
          to: Object.fromEntries(to.map(({ locality: pattern, weight }) => [pattern, weight])),
        })),
      };
    default: {
      const { type: _, ...zoneAware } = config;
      return { zoneAware };
    }
  }
}

function session(config: SessionPersistenceConfig): Rendered {
  const { type, sessionName, path, absoluteTimeoutMs, permanent, strict } = config;
  if (type === 'header') return { type: 'Header', sessionName, strict };
  return {
    type: 'Cookie',
    sessionName,
    ...given('absoluteTimeout', absoluteTimeoutMs > 0 ? absoluteTimeoutMs : null, formatDuration),
    cookieConfig: { lifetimeType: permanent ? 'Permanent' : 'Session', ...given('path', path, same) },
    strict,
  };
}

function hashKey(key: HashKeyConfig): Rendered {
  switch (key.type) {
    case 'header':
      return { httpHeaderName: key.name };
    case 'cookie':
      return {
        httpCookie: {
          name: key.name,
          ...given('path', key.path, same),
          ...given('ttl', key.ttlMs, formatDuration),
        },
      };
    case 'query':
      return { httpQueryParameterName: key.name };
    default:
      return { useSourceIp: true };
  }
}
