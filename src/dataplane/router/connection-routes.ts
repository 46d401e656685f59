/**
 * Where whole connections go: (listener, server name) → TLS route, (listener) → TCP route. Compiled with the snapshot, as
 * the router of requests is, and swapped as a whole. Of server names the most specific wins, as Gateway API has it: the
 * exact name, else the longest wildcard (`*.b.c` matches `a.b.c` and `x.a.b.c`, not `b.c`), else the route for every name.
 */
import type { Snapshot, TcpRouteConfig, TlsRouteConfig } from '../../config/index.ts';
import { type BackendChoice, WeightedBackends } from './backends.ts';

export interface ConnectionRoute {
  /** What logs and decision records call it. */
  readonly name: string;
  /** A service, and a subset of it, by weight; null when none takes traffic. `random` is in [0, 1). */
  pick(random: number): BackendChoice | null;
}

/** What a listener carries besides requests. */
export interface Carried {
  readonly tls: boolean;
  readonly tcp: boolean;
}

export class ConnectionRoutes {
  private readonly listeners = new Map<string, ListenerRoutes>();
  private readonly tlsRoutes: readonly TlsRouteConfig[];
  private readonly tcpRoutes: readonly TcpRouteConfig[];

  constructor({ tlsRoutes, tcpRoutes }: Pick<Snapshot, 'tlsRoutes' | 'tcpRoutes'>) {
    this.tlsRoutes = tlsRoutes;
    this.tcpRoutes = tcpRoutes;
    for (const config of tlsRoutes) {
      const route = compile(config);
      for (const listener of new Set(config.listeners)) this.of(listener).addTls(config.hostnames, route);
    }
    for (const config of tcpRoutes) {
      const route = compile(config);
      for (const listener of config.listeners) this.of(listener).tcp = route;
    }
  }

  /** A delta keeps the lists in which nothing changed. */
  isOf({ tlsRoutes, tcpRoutes }: Snapshot): boolean {
    return tlsRoutes === this.tlsRoutes && tcpRoutes === this.tcpRoutes;
  }

  carried(listener: string): Carried {
    const routes = this.listeners.get(listener);
    return routes === undefined ? NOTHING : { tls: routes.tls, tcp: routes.tcp !== null };
  }

  /**
   * The route of a connection to this listener. `serverName`: of its ClientHello, empty when it states none; null: it is
   * not TLS, or none that is passed through. What no TLS route wants goes to the TCP route, if there is one.
   */
  find(listener: string, serverName: string | null): ConnectionRoute | null {
    const routes = this.listeners.get(listener);
    if (routes === undefined) return null;
    return (serverName === null ? null : routes.findTls(serverName)) ?? routes.tcp;
  }

  private of(listener: string): ListenerRoutes {
    let routes = this.listeners.get(listener);
    if (routes === undefined) {
      routes = new ListenerRoutes();
      this.listeners.set(listener, routes);
    }
    return routes;
  }
}

/** `previous` is kept where its routes are still in force; null: none. */
export function compileConnectionRoutes(
  snapshot: Snapshot,
  previous: ConnectionRoutes | null,
): ConnectionRoutes {
  return previous?.isOf(snapshot) ? previous : new ConnectionRoutes(snapshot);
}

class ListenerRoutes {
  tcp: ConnectionRoute | null = null;
  private readonly exact = new Map<string, ConnectionRoute>();
  /** By the text after `*.`. */
  private readonly wildcards = new Map<string, ConnectionRoute>();
  private longestWildcard = 0;
  private everyName: ConnectionRoute | null = null;

  get tls(): boolean {
    return this.everyName !== null || this.exact.size > 0 || this.wildcards.size > 0;
  }

  addTls(hostnames: readonly string[], route: ConnectionRoute): void {
    if (hostnames.length === 0) this.everyName = route;
    for (const hostname of hostnames) {
      if (hostname.startsWith('*.')) {
        this.wildcards.set(hostname.slice(2), route);
        this.longestWildcard = Math.max(this.longestWildcard, hostname.length - 2);
      } else this.exact.set(hostname, route);
    }
  }

  findTls(name: string): ConnectionRoute | null {
    return this.exact.get(name) ?? this.findWildcard(name) ?? this.everyName;
  }

  private findWildcard(name: string): ConnectionRoute | null {
    if (this.longestWildcard === 0) return null;
    // Text longer than the longest wildcard can't match one: a name of thousands of dots costs no more.
    const start = Math.max(1, name.length - this.longestWildcard - 1);
    for (let dot = name.indexOf('.', start); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const route = this.wildcards.get(name.slice(dot + 1));
      if (route) return route;
    }
    return null;
  }
}

const NOTHING: Carried = { tls: false, tcp: false };

function compile({ name, backends }: TlsRouteConfig | TcpRouteConfig): ConnectionRoute {
  const weighted = new WeightedBackends(
    backends.map((backend) => ({ ...backend, filters: [] })),
    null,
  );
  return { name, pick: (random) => weighted.pick(random) };
}
