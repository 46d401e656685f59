/** Checks of meaning for subsets and sessions. */
import { LIMITS } from '../../base/index.ts';
import type { CheckContext } from './context.ts';
import { whyNotChanged } from './names.ts';
import type { ServiceFields } from './service-schema.ts';
import type { Path } from './source-text.ts';

export function checkSubsets(service: ServiceFields, path: Path, context: CheckContext): void {
  const { subsets, subsetFallbackPolicy: fallback, defaultSubset, endpoints } = service;
  if (subsets.length > LIMITS.subsets)
    context.fault({
      path: [...path, 'subsets'],
      expected: `at most ${LIMITS.subsets} subsets`,
      found: `${subsets.length}`,
    });
  const names = new Set<string>();
  subsets.forEach(({ name, labels }, i) => {
    const at = [...path, 'subsets', i];
    if (names.has(name))
      context.fault({
        path: [...at, 'name'],
        expected: 'each subset once',
        cure: 'rename one of the two, or merge them',
      });
    names.add(name);
    const wanted = Object.entries(labels);
    if (wanted.length === 0)
      context.faultIfWhole({
        path: [...at, 'labels'],
        expected: 'at least one label',
        cure: 'all endpoints are in a subset without; leave subset out of backendRefs for that',
      });
    else if (!(endpoints ?? []).some((at) => wanted.every(([key, value]) => at.labels?.[key] === value)))
      context.faultIfWhole({
        path: at,
        severity: 'warning',
        expected: 'an endpoint with the labels of the subset',
        found: 'none',
        cure:
          fallback === 'none'
            ? 'every request for it gets 503 (flag UH)'
            : `requests for it go by ${fallback}`,
      });
  });
  if (fallback === 'default-subset' && (defaultSubset === undefined || !names.has(defaultSubset)))
    context.faultIfWhole({
      path: defaultSubset === undefined ? [...path, 'subsetFallbackPolicy'] : [...path, 'defaultSubset'],
      expected: 'defaultSubset, the name of a subset of the service',
      ...(defaultSubset === undefined ? { found: 'none' } : {}),
      cure: 'name one of subsets, or choose another fallback',
    });
  if (fallback !== 'default-subset' && defaultSubset !== undefined)
    context.faultIfWhole({
      path: [...path, 'defaultSubset'],
      expected: 'subsetFallbackPolicy: default-subset beside defaultSubset',
      cure: 'change the policy, or remove defaultSubset',
    });
  checkSession(service, [...path, 'sessionPersistence'], context);
}

function checkSession(
  { sessionPersistence: session, loadBalancer, protocol }: ServiceFields,
  path: Path,
  context: CheckContext,
): void {
  if (session === undefined) return;
  const { type, sessionName, absoluteTimeout, cookieConfig } = session;
  if (type === 'Header') {
    for (const key of ['absoluteTimeout', 'cookieConfig'] as const)
      if (session[key] !== undefined)
        context.faultIfWhole({
          path: [...path, key],
          expected: `no ${key} beside type: Header`,
          cure: `a header says nothing but where the endpoint is, and does not end; remove ${key}, or write type: Cookie`,
        });
    const reason = whyNotChanged(sessionName);
    if (reason !== undefined)
      context.faultIfWhole({
        path: [...path, 'sessionName'],
        expected: 'a header that may be added to answers',
        cure: reason,
      });
  }
  // Gateway API's own rule.
  if (cookieConfig?.lifetimeType === 'Permanent' && absoluteTimeout === undefined)
    context.faultIfWhole({
      path,
      expected: 'absoluteTimeout beside lifetimeType: Permanent',
      found: 'none',
      cure: 'say how long a client keeps its cookie: absoluteTimeout: 12h',
    });
  if (loadBalancer.consistentHash !== undefined)
    context.faultIfWhole({
      path,
      expected: 'no consistentHash beside sessionPersistence',
      cure: 'the session names the endpoint, or a hash finds it; remove one of the two',
    });
  if (protocol === 'tcp')
    context.faultIfWhole({
      path,
      expected: 'a service that speaks HTTP',
      found: 'protocol: tcp',
      cure: 'bytes have neither cookies nor headers; use consistentHash: { useSourceIp: true }',
    });
}
