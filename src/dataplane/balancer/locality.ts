/**
 * What localities mean for one node: how near an endpoint is, which share its locality gets, and what a locality is called.
 * Meanings are Istio's (pilot/pkg/networking/core/loadbalancer).
 */
import type { EndpointConfig, Locality, LocalityConfig, LocalityPattern } from '../../config/index.ts';

const NOWHERE: Locality = { region: '', zone: '', subZone: '' };

/** Endpoints without a locality are together in one without a name. */
export function localityOf({ locality }: EndpointConfig): Locality {
  return locality ?? NOWHERE;
}

/** `region/zone/subZone`, without what is empty at the end. */
export function localityName({ region, zone, subZone }: Locality): string {
  return `${region}/${zone}/${subZone}`.replace(/\/+$/, '');
}

export function sameLocality(a: Locality, b: Locality): boolean {
  return a.region === b.region && a.zone === b.zone && a.subZone === b.subZone;
}

/** Whether a locality fits; `*` and what the pattern leaves out at its end stand for any. */
export function matchesLocality({ region, zone, subZone }: Locality, pattern: LocalityPattern): boolean {
  const [ofRegion = '*', ofZone = '*', ofSubZone = '*'] = pattern.split('/');
  return fits(region, ofRegion) && fits(zone, ofZone) && fits(subZone, ofSubZone);
}

/** 0: the same sub-zone; 1: the same zone; 2: the same region; 3: another, or the one to fail over to; 4: others than that. */
export function nearness(
  node: Locality,
  at: Locality,
  failover: Extract<LocalityConfig, { readonly type: 'failover' }>['failover'],
): number {
  if (node.region === at.region) {
    if (node.zone !== at.zone) return 2;
    return node.subZone === at.subZone ? 0 : 1;
  }
  const stated = failover.find(({ from }) => from === node.region);
  return stated === undefined || stated.to === at.region ? 3 : 4;
}

/**
 * The weight of each locality for a node, in the order of `localities`; null: nothing is stated for such a node. One weight
 * that fits several localities is shared by the weights of their endpoints.
 */
export function distributedWeights(
  node: Locality,
  distribute: Extract<LocalityConfig, { readonly type: 'distribute' }>['distribute'],
  localities: readonly { readonly locality: Locality; readonly endpointWeight: number }[],
): number[] | null {
  const stated = distribute.find(({ from }) => matchesLocality(node, from));
  if (stated === undefined) return null;
  const chosen = localities.map(({ locality }) =>
    stated.to.findIndex(({ locality: pattern }) => matchesLocality(locality, pattern)),
  );
  return localities.map(({ endpointWeight }, i) => {
    const to = stated.to[chosen[i] as number];
    if (to === undefined) return 0;
    const together = localities.reduce(
      (total, other, j) => (chosen[j] === chosen[i] ? total + other.endpointWeight : total),
      0,
    );
    return (to.weight * endpointWeight) / together;
  });
}

function fits(part: string, pattern: string): boolean {
  return pattern === '*' || pattern === '' || pattern === part;
}
