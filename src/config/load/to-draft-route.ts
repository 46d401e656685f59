/** The routes of the checked file as a draft has them. */
import { LIMITS } from '../../base/index.ts';
import type { ConfigDraft } from '../draft.ts';
import { grpcPath } from '../grpc-path.ts';
import type {
  FilterConfig,
  HeaderModifier,
  HedgingConfig,
  MatchConfig,
  PathModifier,
  RetryConfig,
  RouteConfig,
} from '../route-config.ts';
import { corsDraft } from './cors.ts';
import { faultDraft } from './fault-injection.ts';
import type { FilterFields, PathModifierFields } from './filter-schema.ts';
import type { TcpRouteFields, TlsRouteFields } from './l4-route-schema.ts';
import type { ListenerFields } from './node-schema.ts';
import type { RouteFields, RuleFields } from './route-schema.ts';
import type { ConfigFields } from './schema.ts';
import { globalRateLimitDraft, rateLimitDrafts } from './to-draft-rate-limit.ts';

export function routeDraft(route: RouteFields): RouteConfig {
  return {
    name: route.name,
    listeners: [...new Set(route.parentRefs.map((ref) => ref.sectionName))],
    hostnames: [...new Set(route.hostnames)],
    rules: route.rules.map((rule, i) => ({
      name: rule.name ?? `${route.name}/${i}`,
      matches: (rule.matches.length === 0 ? [ANY] : rule.matches).map(matchDraft),
      priority: rule.priority,
      filters: rule.filters.map(filterDraft),
      backends: rule.backendRefs.map((backend) => ({
        service: backend.name,
        subset: backend.subset ?? null,
        weight: backend.weight,
        filters: backend.filters.map(filterDraft),
      })),
      timeouts: {
        requestMs: rule.timeouts.request ?? LIMITS.requestTimeoutMs,
        backendRequestMs: rule.timeouts.backendRequest,
        grpcRequestMs: rule.timeouts.request ?? 0,
      },
      maxRequestBytes: rule.maxRequestBytes ?? null,
      retry: retryDraft(rule.retry),
      hedging: hedgingDraft(rule.hedging),
      fault: rule.fault === undefined ? null : faultDraft(rule.fault),
      rateLimits: rateLimitDrafts(rulePlace(route.name, rule.name ?? `${i}`), rule.rateLimits),
      globalRateLimit: globalRateLimitDraft(rule.globalRateLimit),
    })),
  };
}

/** What a rule's rate limits are known by, whether its default name is stated or not. */
function rulePlace(route: string, rule: string): string {
  return `routes/${rule.startsWith(`${route}/`) ? rule : `${route}/${rule}`}`;
}

type L4RouteFields = TlsRouteFields | TcpRouteFields;

export function l4RouteDrafts({
  listeners,
  tlsRoutes,
  tcpRoutes,
}: Pick<ConfigFields, 'listeners' | 'tlsRoutes' | 'tcpRoutes'>): Pick<
  ConfigDraft,
  'tlsRoutes' | 'tcpRoutes'
> {
  const common = (route: L4RouteFields, protocol: 'tls' | 'tcp') => ({
    name: route.name,
    listeners: l4Listeners(route, protocol, listeners),
    backends: route.backendRefs.map(({ name, subset, weight }) => ({
      service: name,
      subset: subset ?? null,
      weight,
    })),
  });
  return {
    tlsRoutes: tlsRoutes.map((route) => ({
      ...common(route, 'tls'),
      hostnames: [...new Set(route.hostnames)],
    })),
    tcpRoutes: tcpRoutes.map((route) => common(route, 'tcp')),
  };
}

/** Names of the listeners that a route is for: those it names, or every one of its own protocol. */
export function l4Listeners(
  { parentRefs }: L4RouteFields,
  protocol: 'tls' | 'tcp',
  listeners: readonly ListenerFields[],
): string[] {
  if (parentRefs.length > 0) return [...new Set(parentRefs.map((ref) => ref.sectionName))];
  return listeners.filter((listener) => listener.protocol === protocol).map(({ name }) => name);
}

type MatchFields = RuleFields['matches'][number];

