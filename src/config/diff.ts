/**
 * What changed between two snapshots, as the delta that turns the one into the other. Members are told
 * apart by name; one that is the same object costs one comparison, so that a source which reuses its
 * members pays for the changed ones only.
 */
import type { ListDelta, SnapshotDelta } from './delta.ts';
import { equal } from './equal.ts';
import type { Snapshot } from './snapshot.ts';

/** Null for `older`: everything, as a worker that starts needs it. */
export function diffSnapshots(older: Snapshot | null, newer: Snapshot): SnapshotDelta {
  return {
    fromVersion: older?.version ?? 0,
    version: newer.version,
    node: older !== null && equal(older.node, newer.node) ? null : newer.node,
    listeners: diffList(older?.listeners ?? [], newer.listeners),
    routes: diffList(older?.routes ?? [], newer.routes),
    tlsRoutes: diffList(older?.tlsRoutes ?? [], newer.tlsRoutes),
    tcpRoutes: diffList(older?.tcpRoutes ?? [], newer.tcpRoutes),
    services: diffList(older?.services ?? [], newer.services),
    limitSlots: diffList(older?.limitSlots ?? [], newer.limitSlots),
  };
}

function diffList<T extends { readonly name: string }>(
  older: readonly T[],
  newer: readonly T[],
): ListDelta<T> {
  if (older === newer) return { upserts: [], removes: [], order: null };
  const before = new Map<string, T>();
  for (const member of older) before.set(member.name, member);
  const after = new Set<string>();
  const upserts: T[] = [];
  const created: string[] = [];
  for (const member of newer) {
    after.add(member.name);
    const old = before.get(member.name);
    if (old === undefined) created.push(member.name);
    if (old === undefined || !equal(old, member)) upserts.push(member);
  }
  const removes: string[] = [];
  const kept: string[] = [];
  for (const member of older) (after.has(member.name) ? kept : removes).push(member.name);
  return { upserts, removes, order: followsOrder(kept, created, newer) ? null : newer.map((m) => m.name) };
}

/** Whether applying the changes alone gives the newer order: those kept as they were, then the new ones. */
function followsOrder(
  kept: readonly string[],
  created: readonly string[],
  newer: readonly { readonly name: string }[],
): boolean {
  for (let i = 0; i < newer.length; i++) {
    const expected = i < kept.length ? kept[i] : created[i - kept.length];
    if (newer[i]?.name !== expected) return false;
  }
  return true;
}
