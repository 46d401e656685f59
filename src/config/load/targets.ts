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
  /** Of services with TLS of their own. */
  readonly tls = new Set<string>();

  constructor(listeners: readonly ListenerFields[]) {
    for (const listener of listeners) this.listeners.set(listener.name, listener);
  }

  add({ name, unbudgeted, tcp, tls }: ServiceFacts): void {
    if (unbudgeted) this.unbudgeted.add(name);
    if (tcp) this.tcp.add(name);
    if (tls) this.tls.add(name);
  }
}

export interface ServiceFacts {
  readonly name: string;
  readonly unbudgeted: boolean;
  readonly tcp: boolean;
  readonly tls: boolean;
}

export function factsOf({ name, protocol, retryBudget, tls }: ServiceFields): ServiceFacts {
  return { name, unbudgeted: retryBudget === 'off', tcp: protocol === 'tcp', tls: tls !== undefined };
}

export function carriesHttp({ protocol }: ListenerFields): boolean {
  return protocol !== 'tls' && protocol !== 'tcp';
}
