/** What routes refer to, as far as it matters to them which listener or service it is. */
import type { ListenerFields } from './node-schema.ts';
import type { ServiceFields } from './service-schema.ts';

export class RouteTargets {
  /** By name, those whose shape is right. */
  readonly listeners = new Map<string, ListenerFields>();
  /** Names of services whose retry budget is off. */
  readonly unbudgeted = new Set<string>();
  /** Of services that speak no HTTP. */
  readonly tcp = new Set<string>();
  /** Of services that never speak HTTP/2. */
  readonly http1 = new Set<string>();
  /** Of services with TLS of their own. */
  readonly tls = new Set<string>();
  /** Subsets by service; services without are not in it. */
  readonly subsets = new Map<string, readonly string[]>();

  constructor(listeners: readonly ListenerFields[]) {
    for (const listener of listeners) this.listeners.set(listener.name, listener);
  }

  add({ name, unbudgeted, tcp, http1, tls, subsets }: ServiceFacts): void {
    if (unbudgeted) this.unbudgeted.add(name);
    if (tcp) this.tcp.add(name);
    if (http1) this.http1.add(name);
    if (tls) this.tls.add(name);
    if (subsets.length > 0) this.subsets.set(name, subsets);
  }
}

export interface ServiceFacts {
  readonly name: string;
  readonly unbudgeted: boolean;
  readonly tcp: boolean;
  readonly http1: boolean;
  readonly tls: boolean;
  /** Names of its subsets. */
  readonly subsets: readonly string[];
}

export function factsOf({ name, protocol, retryBudget, tls, subsets }: ServiceFields): ServiceFacts {
  const http1 = protocol === 'http' || protocol === 'tcp' || (protocol === 'auto' && tls === undefined);
  return {
    name,
    unbudgeted: retryBudget === 'off',
    tcp: protocol === 'tcp',
    http1,
    tls: tls !== undefined,
    subsets: subsets.map((subset) => subset.name),
  };
}

export function carriesHttp({ protocol }: ListenerFields): boolean {
  return protocol !== 'tls' && protocol !== 'tcp';
}
