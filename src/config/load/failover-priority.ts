/**
 * Istio's `failoverPriority`: labels that an endpoint has in common with the node, in the order in which they count, become
 * its priority. Meanings are Istio's (pilot/pkg/networking/core/loadbalancer): a label counts only if all before it agree,
 * `label=value` asks for that value whatever the node has, and what neither side has is in common.
 */
import type { Locality } from '../service-config.ts';

/** What is compared, of a node or an endpoint. */
export interface Place {
  readonly locality?: Locality | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Labels that a locality stands for. */
const TOPOLOGY: ReadonlyMap<string, keyof Locality> = new Map([
  ['topology.kubernetes.io/region', 'region'],
  ['topology.kubernetes.io/zone', 'zone'],
  ['topology.istio.io/subzone', 'subZone'],
]);

/** 0: the endpoint agrees in all of `stated`; one more for each that follows the last one in which it does. */
export function failoverPriority(stated: readonly string[], node: Place, endpoint: Place): number {
  const differs = stated.findIndex((one) => {
    const { label, value } = parted(one);
    return valueAt(endpoint, label) !== (value ?? valueAt(node, label));
  });
  return differs < 0 ? 0 : stated.length - differs;
}

/** Labels that the node is asked for. */
export function labelsOfNode(stated: readonly string[]): string[] {
  return stated.filter((one) => parted(one).value === null);
}

export function isTopology(label: string): boolean {
  return TOPOLOGY.has(label);
}

function parted(stated: string): { readonly label: string; readonly value: string | null } {
  const equals = stated.indexOf('=');
  return equals < 0
    ? { label: stated, value: null }
    : { label: stated.slice(0, equals), value: stated.slice(equals + 1) };
}

function valueAt({ locality, labels }: Place, label: string): string {
  const part = TOPOLOGY.get(label);
  const of = part === undefined || locality === undefined ? '' : locality[part];
  return of === '' ? (labels?.[label] ?? '') : of;
}
