/**
 * The endpoints of one service that a request may have: all of them, those of a subset, or the one of its session. Each subset
 * is balanced by itself, as if it were a service: it has priorities, localities and panic of its own.
 */
import type { EndpointConfig, ServiceConfig } from '../../config/index.ts';
import type { WorkerLedger } from '../../ledger/index.ts';
import { COUNTER, type CounterBlock } from '../../telemetry/index.ts';
import {
  compilePicker,
  type Picker,
  PickState,
  type PolicyPicker,
  type Surroundings,
  ZONE,
} from '../balancer/index.ts';
import { addressOf } from '../transport/index.ts';

/** What a request has to say to the choice of its endpoint. */
export interface Preference {
  /** What a hashing policy goes by; null: nothing, so that the request goes anywhere. */
  readonly key: string | null;
  /** Empty: all endpoints. */
  readonly subset: string;
  /** `address:port` of the endpoint that its client keeps; empty: none so far. */
  readonly session: string;
}

/** An endpoint that was picked and admitted; given back by `UpstreamService.report`, once. */
export interface PickedEndpoint {
  readonly endpoint: EndpointConfig;
  /** As `addressOf` has it. */
  readonly address: string;
  readonly index: number;
  readonly ticket: number;
  /** Those that would have done as well; null: none, it is the one of its session. */
  readonly group: PolicyPicker | null;
  /** How it came to be chosen, where that was not by the policy among all endpoints: `priority 1, degraded`; else empty. */
  readonly choice: string;
}

/** To pick from: all endpoints, or those of a subset. */
interface Pool {
  /** Empty: all endpoints. */
  readonly subset: string;
  readonly indexes: readonly number[];
  readonly picker: Picker;
  readonly state: PickState;
}

export class Candidates {
  private readonly ledger: WorkerLedger;
  private readonly counters: CounterBlock;
  private readonly random: () => number;
  private readonly around: Surroundings;
  private config: ServiceConfig;
  private addresses: readonly string[];
  private all: Pool;
  private readonly subsets = new Map<string, Pool>();
  /** Index of each address; null: not asked for so far. */
  private byAddress: Map<string, number> | null = null;

  constructor(
    config: ServiceConfig,
    ledger: WorkerLedger,
    counters: CounterBlock,
    random: () => number,
    around: Surroundings,
  ) {
    this.ledger = ledger;
    this.counters = counters;
    this.random = random;
    this.around = around;
    this.config = config;
    this.addresses = config.endpoints.map(addressOf);
    this.all = this.pool('', undefined);
    this.compileSubsets();
  }

  update(config: ServiceConfig): void {
    this.config = config;
    this.addresses = config.endpoints.map(addressOf);
    this.byAddress = null;
    this.all = this.pool('', this.all);
    this.compileSubsets();
  }

  /**
   * Picks and admits an endpoint, other than those in `tried` if possible; null: none may be used. `keepsSession`: it has to be
   * that of the request's session, if that may be used; no other will do where sessions are strict.
   */
  pick(
    tried: readonly number[],
    preference: Preference | null,
    keepsSession: boolean,
    nowMs: number,
  ): PickedEndpoint | null {
    const wanted = preference === null ? '' : preference.subset;
    const pool = wanted === '' ? this.all : this.poolOf(wanted);
    if (pool === null) return null;
    const { state } = pool;
    if (preference !== null) {
      if (wanted !== '') this.counters.add(subsetCounter(pool.subset === wanted), 1);
      if (preference.session !== '' && keepsSession) {
        const kept = this.ofSession(preference.session, pool, nowMs);
        this.counters.add(this.sessionCounter(kept), 1);
        if (kept !== null || this.config.sessionPersistence?.strict === true) return kept;
      }
    }
    if (this.config.loadBalancer.consistentHash !== null)
      state.hashBy(preference === null ? null : preference.key);
    const index = pool.picker.pick(state, nowMs, tried);
    if (state.panic) this.counters.add(COUNTER.lbHealthyPanic, 1);
    if (state.zone !== ZONE.none) this.counters.add(ZONE_COUNTERS[state.zone], 1);
    if (index < 0) return null;
    const choice = choiceOf(state, pool.subset === wanted ? '' : wanted);
    return this.admitted(index, state, state.group, choice);
  }

  /** May a request that waits for a connection go to this endpoint instead of the one it chose? */
  mayMove({ group }: PickedEndpoint, slot: number, tried: readonly number[]): boolean {
    if (group === null || this.config.loadBalancer.consistentHash !== null) return false;
    const index = this.config.endpoints.findIndex((endpoint) => endpoint.slot === slot);
    return index >= 0 && !tried.includes(index) && group.slots.includes(slot);
  }

