/**
 * Checks of meaning for routes: references, and what Gateway API rules out. Its rules are validation
 * expressions of the HTTPRoute resource; each is cited by what it says there.
 */
import { LIMITS } from '../../base/index.ts';
import { checkFilters } from './check-filter.ts';
import { checkGrpcMatch } from './check-grpc.ts';
import { checkGlobalRateLimit, checkRateLimits } from './check-rate-limit.ts';
import { checkReference, checkSubsetReference } from './check-reference.ts';
import type { CheckContext } from './context.ts';
import { checkFaultInjection } from './fault-injection.ts';
import { regexFault } from './regex.ts';
import type { RouteFields, RuleFields } from './route-schema.ts';
import type { ConfigFields } from './schema.ts';
import type { Path } from './source-text.ts';
import { carriesHttp, type RouteTargets } from './targets.ts';

export function checkRoutes(config: ConfigFields, targets: RouteTargets, context: CheckContext): void {
  const { routes } = config;
  if (routes.length > LIMITS.routes)
    context.fault({
      path: ['routes'],
      expected: `at most ${LIMITS.routes} routes`,
      found: `${routes.length}`,
    });
  const l4 = [...config.tlsRoutes, ...config.tcpRoutes].flatMap((route) => route.parentRefs);
  const passed = new Set(l4.map(({ sectionName }) => sectionName));
  const awaitsHttp = config.listeners.some((at) => carriesHttp(at) && !passed.has(at.name));
  if (routes.length === 0 && awaitsHttp)
    context.faultIfWhole({
      path: ['routes'],
      severity: 'warning',
      expected: 'at least one route',
      cure: 'without one, every request gets 404 (flag NR)',
    });
  routes.forEach((route, i) => {
    checkRoute(route, ['routes', i], targets, context);
  });
}

export function checkRoute(
  route: RouteFields,
  path: Path,
  targets: RouteTargets,
  context: CheckContext,
): void {
  route.parentRefs.forEach(({ sectionName }, j) => {
    const at = [...path, 'parentRefs', j, 'sectionName'];
    checkReference(context, at, 'listener', sectionName, context.listenerNames);
    const listener = targets.listeners.get(sectionName);
    if (listener === undefined || carriesHttp(listener)) return;
    const { protocol } = listener;
    context.fault({
      path: at,
      expected: 'a listener that carries HTTP',
      found: `"${sectionName}", of protocol ${protocol}`,
      cure: `write a ${protocol.toUpperCase()} route (${protocol}Routes) for it, or give the listener protocol: auto`,
    });
  });
  if (route.rules.length === 0)
    context.faultIfWhole({
      path: [...path, 'rules'],
      expected: 'at least one rule',
      cure: 'add one: - backendRefs: [{ name: SERVICE }]',
    });
  const limited = new Set<string>();
  route.rules.forEach((rule, j) => {
    checkRule(rule, [...path, 'rules', j], targets, context);
    // A rule's rate limits are known by its name.
    if (rule.name === undefined || rule.rateLimits.length === 0) return;
    if (limited.has(rule.name))
      context.fault({
        path: [...path, 'rules', j, 'name'],
        expected: 'a name of its own for a rule with rateLimits',
        cure: 'rename it',
      });
    limited.add(rule.name);
  });
}

function checkRule(rule: RuleFields, path: Path, targets: RouteTargets, context: CheckContext): void {
  rule.matches.forEach((match, i) => {
    checkMatch(match, [...path, 'matches', i], context);
  });
  checkFilters(rule, path, context);
  checkBackends(rule, path, targets, context);
  const { backendRequest } = rule.timeouts;
  const request = rule.timeouts.request ?? (grpcOnly(rule) ? 0 : LIMITS.requestTimeoutMs);
  if (request > 0 && backendRequest > request)
    context.faultIfWhole({
      path: [...path, 'timeouts', 'backendRequest'],
      expected: `at most timeouts.request, ${request}ms`,
      cure: "one attempt can't take longer than the whole request; raise request, which counts retries in",
    });
  checkRetry(rule, path, targets, context);
  checkHedging(rule, [...path, 'hedging'], context);
  checkFaultInjection(rule, [...path, 'fault'], context);
  checkRateLimits(rule.rateLimits, [...path, 'rateLimits'], context);
  checkGlobalRateLimit(rule.globalRateLimit, [...path, 'globalRateLimit'], targets, context);
}

function checkHedging({ hedging, retry, timeouts }: RuleFields, path: Path, context: CheckContext): void {
  if (hedging === undefined) return;
  const { onPerTryTimeout, latencyPercentile } = hedging;
  if (!onPerTryTimeout && latencyPercentile === undefined)
    context.faultIfWhole({
      path,
      expected: 'onPerTryTimeout: true, latencyPercentile, or both',
      cure: 'say when a second attempt begins, or remove hedging',
    });
  if (latencyPercentile !== undefined && (latencyPercentile <= 0 || latencyPercentile >= 100))
    context.fault({
      path: [...path, 'latencyPercentile'],
      expected: 'a percentile above 0 and below 100',
      cure: 'the slowest 5 % are above 95',
    });
  if (onPerTryTimeout && (timeouts.backendRequest === 0 || retry.attempts === 0))
    context.faultIfWhole({
      path: [...path, 'onPerTryTimeout'],
      expected: 'timeouts.backendRequest and retry.attempts above 0 beside onPerTryTimeout',
      cure: 'state both: the timeout says when the next attempt begins, the retry that there may be one',
    });
}

/** For gRPC the request has no timeout by default. */
function grpcOnly({ matches }: RuleFields): boolean {
  return matches.length > 0 && matches.every((match) => match.grpc !== undefined);
}

