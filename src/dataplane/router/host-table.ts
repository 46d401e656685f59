/**
 * The host names of one listener. The most specific name that matches wins: the exact name, else the
 * longest wildcard (`*.b.c` matches `a.b.c` and `x.a.b.c`, not `b.c`), else the routes for every host.
 * As with Envoy's virtual hosts there is no way back: when no rule of that name matches, the request has
 * no route, whatever a less specific name would have done. Ports, case and one trailing dot don't count.
 */

import { PathTable } from './path-table.ts';
import type { CompiledRoute } from './route.ts';

export class HostTable<P> {
  private readonly exact = new Map<string, PathTable<P>>();
  /** By the text after `*.`. */
  private readonly wildcards = new Map<string, PathTable<P>>();
  private longestWildcard = 0;
  private everyHost: PathTable<P> | null = null;
  private readonly routesOf: ReadonlyMap<string, readonly CompiledRoute<P>[]>;

  /** Tables of `previous` whose routes are the same are kept. */
  constructor(routes: readonly CompiledRoute<P>[], previous: HostTable<P> | null) {
    this.routesOf = byHostname(routes);
    for (const [hostname, list] of this.routesOf) {
      const kept =
        previous && sameList(list, previous.routesOf.get(hostname)) ? previous.tableOf(hostname) : null;
      const table = kept ?? new PathTable(list);
      if (hostname === EVERY_HOST) this.everyHost = table;
      else if (hostname.startsWith('*.')) {
        this.wildcards.set(hostname.slice(2), table);
        this.longestWildcard = Math.max(this.longestWildcard, hostname.length - 2);
      } else this.exact.set(hostname, table);
    }
  }

  /** The matches for requests to this authority, or null. */
  find(authority: string): PathTable<P> | null {
    const direct = this.exact.get(authority);
    if (direct) return direct;
    const host = hostOf(authority);
    return this.exact.get(host) ?? this.findWildcard(host) ?? this.everyHost;
  }

  private findWildcard(host: string): PathTable<P> | null {
    if (this.longestWildcard === 0) return null;
    // Text longer than the longest wildcard can't match one: a Host of thousands of dots costs no more.
    const start = Math.max(1, host.length - this.longestWildcard - 1);
    for (let dot = host.indexOf('.', start); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const table = this.wildcards.get(host.slice(dot + 1));
      if (table) return table;
    }
    return null;
  }

  private tableOf(hostname: string): PathTable<P> | null {
    if (hostname === EVERY_HOST) return this.everyHost;
    if (hostname.startsWith('*.')) return this.wildcards.get(hostname.slice(2)) ?? null;
    return this.exact.get(hostname) ?? null;
  }
}

/** An authority as host names are compared: without port and trailing dot, in lower case. */
export function hostOf(authority: string): string {
  let end = authority.length;
  const colon = authority.lastIndexOf(':');
  // The colons of an IPv6 literal are inside its brackets.
  if (colon >= 0 && authority.indexOf(']', colon) < 0) end = colon;
  if (end > 0 && authority.charCodeAt(end - 1) === DOT) end--;
  return authority.slice(0, end).toLowerCase();
}

const EVERY_HOST = '*';
const DOT = 0x2e;

function byHostname<P>(routes: readonly CompiledRoute<P>[]): Map<string, CompiledRoute<P>[]> {
  const lists = new Map<string, CompiledRoute<P>[]>();
  for (const route of routes) {
    const { hostnames } = route.config;
    for (const hostname of hostnames.length > 0 ? new Set(hostnames) : [EVERY_HOST]) {
      const list = lists.get(hostname);
      if (list) list.push(route);
      else lists.set(hostname, [route]);
    }
  }
  return lists;
}

function sameList<T>(a: readonly T[], b: readonly T[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((item, index) => item === b[index]);
}
