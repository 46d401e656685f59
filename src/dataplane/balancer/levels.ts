/**
 * The endpoints of a service in the order in which load goes to them: by priority, and within one by locality. Priorities are
 * those that endpoints state, or with locality failover how near each is to this node. Without gaps, as Envoy wants them.
 */
import type { EndpointConfig, Locality, ServiceConfig } from '../../config/index.ts';
import { distributedWeights, localityName, localityOf, nearness, sameLocality } from './locality.ts';
import type { Group, Member, PolicyPicker } from './policy-picker.ts';

/** One priority. */
export interface Level {
  readonly all: PolicyPicker;
  /** Where localities matter, this node's own first; else empty. */
  readonly localities: readonly LevelLocality[];
  /** The first of `localities` is this node's. */
  readonly hasOwn: boolean;
}

export interface LevelLocality {
  readonly locality: Locality;
  /** Share that is stated for it; 1 where none is. */
  readonly weight: number;
  readonly picker: PolicyPicker;
}

/** `indexes`: of the service's endpoints, those to pick from, which are called `name`. `make`: the picker of a policy. */
export function levelsOf(
  service: ServiceConfig,
  indexes: readonly number[],
  name: string,
  node: Locality | null,
  make: (group: Group) => PolicyPicker,
): readonly Level[] {
  const { endpoints, loadBalancer } = service;
  const members = indexes
    .map((index) => memberOf(index, endpoints[index] as EndpointConfig))
    .filter(({ weight }) => weight > 0);
  const byRank = Map.groupBy(members, ({ endpoint }) => rankOf(service, endpoint, node));
  const ranks = [...byRank.keys()].sort((a, b) => a - b);
  let groups = 0;
  const group = (name: string, of: readonly Member[]): PolicyPicker =>
    make({ id: groups++, name, members: of, loadBalancer });
  if (ranks.length === 0) return [{ all: group(name, []), localities: [], hasOwn: false }];
  return ranks.map((rank, priority) => {
    const named = join(name, ranks.length > 1 ? `priority ${priority}` : '');
    return levelOf(service, byRank.get(rank) as Member[], named, node, group);
  });
}

function levelOf(
  { loadBalancer }: ServiceConfig,
  members: readonly Member[],
  name: string,
  node: Locality | null,
  group: (name: string, of: readonly Member[]) => PolicyPicker,
): Level {
  const { locality: setting, consistentHash } = loadBalancer;
  const plain = (of: readonly Member[]): Level => ({ all: group(name, of), localities: [], hasOwn: false });
  if (setting === null || setting.type === 'failover' || node === null) return plain(members);
  const byLocality = [...Map.groupBy(members, ({ endpoint }) => localityName(localityOf(endpoint))).values()]
    .map((of) => ({
      locality: localityOf((of[0] as Member).endpoint),
      endpointWeight: of.reduce((sum, { weight }) => sum + weight, 0),
      members: of,
    }))
    // Own first; the sort is stable.
    .sort((a, b) => Number(sameLocality(node, b.locality)) - Number(sameLocality(node, a.locality)));
  const weights =
    setting.type === 'distribute'
      ? distributedWeights(node, setting.distribute, byLocality)
      : byLocality.map(() => 1);
  if (weights === null) return plain(members);
  const weighted = byLocality
    .map((of, i) => ({ ...of, weight: weights[i] as number }))
    .filter(({ weight }) => weight > 0);
  // A key finds its endpoint on one ring or table, on which an endpoint has its part of its locality's weight.
  if (consistentHash !== null)
    return plain(
      weighted.flatMap(({ members: of, weight, endpointWeight }) =>
        of.map((member) => ({ ...member, weight: (member.weight * weight) / endpointWeight })),
      ),
    );
  const all = group(
    name,
    weighted.flatMap(({ members: of }) => of),
  );
  return {
    all,
    localities: weighted.map(({ locality, weight, members: of }) => ({
      locality,
      weight,
      picker: group(join(name, localityName(locality) || 'no locality'), of),
    })),
    hasOwn: weighted[0] !== undefined && sameLocality(node, weighted[0].locality),
  };
}

function memberOf(index: number, endpoint: EndpointConfig): Member {
  return { index, endpoint, weight: endpoint.weight };
}

function rankOf({ loadBalancer }: ServiceConfig, endpoint: EndpointConfig, node: Locality | null): number {
  const { locality } = loadBalancer;
  return locality?.type === 'failover' && node !== null
    ? nearness(node, localityOf(endpoint), locality.failover)
    : endpoint.priority;
}

function join(outer: string, inner: string): string {
  return outer === '' || inner === '' ? outer + inner : `${outer}, ${inner}`;
}
