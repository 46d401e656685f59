/** Rate limits in the shape of the configuration file. */
import { formatDuration } from '../base/index.ts';
import type {
  DescriptorAction,
  GlobalRateLimitConfig,
  RateLimitConfig,
  RateLimitKey,
} from './rate-limit-config.ts';
import { given, type Rendered } from './render-parts.ts';

/** A member `rateLimits`, or none where there are none. */
export function renderRateLimits(limits: readonly RateLimitConfig[]): Rendered {
  return limits.length === 0 ? {} : { rateLimits: limits.map(rateLimit) };
}

function rateLimit({ id: _, intervalMs, per, enforcedPercent, status, ...rest }: RateLimitConfig): Rendered {
  return {
    ...rest,
    interval: formatDuration(intervalMs),
    ...given('per', per, key),
    enforcedPercentage: enforcedPercent,
    httpStatus: status,
  };
}

function key(per: RateLimitKey): Rendered {
  switch (per.type) {
    case 'header':
      return { httpHeaderName: per.name };
    case 'cookie':
      return { httpCookieName: per.name };
    case 'query':
      return { httpQueryParameterName: per.name };
    case 'source':
      return { useSourceIp: true };
    default:
      return { workload: true };
  }
}

export function renderGlobalRateLimit(limit: GlobalRateLimitConfig): Rendered {
  return {
    service: limit.service,
    domain: limit.domain,
    descriptors: limit.descriptors.map((actions) => ({ actions: actions.map(action) })),
    timeout: formatDuration(limit.timeoutMs),
    failureModeDeny: limit.failureModeDeny,
    httpStatus: limit.status,
    statusOnError: limit.statusOnError,
    enforcedPercentage: limit.enforcedPercent,
    headers: limit.headers,
  };
}

function action(made: DescriptorAction): Rendered {
  switch (made.type) {
    case 'genericKey':
      return { genericKey: { descriptorKey: made.key, descriptorValue: made.value } };
    case 'requestHeaders': {
      const { header: headerName, key: descriptorKey, skipIfAbsent } = made;
      return { requestHeaders: { headerName, descriptorKey, skipIfAbsent } };
    }
    case 'headerValueMatch': {
      const { key: descriptorKey, value: descriptorValue, expectMatch, headers } = made;
      return { headerValueMatch: { descriptorKey, descriptorValue, expectMatch, headers } };
    }
    default:
      return { [made.type]: {} };
  }
}