/** An empty list of matches is Gateway API's default: the path prefix `/`. */
const ANY: MatchFields = { path: { type: 'PathPrefix', value: '/' }, headers: [], queryParams: [] };

function matchDraft(match: MatchFields): MatchConfig {
  const { grpc } = match;
  return {
    path: grpc === undefined ? match.path : grpcPath(grpc),
    // gRPC over HTTP/2 knows no other method.
    method: grpc === undefined ? (match.method ?? null) : 'POST',
    grpc: grpc !== undefined,
    headers: match.headers.map((header) => ({ ...header, name: header.name.toLowerCase() })),
    queryParams: match.queryParams,
  };
}

/** Envoy's, for a retry back-off without a maximum. */
const BACKOFF_MAX_FACTOR = 10;

function retryDraft(retry: RuleFields['retry']): RetryConfig {
  const base = typeof retry.backoff === 'number' ? retry.backoff : retry.backoff.base;
  const max = typeof retry.backoff === 'number' ? undefined : retry.backoff.max;
  return {
    attempts: retry.attempts,
    retryOn: [...new Set(retry.retryOn)],
    codes: [...new Set(retry.codes)],
    retriableHeaders: retry.headers.map(({ name, value }) => ({
      name: name.toLowerCase(),
      value: value ?? null,
    })),
    backoffBaseMs: base,
    backoffMaxMs: max ?? base * BACKOFF_MAX_FACTOR,
    resetHeaders: retry.resetHeaders.map(({ name, format }) => ({ name: name.toLowerCase(), format })),
    resetMaxMs: retry.maxResetInterval,
    replayBytes: retry.replayBytes,
    hostSelectionAttempts: retry.hostSelectionAttempts,
  };
}

function hedgingDraft(hedging: RuleFields['hedging']): HedgingConfig | null {
  if (hedging === undefined) return null;
  return {
    onPerTryTimeout: hedging.onPerTryTimeout,
    latencyPercentile: hedging.latencyPercentile ?? null,
    maxExtraPercent: hedging.maxExtraPercent,
    anyMethod: hedging.methods === 'ANY',
  };
}

/** The field that belongs to the type is there: `checkFilters` saw to that. */
function filterDraft(filter: FilterFields): FilterConfig {
  switch (filter.type) {
    case 'RequestHeaderModifier':
      return { type: filter.type, ...modifierDraft(filter.requestHeaderModifier) };
    case 'ResponseHeaderModifier':
      return { type: filter.type, ...modifierDraft(filter.responseHeaderModifier) };
    case 'URLRewrite':
      return {
        type: filter.type,
        hostname: filter.urlRewrite?.hostname ?? null,
        path: pathDraft(filter.urlRewrite?.path),
      };
    case 'RequestRedirect':
      return {
        type: filter.type,
        scheme: filter.requestRedirect?.scheme ?? null,
        hostname: filter.requestRedirect?.hostname ?? null,
        port: filter.requestRedirect?.port ?? null,
        path: pathDraft(filter.requestRedirect?.path),
        statusCode: filter.requestRedirect?.statusCode ?? 302,
      };
    case 'RequestMirror':
      return {
        type: filter.type,
        service: filter.requestMirror?.backendRef.name ?? '',
        percent: filter.requestMirror?.percent ?? 100,
      };
    case 'CORS':
      return { type: filter.type, ...corsDraft(filter.cors) };
    case 'DirectResponse':
      return {
        type: filter.type,
        statusCode: filter.directResponse?.statusCode ?? 500,
        body: filter.directResponse?.body ?? '',
        contentType: filter.directResponse?.contentType ?? '',
      };
  }
}

function modifierDraft(modifier: FilterFields['requestHeaderModifier']): HeaderModifier {
  return {
    set: modifier?.set ?? [],
    add: modifier?.add ?? [],
    remove: (modifier?.remove ?? []).map((name) => name.toLowerCase()),
  };
}

function pathDraft(modifier: PathModifierFields | undefined): PathModifier | null {
  if (modifier === undefined) return null;
  const value = modifier.type === 'ReplaceFullPath' ? modifier.replaceFullPath : modifier.replacePrefixMatch;
  return { type: modifier.type, value: value ?? '/' };
}
