/**
 * A draft is a valid configuration, defaults filled in, that has no place in this process yet: no version
 * and no ledger slots. Sources (a file, Kubernetes) make drafts; the supervisor gives the slots, which
 * stay with their key for as long as the key is configured, so that a reload moves no count.
 */
import { type RateLimitConfig, type RateLimitSlot, rateLimitKey } from './rate-limit-config.ts';
import type { RouteConfig, TcpRouteConfig, TlsRouteConfig } from './route-config.ts';
import type { EndpointConfig, ServiceConfig } from './service-config.ts';
import type { ListenerConfig, NodeSettings, Snapshot } from './snapshot.ts';

export interface ConfigDraft {
  readonly node: NodeSettings;
  readonly listeners: readonly ListenerConfig[];
  readonly routes: readonly RouteConfig[];
  readonly tlsRoutes: readonly TlsRouteConfig[];
  readonly tcpRoutes: readonly TcpRouteConfig[];
  readonly services: readonly ServiceDraft[];
  /** The files behind the secret names in listeners and services; never their content. */
  readonly secrets: SecretFiles;
}

export type ServiceDraft = Omit<ServiceConfig, 'slot' | 'endpoints'> & {
  /** Empty for a service with `dns` until its name has been resolved. */
  readonly endpoints: readonly EndpointDraft[];
};

export type EndpointDraft = Omit<EndpointConfig, 'slot'>;

/** Absolute paths. A certificate's name is `file:` and its certFile, a bundle's `file:` and its caFile. */
export interface SecretFiles {
  readonly certificates: readonly {
    readonly name: string;
    readonly certFile: string;
    readonly keyFile: string;
    readonly ocspFile: string | null;
  }[];
  readonly bundles: readonly { readonly name: string; readonly caFile: string }[];
}

/** What has slots in the ledger; `limit-table`: the keys of a rate limit. */
export type SlotKind = 'service' | 'endpoint' | 'limit' | 'limit-table';

/** The slot of a key: always the same one while the key is configured. Throws when the table is full. */
export type SlotOf = (kind: SlotKind, key: string) => number;

/** A snapshot, and the draft that it was built from. */
export interface Built {
  readonly draft: ConfigDraft;
  readonly snapshot: Snapshot;
}

/**
 * `version` must be higher than every version published before. A service whose draft is the same object
 * as in `inForce` is taken from there, slots and all: 50,000 endpoints cost 45 ms otherwise.
 */
export function buildSnapshot(
  draft: ConfigDraft,
  version: number,
  slotOf: SlotOf,
  inForce: Built | null = null,
): Snapshot {
  const built = new Map<ServiceDraft, ServiceConfig>();
  inForce?.draft.services.forEach((service, i) => {
    built.set(service, inForce.snapshot.services[i] as ServiceConfig);
  });
  const services = draft.services.map((service) => built.get(service) ?? withSlots(service, slotOf));
  return {
    version,
    node: draft.node,
    listeners: draft.listeners,
    routes: sameList(inForce?.snapshot.routes, draft.routes),
    tlsRoutes: draft.tlsRoutes,
    tcpRoutes: draft.tcpRoutes,
    services: sameList(inForce?.snapshot.services, services),
    limitSlots: sameList(inForce?.snapshot.limitSlots, limitSlots(draft, slotOf, inForce)),
  };
}

function limitSlots(draft: ConfigDraft, slotOf: SlotOf, inForce: Built | null): RateLimitSlot[] {
  const known = new Map(inForce?.snapshot.limitSlots.map((limit) => [limit.name, limit]));
  const slots = new Map<string, RateLimitSlot>();
  for (const limit of rateLimitsOf(draft)) {
    const name = rateLimitKey(limit);
    slots.set(name, slots.get(name) ?? known.get(name) ?? limitSlot(name, limit, slotOf));
  }
  return [...slots.values()];
}

function limitSlot(
  name: string,
  { id, requests, intervalMs, burst, per }: RateLimitConfig,
  slotOf: SlotOf,
): RateLimitSlot {
  const slot = slotOf('limit', name);
  const table = per === null ? -1 : slotOf('limit-table', name);
  return { name, id, slot, table, requests, intervalMs, burst };
}

function rateLimitsOf({ listeners, routes, services }: ConfigDraft): RateLimitConfig[] {
  const limits: RateLimitConfig[] = [];
  for (const { rateLimits } of listeners) limits.push(...rateLimits);
  for (const { rules } of routes) for (const { rateLimits } of rules) limits.push(...rateLimits);
  for (const { rateLimits } of services) limits.push(...rateLimits);
  return limits;
}

/** `older` itself where it has the same members, so that nobody has to compare them again. */
function sameList<T>(older: readonly T[] | undefined, newer: readonly T[]): readonly T[] {
  const same = older?.length === newer.length && older.every((member, i) => member === newer[i]);
  return same ? older : newer;
}

function withSlots(service: ServiceDraft, slotOf: SlotOf): ServiceConfig {
  return {
    ...service,
    slot: slotOf('service', serviceSlotKey(service.name)),
    endpoints: service.endpoints.map((endpoint) => ({
      ...endpoint,
      slot: slotOf('endpoint', endpointSlotKey(service.name, endpoint)),
    })),
  };
}

export function serviceSlotKey(service: string): string {
  return service;
}

/** `service|address:port`: the same address behind two services is counted apart. */
export function endpointSlotKey(
  service: string,
  endpoint: { readonly address: string; readonly port: number },
): string {
  return `${service}|${endpoint.address}:${endpoint.port}`;
}

export interface RemovedSlot {
  readonly kind: Exclude<SlotKind, 'limit-table'>;
  readonly key: string;
  readonly slot: number;
}

/** What `older` has a slot for and `newer` has not: to be freed once every worker runs `newer`. */
export function removedSlots(older: Snapshot, newer: Snapshot): RemovedSlot[] {
  const removed = removedLimits(older, newer);
  if (older.services === newer.services) return removed;
  // Names are unique, so no key of a service that is in both can be one of another service.
  const before = new Set(older.services);
  const after = new Set(newer.services);
  const kept = new Set<string>();
  for (const service of after)
    if (!before.has(service)) for (const { kind, key } of slotsOf(service)) kept.add(kind + key);
  for (const service of before) {
    if (after.has(service)) continue;
    for (const slot of slotsOf(service)) if (!kept.has(slot.kind + slot.key)) removed.push(slot);
  }
  return removed;
}

/** With a limit its table goes too. */
function removedLimits(older: Snapshot, newer: Snapshot): RemovedSlot[] {
  if (older.limitSlots === newer.limitSlots) return [];
  const kept = new Set(newer.limitSlots.map(({ name }) => name));
  return older.limitSlots
    .filter(({ name }) => !kept.has(name))
    .map(({ name, slot }) => ({ kind: 'limit', key: name, slot }));
}

function* slotsOf(service: ServiceConfig): Generator<RemovedSlot> {
  yield { kind: 'service', key: serviceSlotKey(service.name), slot: service.slot };
  for (const endpoint of service.endpoints)
    yield { kind: 'endpoint', key: endpointSlotKey(service.name, endpoint), slot: endpoint.slot };
}
