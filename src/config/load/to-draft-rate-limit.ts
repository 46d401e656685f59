/** The rate limits of the checked file as a draft has them. */
import type {
  DescriptorAction,
  GlobalRateLimitConfig,
  RateLimitConfig,
  RateLimitKey,
} from '../rate-limit-config.ts';
import type { ActionFields, GlobalRateLimitFields, RateLimitFields } from './rate-limit-schema.ts';

/** `place`: what they belong to, such as `listeners/web`. */
export function rateLimitDrafts(place: string, limits: readonly RateLimitFields[]): RateLimitConfig[] {
  return limits.map((limit) => ({
    id: `${place}/${limit.name}`,
    name: limit.name,
    requests: limit.requests,
    intervalMs: limit.interval,
    burst: limit.burst ?? limit.requests,
    per: keyDraft(limit.per),
    enforcedPercent: limit.enforcedPercentage,
    status: limit.httpStatus,
    headers: limit.headers,
  }));
}

function keyDraft(per: RateLimitFields['per']): RateLimitKey | null {
  if (per === undefined) return null;
  const { httpHeaderName, httpCookieName, httpQueryParameterName } = per;
  if (httpHeaderName !== undefined) return { type: 'header', name: httpHeaderName.toLowerCase() };
  if (httpCookieName !== undefined) return { type: 'cookie', name: httpCookieName, path: null, ttlMs: null };
  if (httpQueryParameterName !== undefined) return { type: 'query', name: httpQueryParameterName };
  return { type: per.workload ? 'workload' : 'source' };
}

export function globalRateLimitDraft(limit: GlobalRateLimitFields | undefined): GlobalRateLimitConfig | null {
  if (limit === undefined) return null;
  return {
    service: limit.service,
    domain: limit.domain,
    descriptors: limit.descriptors.map(({ actions }) => actions.map(actionDraft)),
    timeoutMs: limit.timeout,
    failureModeDeny: limit.failureModeDeny,
    status: limit.httpStatus,
    statusOnError: limit.statusOnError,
    enforcedPercent: limit.enforcedPercentage,
    headers: limit.headers,
  };
}

/** `checkGlobalRateLimit` saw to it that there is exactly one. */
function actionDraft(action: ActionFields): DescriptorAction {
  const { genericKey, requestHeaders, headerValueMatch } = action;
  if (genericKey !== undefined)
    return { type: 'genericKey', key: genericKey.descriptorKey, value: genericKey.descriptorValue };
  if (requestHeaders !== undefined)
    return {
      type: 'requestHeaders',
      header: requestHeaders.headerName.toLowerCase(),
      key: requestHeaders.descriptorKey,
      skipIfAbsent: requestHeaders.skipIfAbsent,
    };
  if (headerValueMatch !== undefined)
    return {
      type: 'headerValueMatch',
      key: headerValueMatch.descriptorKey,
      value: headerValueMatch.descriptorValue,
      expectMatch: headerValueMatch.expectMatch,
      headers: headerValueMatch.headers.map((header) => ({ ...header, name: header.name.toLowerCase() })),
    };
  if (action.remoteAddress !== undefined) return { type: 'remoteAddress' };
  return { type: action.destinationCluster === undefined ? 'sourceCluster' : 'destinationCluster' };
}
