/**
 * A draft is a valid configuration, defaults filled in, that has no place in this process yet: no version
 * and no ledger slots. Sources (a file, Kubernetes) make drafts; the supervisor gives the slots, which
 * stay with their key for as long as the key is configured, so that a reload moves no count.
 */
import type {
  EndpointConfig,
  ListenerConfig,
  NodeSettings,
  RouteConfig,
  ServiceConfig,
  Snapshot,
} from './snapshot.ts';

export interface ConfigDraft {
  readonly node: NodeSettings;
  readonly listeners: readonly ListenerConfig[];
  readonly routes: readonly RouteConfig[];
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

/** The slot of a key: always the same one while the key is configured. Throws when the table is full. */
export type SlotOf = (kind: 'service' | 'endpoint', key: string) => number;

/** `version` must be higher than every version published before. */
export function buildSnapshot(draft: ConfigDraft, version: number, slotOf: SlotOf): Snapshot {
  return {
    version,
    node: draft.node,
    listeners: draft.listeners,
    routes: draft.routes,
    services: draft.services.map((service) => ({
      ...service,
      slot: slotOf('service', serviceSlotKey(service.name)),
      endpoints: service.endpoints.map((endpoint) => ({
        ...endpoint,
        slot: slotOf('endpoint', endpointSlotKey(service.name, endpoint)),
      })),
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
  readonly kind: 'service' | 'endpoint';
  readonly key: string;
  readonly slot: number;
}

/** What `older` has a slot for and `newer` has not: to be freed once every worker runs `newer`. */
export function removedSlots(older: Snapshot, newer: Snapshot): RemovedSlot[] {
  const kept = new Set<string>();
  const before = new Set(older.services);
  for (const service of newer.services) for (const { kind, key } of slotsOf(service)) kept.add(kind + key);
  const removed: RemovedSlot[] = [];
  for (const service of before)
    for (const slot of slotsOf(service)) if (!kept.has(slot.kind + slot.key)) removed.push(slot);
  return removed;
}

function* slotsOf(service: ServiceConfig): Generator<RemovedSlot> {
  yield { kind: 'service', key: serviceSlotKey(service.name), slot: service.slot };
  for (const endpoint of service.endpoints)
    yield { kind: 'endpoint', key: endpointSlotKey(service.name, endpoint), slot: endpoint.slot };
}