function checkBackends(rule: RuleFields, path: Path, targets: RouteTargets, context: CheckContext): void {
  const at = [...path, 'backendRefs'];
  const answers = rule.filters.find((f) => f.type === 'RequestRedirect' || f.type === 'DirectResponse');
  const { backendRefs } = rule;
  if (answers !== undefined && backendRefs.length > 0)
    context.fault({
      path: at,
      expected: `no backendRefs beside a filter of type ${answers.type}`,
      cure: 'the filter answers; no backend is asked',
    });
  if (answers === undefined && backendRefs.length === 0)
    context.faultIfWhole({
      path: at,
      severity: 'warning',
      expected: 'at least one backend',
      cure: 'every request that matches gets 500, as in Gateway API',
    });
  if (backendRefs.length > 0 && backendRefs.every((backend) => backend.weight === 0))
    context.faultIfWhole({
      path: at,
      severity: 'warning',
      expected: 'a weight above 0',
      found: 'weights that are all 0',
      cure: 'every request that matches gets 500, as in Gateway API',
    });
  backendRefs.forEach(({ name, subset }, i) => {
    checkHttpService(name, [...at, i, 'name'], targets, context);
    checkSubsetReference(name, subset, [...at, i, 'subset'], targets, context);
  });
  rule.filters.forEach(({ requestMirror }, i) => {
    const name = [...path, 'filters', i, 'requestMirror', 'backendRef', 'name'];
    if (requestMirror !== undefined) checkHttpService(requestMirror.backendRef.name, name, targets, context);
  });
}

function checkHttpService(name: string, path: Path, targets: RouteTargets, context: CheckContext): void {
  checkReference(context, path, 'service', name, context.serviceNames);
  if (targets.tcp.has(name))
    context.fault({
      path,
      expected: 'a service that speaks HTTP',
      found: `"${name}", of protocol tcp`,
      cure: 'write a TCP route (tcpRoutes) to it, or correct the protocol of the service',
    });
}

function checkRetry(rule: RuleFields, path: Path, targets: RouteTargets, context: CheckContext): void {
  const { retry } = rule;
  const at = [...path, 'retry'];
  const warn = (key: string, expected: string, cure: string) =>
    context.faultIfWhole({ path: [...at, key], severity: 'warning', expected, cure });
  if (retry.retryOn.includes('retriable-status-codes') && retry.codes.length === 0)
    warn('retryOn', 'codes beside retriable-status-codes', 'list them: codes: [503]');
  if (retry.retryOn.includes('retriable-headers') && retry.headers.length === 0)
    warn('retryOn', 'headers beside retriable-headers', 'list them: headers: [{ name: x-retry }]');
  if (typeof retry.backoff === 'object' && (retry.backoff.max ?? Infinity) < retry.backoff.base)
    context.faultIfWhole({
      path: [...at, 'backoff', 'max'],
      expected: 'at least base',
      cure: 'raise max, or lower base',
    });
  const free = rule.backendRefs.find(({ name }) => targets.unbudgeted.has(name));
  if (retry.attempts > MANY_ATTEMPTS && free !== undefined)
    warn(
      'attempts',
      `at most ${MANY_ATTEMPTS} where the retry budget is off`,
      `service ${free.name} has retryBudget: off, so that only maxRetries bounds a retry storm; switch the budget on`,
    );
}

const MANY_ATTEMPTS = 3;

type MatchFields = RuleFields['matches'][number];

function checkMatch(match: MatchFields, path: Path, context: CheckContext): void {
  checkGrpcMatch(match, path, context);
  if (match.path.type === 'RegularExpression')
    checkRegex(match.path.value, [...path, 'path', 'value'], context);
  else checkPath(match.path.value, [...path, 'path', 'value'], context);
  for (const list of ['headers', 'queryParams'] as const) {
    const seen = new Set<string>();
    match[list].forEach((item, i) => {
      const at = [...path, list, i];
      if (item.type === 'RegularExpression') checkRegex(item.value, [...at, 'value'], context);
      const name = list === 'headers' ? item.name.toLowerCase() : item.name;
      if (seen.has(name))
        context.fault({
          path: [...at, 'name'],
          expected: 'each name once',
          cure: 'write both conditions as one regular expression',
        });
      seen.add(name);
    });
  }
}

function checkRegex(pattern: string, path: Path, context: CheckContext): void {
  const fault = regexFault(pattern);
  if (fault !== null) context.fault({ path, expected: fault.expected, cure: fault.cure });
}

/** HTTPPathMatch: what its validation expressions allow for Exact and PathPrefix. */
function checkPath(value: string, path: Path, context: CheckContext): void {
  const cure = pathCure(value);
  if (cure !== null) context.fault({ path, expected: 'a normalised path such as /cart/items', cure });
}

function pathCure(value: string): string | null {
  if (!value.startsWith('/')) return `write /${value.replace(/^\*$/, '')}`;
  if (value.includes('?')) return 'leave the query out; use queryParams';
  if (value.includes('#')) return 'a fragment is never sent; remove it';
  if (value.includes('*')) return 'PathPrefix needs no "*": /a matches everything below /a';
  if (value.includes('//')) return 'write single slashes';
  if (/\/\.\.?(\/|$)/.test(value))
    return 'paths are matched without "." and ".." segments; write the path they lead to';
  if (/%2f/i.test(value)) return "%2F can't be told apart from / safely; match it with a RegularExpression";
  if (!/^(?:[-A-Za-z0-9/._~!$&'()+,;=:@]|%[0-9A-Fa-f]{2})+$/.test(value))
    return 'percent-encode spaces and what is not ASCII';
  return null;
}