  /** The endpoint at `slot`, which `mayMove` allowed, in place of `from`. */
  moved(from: PickedEndpoint, slot: number): PickedEndpoint {
    const { endpoints } = this.ledger;
    const index = this.config.endpoints.findIndex((endpoint) => endpoint.slot === slot);
    endpoints.acquire(slot, Number.POSITIVE_INFINITY);
    return {
      endpoint: this.config.endpoints[index] as EndpointConfig,
      address: this.addresses[index] as string,
      index,
      ticket: endpoints.admitInPanic(slot),
      group: from.group,
      choice: from.choice,
    };
  }

  /** Whether there are endpoints for such a request at all. */
  has(subset: string): boolean {
    const pool = this.poolOf(subset);
    return pool !== null && pool.indexes.length > 0;
  }

  /** The one of a session; null: it is gone, in another subset, or may not be used. */
  private ofSession(address: string, pool: Pool, nowMs: number): PickedEndpoint | null {
    this.byAddress ??= new Map(this.addresses.map((at, index) => [at, index]));
    const index = this.byAddress.get(address);
    if (index === undefined || !pool.picker.has(index)) return null;
    const { slot } = this.config.endpoints[index] as EndpointConfig;
    return pool.state.admitStated(slot, nowMs) ? this.admitted(index, pool.state, null, 'session') : null;
  }

  private sessionCounter(kept: PickedEndpoint | null): number {
    if (kept !== null) return COUNTER.statefulSessionRouted;
    return this.config.sessionPersistence?.strict === true
      ? COUNTER.statefulSessionFailedClosed
      : COUNTER.statefulSessionFailedOpen;
  }

  private admitted(
    index: number,
    { ticket }: PickState,
    group: PolicyPicker | null,
    choice: string,
  ): PickedEndpoint {
    const endpoint = this.config.endpoints[index] as EndpointConfig;
    this.ledger.endpoints.acquire(endpoint.slot, Number.POSITIVE_INFINITY);
    return { endpoint, address: this.addresses[index] as string, index, ticket, group, choice };
  }

  /** Of a subset that has endpoints, or what it falls back to; null: to nothing. */
  private poolOf(subset: string): Pool | null {
    const { subsetFallback, defaultSubset } = this.config;
    const pool = this.subsets.get(subset);
    if (pool !== undefined && pool.indexes.length > 0) return pool;
    if (subsetFallback === 'none') return null;
    if (subsetFallback === 'any-endpoint') return this.all;
    return this.subsets.get(defaultSubset ?? '') ?? null;
  }

  private compileSubsets(): void {
    const gone = new Set(this.subsets.keys());
    for (const { name } of this.config.subsets) {
      gone.delete(name);
      this.subsets.set(name, this.pool(name, this.subsets.get(name)));
    }
    for (const name of gone) this.subsets.delete(name);
  }

  /** `before`: of the same name, in the configuration before. */
  private pool(subset: string, before: Pool | undefined): Pool {
    const name = subset === '' ? '' : `subset ${subset}`;
    const indexes = this.indexesOf(subset);
    return {
      subset,
      indexes,
      picker: compilePicker(this.config, this.around, name, indexes),
      state: before?.state ?? new PickState(this.ledger.endpoints, this.random),
    };
  }

  private indexesOf(subset: string): readonly number[] {
    const { endpoints, subsets } = this.config;
    const wanted = Object.entries(subsets.find(({ name }) => name === subset)?.labels ?? {});
    return endpoints.flatMap(({ labels }, index) =>
      wanted.every(([key, value]) => labels?.[key] === value) ? [index] : [],
    );
  }
}

/** By `Zone`; the first is never looked up. */
const ZONE_COUNTERS = [
  COUNTER.lbZoneRoutingAllDirectly,
  COUNTER.lbZoneRoutingAllDirectly,
  COUNTER.lbZoneRoutingSampled,
  COUNTER.lbZoneRoutingCrossZone,
] as const;

function subsetCounter(selected: boolean): number {
  return selected ? COUNTER.lbSubsetsSelected : COUNTER.lbSubsetsFallback;
}

/** `missing`: the subset that the request was to have had. */
function choiceOf({ group, panic, degraded }: PickState, missing: string): string {
  const name = group === null ? '' : group.name;
  if (!panic && !degraded && missing === '') return name;
  const parts = [missing === '' ? '' : `fallback from subset ${missing}`, name];
  if (panic) parts.push('panic');
  if (degraded) parts.push('degraded');
  return parts.filter((part) => part !== '').join(', ');
}
