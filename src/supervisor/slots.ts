/**
 * Places in the ledger for services and endpoints. A slot is asked for while a snapshot is built and stays with
 * its key; when a snapshot is refused, what only it asked for is freed again, and what a newer one
 * no longer has is freed as of its version (the ledger reuses a slot when every worker has got there).
 */
import {
  endpointSlotKey,
  type SlotKind,
  type SlotOf,
  type Snapshot,
  serviceSlotKey,
} from '../config/index.ts';
import type { Ledger } from '../ledger/index.ts';

export class SlotKeeper {
  private readonly ledger: Ledger;
  /** Asked for since the last `begin`. */
  private asked: { kind: SlotKind; key: string }[] = [];

  constructor(ledger: Ledger) {
    this.ledger = ledger;
  }

  begin(): SlotOf {
    this.asked = [];
    return (kind, key) => {
      this.asked.push({ kind, key });
      if (kind === 'service') return this.ledger.allocateService(key);
      if (kind === 'limit') return this.ledger.rateLimits.allocate(key);
      if (kind === 'limit-table') return this.ledger.rateLimits.allocateTable(key);
      return this.ledger.endpoints.allocate(this.serviceSlot(key), key);
    };
  }

  /** The snapshot that was built since `begin` is not used; `inForce` stays. */
  abandon(inForce: Snapshot | null): void {
    const kept = new Set<string>();
    for (const service of inForce?.services ?? []) {
      kept.add(serviceSlotKey(service.name));
      for (const endpoint of service.endpoints) kept.add(endpointSlotKey(service.name, endpoint));
    }
    for (const { name } of inForce?.limitSlots ?? []) kept.add(name);
    this.free(
      this.asked.filter(({ key }) => !kept.has(key)),
      inForce?.version ?? 0,
    );
  }

  /** `version` is the first one without them. */
  free(removed: readonly { readonly kind: SlotKind; readonly key: string }[], version: number): void {
    for (const { kind, key } of removed) {
      if (kind === 'endpoint') this.ledger.endpoints.free(this.serviceSlot(key), key, version);
    }
    for (const { kind, key } of removed) {
      if (kind === 'service') this.ledger.freeService(key, version);
      else if (kind === 'limit') this.ledger.rateLimits.free(key, version);
    }
  }

  /** An endpoint's key is `service|address:port`; its service still has its slot whenever this is called. */
  private serviceSlot(endpointKey: string): number {
    return this.ledger.allocateService(serviceSlotKey(endpointKey.slice(0, endpointKey.lastIndexOf('|'))));
  }
}
