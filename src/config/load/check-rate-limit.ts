/** Checks of meaning for rate limits: buckets that can't be counted, keys and actions that say two things at once. */
import { checkReference } from './check-reference.ts';
import type { CheckContext } from './context.ts';
import type { ActionFields, GlobalRateLimitFields, RateLimitFields } from './rate-limit-schema.ts';
import { regexFault } from './regex.ts';
import type { Path } from './source-text.ts';
import type { RouteTargets } from './targets.ts';

/** Limits of one list, descriptors of a rule, actions of a descriptor: each costs every request a little. */
const LIST_MAX = 16;
const PER_SECOND_MAX = 1_000_000;
const KEYS = 'httpHeaderName, httpCookieName, httpQueryParameterName, useSourceIp, workload';

export function checkRateLimits(limits: readonly RateLimitFields[], path: Path, context: CheckContext): void {
  checkLength(limits, path, 'limits', context);
  const names = new Set<string>();
  limits.forEach((limit, i) => {
    const at = [...path, i];
    if (names.has(limit.name))
      context.fault({
        path: [...at, 'name'],
        expected: 'a name that is used once in its list',
        cure: 'rename it',
      });
    names.add(limit.name);
    if (limit.requests / limit.interval > PER_SECOND_MAX / 1_000)
      context.faultIfWhole({
        path: [...at, 'requests'],
        expected: `at most ${PER_SECOND_MAX} requests a second`,
        cure: 'no node takes so many; remove the limit, or lengthen its interval',
      });
    checkKey(limit, [...at, 'per'], context);
  });
}

function checkKey({ per }: RateLimitFields, path: Path, context: CheckContext): void {
  if (per === undefined) return;
  const { httpHeaderName, httpCookieName, httpQueryParameterName, useSourceIp, workload } = per;
  const named = [httpHeaderName, httpCookieName, httpQueryParameterName].filter((key) => key !== undefined);
  const keys = named.length + (useSourceIp ? 1 : 0) + (workload ? 1 : 0);
  if (keys !== 1)
    context.faultIfWhole({
      path,
      expected: `one of ${KEYS}`,
      found: keys === 0 ? 'none' : `${keys} of them`,
      cure: keys === 0 ? 'write useSourceIp: true, for one, or remove per' : 'keep one, or write two limits',
    });
}

/** Limits count requests; bytes that pass unread have none. */
export function checkCountsRequests(
  limits: readonly RateLimitFields[],
  protocol: string,
  path: Path,
  context: CheckContext,
): void {
  if (limits.length === 0 || (protocol !== 'tcp' && protocol !== 'tls')) return;
  context.faultIfWhole({
    path,
    severity: 'warning',
    expected: 'requests to count',
    found: `protocol: ${protocol}`,
    cure: 'it says nothing here; remove it, or correct the protocol',
  });
}

export function checkGlobalRateLimit(
  limit: GlobalRateLimitFields | undefined,
  path: Path,
  targets: RouteTargets,
  context: CheckContext,
): void {
  if (limit === undefined) return;
  const { service, descriptors } = limit;
  const at = [...path, 'service'];
  checkReference(context, at, 'service', service, context.serviceNames);
  if (targets.http1.has(service))
    context.fault({
      path: at,
      expected: 'a service that speaks HTTP/2',
      found: `"${service}", of another protocol`,
      cure: 'write protocol: grpc in the service: the rate limit protocol is gRPC',
    });
  checkLength(descriptors, [...path, 'descriptors'], 'descriptors', context);
  if (descriptors.length === 0)
    context.faultIfWhole({
      path: [...path, 'descriptors'],
      expected: 'at least one descriptor',
      cure: 'without one the service is never asked: write { actions: [{ remoteAddress: {} }] }',
    });
  descriptors.forEach(({ actions }, i) => {
    const list = [...path, 'descriptors', i, 'actions'];
    checkLength(actions, list, 'actions', context);
    if (actions.length === 0)
      context.faultIfWhole({
        path: list,
        expected: 'at least one action',
        cure: 'write { remoteAddress: {} }, for one',
      });
    actions.forEach((action, j) => {
      checkAction(action, [...list, j], context);
    });
  });
}

function checkAction(action: ActionFields, path: Path, context: CheckContext): void {
  const stated = Object.keys(action);
  if (stated.length !== 1)
    context.faultIfWhole({
      path,
      expected: 'one action',
      found: stated.length === 0 ? 'none' : stated.join(' and '),
      cure:
        stated.length === 0 ? 'write { remoteAddress: {} }, for one' : 'write each as a member of its own',
    });
  const headers = action.headerValueMatch?.headers;
  if (headers?.length === 0)
    context.faultIfWhole({
      path: [...path, 'headerValueMatch', 'headers'],
      expected: 'at least one header',
      cure: 'use genericKey for an entry of every request',
    });
  headers?.forEach(({ type, value }, i) => {
    const fault = type === 'RegularExpression' ? regexFault(value) : null;
    const at = [...path, 'headerValueMatch', 'headers', i, 'value'];
    if (fault !== null) context.fault({ path: at, expected: fault.expected, cure: fault.cure });
  });
}

function checkLength(list: readonly unknown[], path: Path, what: string, context: CheckContext): void {
  if (list.length > LIST_MAX)
    context.fault({
      path,
      expected: `at most ${LIST_MAX} ${what}`,
      found: `${list.length}`,
      cure: 'each costs every request a little; merge some',
    });
}
