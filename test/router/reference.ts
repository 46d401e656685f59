/**
 * The router as slow and obvious as can be: every match of every route is compared with the request, and
 * those that hold are sorted by Gateway API's list of criteria. JavaScript's own regular expressions,
 * no tables, nothing shared with the real one.
 */
import type { MatchConfig, RouteConfig, RuleConfig, Snapshot } from '../../src/config/index.ts';
import type { RequestHead } from '../../src/message/index.ts';

interface Candidate {
  readonly rule: RuleConfig;
  /** Larger wins, first difference decides. */
  readonly rank: readonly number[];
}

/** Name of the rule for a request, or null. `path` is normalised. */
export function referenceMatch(
  snapshot: Snapshot,
  listener: string,
  head: RequestHead,
  path: string,
  query: string,
): string | null {
  const host = hostnameOf(head.authority);
  const routes = snapshot.routes.filter(
    ({ listeners }) => listeners.length === 0 || listeners.includes(listener),
  );
  const hostnames = routes.flatMap(({ hostnames }) => (hostnames.length === 0 ? ['*'] : hostnames));
  const best = hostnames.filter((name) => hostnameHolds(name, host)).sort(byHostname)[0];
  if (best === undefined) return null;
  const candidates: Candidate[] = [];
  routes.forEach((route, routeIndex) => {
    if (!(route.hostnames.length === 0 ? ['*'] : route.hostnames).includes(best)) return;
    collect(route, routeIndex, head, path, query, candidates);
  });
  candidates.sort((a, b) => compareRanks(b.rank, a.rank));
  return candidates[0]?.rule.name ?? null;
}

function collect(
  route: RouteConfig,
  routeIndex: number,
  head: RequestHead,
  path: string,
  query: string,
  into: Candidate[],
): void {
  route.rules.forEach((rule, ruleIndex) => {
    for (const match of rule.matches) {
      if (!matchHolds(match, head, path, query)) continue;
      const { type, value } = match.path;
      into.push({
        rule,
        rank: [
          type === 'Exact' ? 2 : type === 'RegularExpression' ? 1 : 0,
          type === 'PathPrefix' ? value.replace(/\/$/, '').length : value.length,
          match.method === null ? 0 : 1,
          match.headers.length,
          match.queryParams.length,
          match.grpc ? 1 : 0,
          -routeIndex,
          -ruleIndex,
        ],
      });
    }
  });
}

function matchHolds(match: MatchConfig, head: RequestHead, path: string, query: string): boolean {
  const parameters = new URLSearchParams(query);
  return (
    pathHolds(match.path.type, match.path.value, path) &&
    (match.method === null || match.method === head.method) &&
    (!match.grpc || /^application\/grpc($|[+;])/.test(head.headers.get('content-type') ?? '')) &&
    match.headers.every((test) => {
      const value = test.name === 'host' ? head.authority : head.headers.getAll(test.name);
      return value !== undefined && valueHolds(test.type, test.value, value);
    }) &&
    match.queryParams.every((test) => {
      const value = parameters.get(test.name);
      return value !== null && valueHolds(test.type, test.value, value);
    })
  );
}

function pathHolds(type: MatchConfig['path']['type'], value: string, path: string): boolean {
  if (type === 'Exact') return path === value;
  if (type === 'RegularExpression') return new RegExp(`^(?:${value})$`).test(path);
  const wanted = value.split('/').filter((element) => element !== '');
  const found = path.split('/').slice(1);
  return wanted.every((element, index) => found[index] === element);
}

function valueHolds(type: 'Exact' | 'RegularExpression', wanted: string, found: string): boolean {
  return type === 'Exact' ? found === wanted : new RegExp(`^(?:${wanted})$`).test(found);
}

function hostnameOf(authority: string): string {
  return authority
    .replace(/:[0-9]*$/, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

function hostnameHolds(name: string, host: string): boolean {
  if (name === '*') return true;
  return name.startsWith('*.')
    ? host.endsWith(name.slice(1)) && host.length > name.length - 1
    : name === host;
}

/** Exact before wildcard before every host; of two wildcards the longer. */
function byHostname(a: string, b: string): number {
  return Number(a.startsWith('*')) - Number(b.startsWith('*')) || b.length - a.length;
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
