/**
 * From a service to one endpoint, as Envoy goes: first a priority, and healthy or degraded endpoints of it, by how load is
 * shared (priority-load.ts); then a locality, where localities have shares or zones matter; then an endpoint, by the policy.
 *
 * Health is counted ten times a second (25 µs for 5,000 endpoints), and again when a pick finds nobody where it was sent; whether one
 * endpoint may be used is asked at every pick. Most services have one group of endpoints, to which all load goes: they pick
 * from it directly.
 */
import type { ServiceConfig } from '../../config/index.ts';
import { NOT_ADMITTED } from '../../ledger/index.ts';
import { type Callers, countLoads } from './count-loads.ts';
import type { Level } from './levels.ts';
import type { Loads } from './loads.ts';
import { type Picker, type PickState, ZONE } from './picker.ts';
import { ANY, BEST, type PolicyPicker } from './policy-picker.ts';

export class ServicePicker implements Picker {
  readonly size: number;
  private readonly service: ServiceConfig;
  /** By priority; one at least. */
  private readonly levels: readonly Level[];
  private readonly callers: Callers | null;
  private readonly hashing: boolean;
  /** The only group of a service that has no others. */
  private readonly single: boolean;

  /** `callers`: for zone aware routing. */
  constructor(service: ServiceConfig, levels: readonly Level[], callers: Callers | null) {
    this.service = service;
    this.levels = levels;
    this.callers = callers;
    this.size = levels.reduce((size, { all }) => size + all.size, 0);
    this.hashing = service.loadBalancer.consistentHash !== null;
    this.single = levels.length === 1 && levels[0]?.localities.length === 0;
  }

  pick(state: PickState, nowMs: number, tried: readonly number[]): number {
    state.ticket = NOT_ADMITTED;
    state.nowMs = nowMs;
    state.tried = tried;
    if (state.picker !== this || nowMs - state.countedMs >= RECOUNT_MS) this.count(state);
    if (!this.single) {
      state.zone = ZONE.none;
      const probed = tried.length === 0 ? this.probe(state) : -1;
      if (probed >= 0) return probed;
    }
    const group = this.group(state);
    // Mostly it is the same: a store of a pointer costs more than a look at it.
    if (state.group !== group) state.group = group;
    const index = group.choose(state);
    return index >= 0 ? index : this.elsewhere(group, state);
  }

  has(index: number): boolean {
    return this.levels.some(({ all }) => all.indexes.includes(index));
  }

  /** Looks at the health of all endpoints. */
  private count(state: PickState): void {
    if (state.picker !== this) {
      state.picker = this;
      state.zone = ZONE.none;
      state.loads = null;
      state.schedules.length = 0;
      state.warming.length = 0;
    }
    state.countedMs = state.nowMs;
    state.loads = countLoads(this.service, this.levels, this.callers, state);
    for (const { all, localities } of this.levels) {
      all.onCount(state);
      for (const { picker } of localities) picker.onCount(state);
    }
  }

  /** The priority and locality whose turn it is. */
  private group(state: PickState): PolicyPicker {
    const loads = state.loads as Loads;
    if (loads.only !== null) {
      state.panic = loads.onlyInPanic;
      state.degraded = false;
      return loads.only;
    }
    const { healthy, degraded } = loads.byPriority;
    let point = this.hashing ? hashPercent(state) : Math.floor(state.random() * 100);
    for (let level = 0; level < healthy.length; level++) {
      point -= healthy[level] as number;
      if (point < 0) return this.inLevel(level, false, loads, state);
    }
    for (let level = 0; level < degraded.length; level++) {
      point -= degraded[level] as number;
      if (point < 0) return this.inLevel(level, true, loads, state);
    }
    return this.inLevel(0, false, loads, state);
  }

  private inLevel(at: number, degraded: boolean, loads: Loads, state: PickState): PolicyPicker {
    const level = this.levels[at] as Level;
    state.degraded = degraded;
    state.panic = loads.byPriority.panic[at] as boolean;
    if (state.panic || level.localities.length === 0) return level.all;
    const shares = (degraded ? loads.degradedShares : loads.healthyShares)[at];
    const locality = shares === undefined ? this.zoned(at, loads, state) : shares.next();
    return level.localities[locality]?.picker ?? level.all;
  }

  /** The locality by zone aware routing; -1: any. */
  private zoned(at: number, { zone }: Loads, state: PickState): number {
    const { locality } = this.service.loadBalancer;
    if (zone === null || at > 0 || locality?.type !== 'zone-aware') return -1;
    const { random } = state;
    if (locality.routingEnabled < 100 && random() * 100 >= locality.routingEnabled) return -1;
    if (zone.kind === 'direct') {
      state.zone = ZONE.direct;
      return 0;
    }
    if (random() * 10_000 < zone.stay) {
      state.zone = ZONE.sampled;
      return 0;
    }
    state.zone = ZONE.cross;
    const { parts } = zone;
    const total = parts.reduce((sum, part) => sum + part, 0);
    // By rounding only.
    if (total === 0) return Math.floor(random() * parts.length);
    let point = random() * total;
    for (const [locality, part] of parts.entries()) {
      point -= part;
      if (point < 0) return locality;
    }
    return -1;
  }

  /**
   * An endpoint whose ejection is over gets one request as its probe, wherever load is shared by health: without one it would
   * have none to show that it is well again.
   */
  private probe(state: PickState): number {
    const { waiting } = state.loads as Loads;
    const { group, position } = waiting;
    if (group === null) return -1;
    waiting.group = null;
    state.panic = false;
    state.degraded = false;
    state.group = group;
    state.ticket = state.view.admit(group.slots[position] as number, state.nowMs);
    return state.ticket === NOT_ADMITTED ? -1 : (group.indexes[position] as number);
  }

  /** Nobody may be used where load was to go: health has changed, or all were tried. Then any may be used that can be. */
  private elsewhere(group: PolicyPicker, state: PickState): number {
    if (state.countedMs !== state.nowMs) {
      this.count(state);
      const again = this.group(state);
      state.group = again;
      const index = again.choose(state);
      if (index >= 0) return index;
    }
    const { degraded, byPriority } = state.loads as Loads;
    const last = state.tried.length > 0 ? ANY : BEST;
    for (let fit = BEST; fit <= last; fit++) {
      for (let pass = 0; pass < (degraded ? 2 : 1); pass++) {
        for (const [at, { all }] of this.levels.entries()) {
          if (this.single && fit === BEST && pass === 0 && all === group) continue;
          state.degraded = pass > 0;
          state.panic = byPriority.panic[at] as boolean;
          state.group = all;
          const index = all.chooseByWalk(fit, state);
          if (index >= 0) return index;
        }
      }
    }
    return -1;
  }
}

/** Of the hash, so that a key keeps its priority: Envoy's `hash % 100`. */
function hashPercent({ hashHigh, hashLow }: PickState): number {
  return ((hashHigh % 100) * (2 ** 32 % 100) + hashLow) % 100;
}

/** A count of health holds so long. */
const RECOUNT_MS = 100;
