/** Counts the health of a service's endpoints, and makes of it how load is shared. */
import type { Locality, ServiceConfig } from '../../config/index.ts';
import { AVAILABLE } from '../../ledger/index.ts';
import type { Level } from './levels.ts';
import { effectiveWeight, type Loads, LocalityShares, type WaitingProbe } from './loads.ts';
import { localityName, localityOf, sameLocality } from './locality.ts';
import type { PickState } from './picker.ts';
import type { PolicyPicker } from './policy-picker.ts';
import { type HealthCount, isInPanic, type PriorityLoad, priorityLoad } from './priority-load.ts';
import { type ZoneRouting, zoneRouting } from './zone-routing.ts';

/** Who calls the service from everywhere, this node among them. */
export interface Callers {
  readonly node: Locality;
  /** As it is at the moment; undefined: there is none of that name. */
  service(): ServiceConfig | undefined;
}

interface Counted {
  readonly whole: HealthCount;
  /** By locality. */
  readonly parts: readonly HealthCount[];
}

export function countLoads(
  service: ServiceConfig,
  levels: readonly Level[],
  callers: Callers | null,
  state: PickState,
): Loads {
  const { overprovisioningFactor: factor, locality } = service.loadBalancer;
  const waiting: WaitingProbe = { group: null, position: 0 };
  const counted = levels.map((level) => countLevel(level, state, waiting));
  const byPriority = priorityLoad(
    counted.map(({ whole }) => whole),
    factor,
    service.panicThreshold,
  );
  const distributes = locality?.type === 'distribute';
  const shares = (of: 'healthy' | 'degraded', before: readonly LocalityShares[]): LocalityShares[] =>
    levels.map(({ localities }, i) => {
      const weights = localities.map(({ weight }, j) => {
        const part = counted[i]?.parts[j] as HealthCount;
        return effectiveWeight(weight, part[of], part.total, factor);
      });
      const known = before[i];
      return known?.hasWeights(weights) === true ? known : new LocalityShares(weights, state.random);
    });
  const { loads } = state;
  const only = onlyGroup(levels, byPriority);
  return {
    byPriority,
    degraded: counted.some(({ whole }) => whole.degraded > 0),
    only,
    onlyInPanic: only !== null && byPriority.panic[byPriority.healthy.indexOf(100)] === true,
    healthyShares: distributes ? shares('healthy', loads?.healthyShares ?? []) : [],
    degradedShares: distributes ? shares('degraded', loads?.degradedShares ?? []) : [],
    zone:
      callers === null ? null : zonesOf(service, levels[0] as Level, counted[0] as Counted, callers, state),
    waiting,
  };
}

function countLevel({ all, localities }: Level, state: PickState, waiting: WaitingProbe): Counted {
  if (localities.length === 0) return { whole: countGroup(all, state, waiting), parts: [] };
  const parts = localities.map(({ picker }) => countGroup(picker, state, waiting));
  const whole = { total: 0, healthy: 0, degraded: 0 };
  for (const { total, healthy, degraded } of parts) {
    whole.total += total;
    whole.healthy += healthy;
    whole.degraded += degraded;
  }
  return { whole, parts };
}

function countGroup(group: PolicyPicker, { view, nowMs }: PickState, waiting: WaitingProbe): HealthCount {
  const { slots } = group;
  let healthy = 0;
  let degraded = 0;
  for (let position = 0; position < slots.length; position++) {
    const available = view.availability(slots[position] as number, nowMs);
    if (available === AVAILABLE.yes) healthy++;
    else if (available === AVAILABLE.degraded) degraded++;
    else if (available === AVAILABLE.probe) {
      waiting.group = group;
      waiting.position = position;
    }
  }
  return { total: slots.length, healthy, degraded };
}

/** Where all of the load goes to one priority without localities. */
function onlyGroup(levels: readonly Level[], { healthy, panic }: PriorityLoad): PolicyPicker | null {
  const at = healthy.indexOf(100);
  const level = levels[at];
  if (level === undefined) return null;
  return level.localities.length === 0 || panic[at] === true ? level.all : null;
}

/** Null: Envoy's preconditions are not met. */
function zonesOf(
  service: ServiceConfig,
  { localities, hasOwn }: Level,
  { parts, whole }: Counted,
  { node, service: caller }: Callers,
  { view, nowMs }: PickState,
): ZoneRouting | null {
  const setting = service.loadBalancer.locality;
  const callers = caller()?.endpoints ?? [];
  if (setting?.type !== 'zone-aware' || localities.length < 2) return null;
  if (whole.healthy < setting.minClusterSize) return null;
  const places = new Set(callers.map((at) => localityName(localityOf(at))));
  if (places.size < 2 || !places.has(localityName(node))) return null;
  const health = callers.map(({ slot }) => view.availability(slot, nowMs));
  const healthy = callers.filter((_, i) => health[i] === AVAILABLE.yes);
  const degraded = health.filter((available) => available === AVAILABLE.degraded).length;
  const count = { total: callers.length, healthy: healthy.length, degraded };
  if (isInPanic(count, service.panicThreshold)) return null;
  return zoneRouting(
    localities.map(({ locality }, i) => ({
      upstream: (parts[i] as HealthCount).healthy,
      local: healthy.filter((at) => sameLocality(localityOf(at), locality)).length,
    })),
    healthy.length,
    hasOwn,
  );
}
