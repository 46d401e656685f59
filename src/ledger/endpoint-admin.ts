// The supervisor's end of the endpoint table: slots, active health, the detectors that look at an interval,
// the decay of ejection multipliers, and what ended workers held. Workers change an endpoint by compare-and-swap at the same time, so
// every transition here is one too.
import type { Clock } from '../base/index.ts';
import { Ejector, resetFailures } from './ejection.ts';
import {
  ACTIVE,
  CHANGED,
  CONSECUTIVE_5XX,
  CONSECUTIVE_GATEWAY,
  CONSECUTIVE_LOCAL,
  EJECTED,
  EJECTION_IN_PROGRESS,
  ENDPOINT_EJECTIONS,
  ENDPOINT_WORDS,
  FINDING,
  LATENCY,
  type Layout,
  type Memory,
  MULTIPLIER,
  SERVICE,
  SINCE,
  STATE,
  UNAVAILABLE,
  UNENFORCED,
  UNTIL,
} from './layout.ts';
import {
  DEGRADED,
  detectorOf,
  generationOf,
  hasPassed,
  inPhase,
  momentOf,
  nextGeneration,
  observedOf,
  ownerOf,
  PHASE,
  phaseOf,
  REMOVED,
  SUPERVISOR,
  thresholdOf,
  UNHEALTHY,
} from './outlier.ts';
import {
  DETECTOR_NAMES,
  type Detector,
  type DetectorName,
  type OutlierOutcome,
  type OutlierPolicy,
} from './outlier-policy.ts';
import { countOf, giveBackOwned, isBusyCell, ownedCount, recountFrozen } from './owned.ts';
import { ResultSums } from './results.ts';
import { SlotTable, type SlotUsage } from './slots.ts';

/** What one endpoint shows at a moment: for /clusters and metrics. */
export interface EndpointReading {
  readonly active: number;
  /** ejecting is shown as ejected. */
  readonly state: 'healthy' | 'ejected' | 'probing';
  /** False while its active health check fails. */
  readonly passesHealthCheck: boolean;
  /** Its last active check passed and called it degraded. */
  readonly degraded: boolean;
  /** Milliseconds until a probe is admitted; 0 when not ejected. */
  readonly ejectedForMs: number;
  /** k in min(base * k, max). */
  readonly ejectionMultiplier: number;
  readonly ejections: number;
  /** Detections that the policy's `enforcing` let pass. */
  readonly unenforced: number;
  /** What the last detection, enforced or not, found; meaningless while there was none. */
  readonly finding: Finding;
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveLocalOriginFailures: number;
  /** Peak EWMA at its last answer, in ms; null: none yet, or nobody measures. */
  readonly latencyMs: number | null;
}

/** Counts (16,383 for more), or percentages. */
export interface Finding {
  readonly detector: DetectorName;
  readonly observed: number;
  readonly threshold: number;
}

/** An ejection over for longer than this is restated, so that 32-bit time never makes it future again. */
const RESTATE_AFTER_MS = 3_600_000;

export class EndpointAdmin {
  readonly #memory: Memory;
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #slots: SlotTable;
  readonly #ofService: (Set<number> | undefined)[] = [];
  readonly #ejector: Ejector;
  readonly #results: ResultSums;

  constructor(
    memory: Memory,
    layout: Layout,
    oldestVersion: () => number,
    clock: Clock,
    random: () => number,
  ) {
    this.#memory = memory;
    this.#layout = layout;
    this.#clock = clock;
    this.#ejector = new Ejector(memory, layout, SUPERVISOR, layout.supervisor(), random);
    this.#results = new ResultSums(memory, layout);
    this.#slots = new SlotTable({
      name: 'endpoints',
      capacity: layout.maxEndpoints,
      oldestVersion,
      isQuiet: (slot) => countOf(memory, layout.endpoint(slot) + ACTIVE) === 0,
      clear: (slot) => this.#clear(slot),
    });
  }

  /**
   * The slot of the endpoint `key` of `service`, a new one (healthy) if it has none. An endpoint of
   * two services has a slot in each. Throws when all slots are in use or draining.
   */
  allocate(service: number, key: string): number {
    const { slot, isNew, isRevived } = this.#slots.allocate(slotKey(service, key));
    if (!isNew && !isRevived) return slot;
    const line = this.#layout.endpoint(slot);
    this.#memory[line + SERVICE] = service;
    Atomics.store(this.#memory, line + SINCE, momentOf(this.#clock.nowMs()));
    this.#update(line, (state) => nextGeneration(state) & ~(REMOVED | UNHEALTHY | DEGRADED));
    this.#endpointsOf(service).add(slot);
    return slot;
  }

  /** Frees the endpoint's slot as of snapshot `version`, the first without it; it no longer counts as ejected. */
  free(service: number, key: string, version: number): void {
    const slot = this.#slots.free(slotKey(service, key), version);
    if (slot === undefined) return;
    const line = this.#layout.endpoint(slot);
    const before = this.#update(line, (state) => inPhase(nextGeneration(state), PHASE.healthy, 0) | REMOVED);
    this.#endpointsOf(service).delete(slot);
    if (phaseOf(before) !== PHASE.healthy) this.#countReturned(service);
    else if ((before & UNHEALTHY) !== 0) this.#countUnavailable(service, -1);
    resetFailures(this.#memory, line);
    this.#memory[line + MULTIPLIER] = 0;
  }

  usage(): SlotUsage {
    return this.#slots.usage();
  }

  /** States the verdict of active health checking. Endpoints start out as passing. */
  setHealth(endpoint: number, passes: boolean): void {
    const line = this.#layout.endpoint(endpoint);
    // Before it is seen as healthy, so that nobody takes it for one that has been so for long.
    if (passes && !this.passesHealth(endpoint))
      Atomics.store(this.#memory, line + SINCE, momentOf(this.#clock.nowMs()));
    const before = passes
      ? Atomics.and(this.#memory, line + STATE, ~UNHEALTHY)
      : Atomics.or(this.#memory, line + STATE, UNHEALTHY);
    const changed = ((before & UNHEALTHY) === 0) !== passes;
    if (changed && phaseOf(before) === PHASE.healthy)
      this.#countUnavailable(this.#memory[line + SERVICE], passes ? -1 : 1);
  }

  /** False once active checks fail, or since the endpoint itself asked a worker for no more requests. */
  passesHealth(endpoint: number): boolean {
    return (Atomics.load(this.#memory, this.#layout.endpoint(endpoint) + STATE) & UNHEALTHY) === 0;
  }

  /** States what the last passing check said of the endpoint. */
  setDegraded(endpoint: number, degraded: boolean): void {
    const word = this.#layout.endpoint(endpoint) + STATE;
    if (degraded) Atomics.or(this.#memory, word, DEGRADED);
    else Atomics.and(this.#memory, word, ~DEGRADED);
  }

  /** What ended at the endpoint since the last call for it, by RESULT. Holds until the next call for any endpoint. */
  takeResults(endpoint: number): Readonly<Uint32Array> {
    return this.#results.take(endpoint);
  }

  /** A rate found the endpoint out, as it is now; see Ejector.detected. `observed` and `threshold` in percent. */
  detected(
    endpoint: number,
    nowMs: number,
    hosts: number,
    policy: OutlierPolicy,
    detector: Detector,
    observed: number,
    threshold: number,
  ): OutlierOutcome {
    const state = Atomics.load(this.#memory, this.#layout.endpoint(endpoint) + STATE);
    const ticket = generationOf(state) << 1;
    return this.#ejector.detected(
      endpoint,
      ticket,
      nowMs,
      hosts,
      policy,
      detector,
      HUNDREDTHS * observed,
      HUNDREDTHS * threshold,
    );
  }

  /**
   * How many endpoints of the service are neither ejected nor failing their active checks; and states anew how many
   * fail those alone, which ejections in between have blurred.
   */
  recountHealthy(service: number): number {
    let healthy = 0;
    let unavailable = 0;
    for (const endpoint of this.#endpointsOf(service)) {
      const state = Atomics.load(this.#memory, this.#layout.endpoint(endpoint) + STATE);
      if (phaseOf(state) !== PHASE.healthy) continue;
      if ((state & UNHEALTHY) === 0) healthy++;
      else unavailable++;
    }
    Atomics.store(this.#memory, this.#layout.statistics(service) + UNAVAILABLE, unavailable);
    return healthy;
  }

  /** Ends an ejection now (Envoy: successful_active_health_check_uneject_host). False: it was not ejected. */
  uneject(endpoint: number, nowMs: number): boolean {
    const line = this.#layout.endpoint(endpoint);
    const before = this.#update(line, (state) => inPhase(state, PHASE.healthy, 0));
    if (phaseOf(before) === PHASE.healthy) return false;
    resetFailures(this.#memory, line);
    Atomics.store(this.#memory, line + CHANGED, nowMs | 0);
    Atomics.store(this.#memory, line + SINCE, momentOf(nowMs));
    this.#countReturned(this.#memory[line + SERVICE]);
    return true;
  }

  /**
   * The periodic sweep of one endpoint, every outlier `intervalMs`: the multiplier k falls by one for
   * each interval spent healthy.
   */
  sweep(endpoint: number, nowMs: number, intervalMs: number): void {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    const phase = phaseOf(Atomics.load(memory, line + STATE));
    if (phase === PHASE.ejected) {
      const untilMs = Atomics.load(memory, line + UNTIL);
      if (hasPassed(nowMs - RESTATE_AFTER_MS, untilMs)) {
        Atomics.compareExchange(memory, line + UNTIL, untilMs, nowMs | 0);
      }
    }
    const multiplier = Atomics.load(memory, line + MULTIPLIER);
    if (phase !== PHASE.healthy || multiplier === 0) return;
    if (!hasPassed(nowMs - intervalMs, Atomics.load(memory, line + CHANGED))) return;
    if (Atomics.compareExchange(memory, line + MULTIPLIER, multiplier, multiplier - 1) !== multiplier) return;
    Atomics.store(memory, line + CHANGED, nowMs | 0);
  }

  read(endpoint: number, nowMs: number): EndpointReading {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    const state = Atomics.load(memory, line + STATE);
    const phase = phaseOf(state);
    const isEjected = phase === PHASE.ejected || phase === PHASE.ejecting;
    const remainingMs = (Atomics.load(memory, line + UNTIL) - (nowMs | 0)) | 0;
    return {
      active: countOf(memory, line + ACTIVE),
      state: isEjected ? 'ejected' : phase === PHASE.probing ? 'probing' : 'healthy',
      passesHealthCheck: (state & UNHEALTHY) === 0,
      degraded: (state & DEGRADED) !== 0,
      ejectedForMs: isEjected ? Math.max(0, remainingMs) : 0,
      ejectionMultiplier: Atomics.load(memory, line + MULTIPLIER),
      ejections: Atomics.load(memory, line + ENDPOINT_EJECTIONS) >>> 0,
      unenforced: Atomics.load(memory, line + UNENFORCED) >>> 0,
      finding: findingOf(Atomics.load(memory, line + FINDING)),
      consecutive5xx: Atomics.load(memory, line + CONSECUTIVE_5XX),
      consecutiveGatewayErrors: Atomics.load(memory, line + CONSECUTIVE_GATEWAY),
      consecutiveLocalOriginFailures: Atomics.load(memory, line + CONSECUTIVE_LOCAL),
      latencyMs: this.#latency(line),
    };
  }

  #latency(line: number): number | null {
    const latencyMs = new Float32Array(this.#memory.buffer, 4 * (line + LATENCY), 1)[0] as number;
    return latencyMs === 0 ? null : latencyMs;
  }

  /** Returns what a dead worker held; for Ledger.giveBack. The result: recounts that are still to be made. */
  giveBack(worker: number, nowMs: number, live: () => number[]): (() => boolean)[] {
    const recounts: (() => boolean)[] = [];
    for (let endpoint = 0; endpoint < this.#slots.touched; endpoint++) {
      this.#freeTransition(endpoint, worker, nowMs);
      const word = this.#layout.endpoint(endpoint) + ACTIVE;
      const own = (of: number): number => this.#layout.ownActive(of, endpoint);
      if (giveBackOwned(this.#memory, word, own(worker))) continue;
      recounts.push(() => {
        const workers = live();
        const sum = (): number => workers.reduce((total, of) => total + ownedCount(this.#memory, own(of)), 0);
        return recountFrozen(this.#memory, word, (of) => isBusyCell(this.#memory, own(of)), workers, sum);
      });
    }
    const mark = this.#layout.worker(worker) + EJECTION_IN_PROGRESS;
    const service = this.#memory[mark] - 1;
    this.#memory[mark] = 0;
    if (service >= 0) recounts.push(() => this.#recountEjected(service, live()));
    return recounts;
  }

  /** A probe, or an ejection half made, of a dead worker: ejected, and the next request may probe. */
  #freeTransition(endpoint: number, worker: number, nowMs: number): void {
    const line = this.#layout.endpoint(endpoint);
    const state = Atomics.load(this.#memory, line + STATE);
    if (phaseOf(state) === PHASE.healthy || phaseOf(state) === PHASE.ejected) return;
    if (ownerOf(state) !== worker) return;
    Atomics.store(this.#memory, line + UNTIL, nowMs | 0);
    this.#update(line, (now) => inPhase(now, PHASE.ejected, 0));
  }

  #recountEjected(service: number, live: readonly number[]): boolean {
    const memory = this.#memory;
    const word = this.#layout.statistics(service) + EJECTED;
    const isBusy = (of: number): boolean =>
      Atomics.load(memory, this.#layout.worker(of) + EJECTION_IN_PROGRESS) === service + 1;
    return recountFrozen(memory, word, isBusy, live, () => {
      let ejected = 0;
      for (const endpoint of this.#endpointsOf(service)) {
        const state = Atomics.load(memory, this.#layout.endpoint(endpoint) + STATE);
        if (phaseOf(state) !== PHASE.healthy) ejected++;
      }
      return ejected;
    });
  }

  #countReturned(service: number): void {
    Atomics.sub(this.#memory, this.#layout.statistics(service) + EJECTED, 1);
  }

  #countUnavailable(service: number, by: number): void {
    Atomics.add(this.#memory, this.#layout.statistics(service) + UNAVAILABLE, by);
  }

  #endpointsOf(service: number): Set<number> {
    let endpoints = this.#ofService[service];
    if (endpoints === undefined) {
      endpoints = new Set();
      this.#ofService[service] = endpoints;
    }
    return endpoints;
  }

  /** Makes a slot new but for its generation, which makes tickets of its former life void. */
  #clear(slot: number): void {
    const line = this.#layout.endpoint(slot);
    const state = nextGeneration(this.#memory[line + STATE]);
    this.#results.take(slot);
    this.#memory.fill(0, line, line + ENDPOINT_WORDS);
    Atomics.store(this.#memory, line + STATE, inPhase(state, PHASE.healthy, 0) & ~(UNHEALTHY | DEGRADED));
  }

  /** Applies a transition; returns the state before it. */
  #update(line: number, change: (state: number) => number): number {
    for (;;) {
      const state = Atomics.load(this.#memory, line + STATE);
      if (Atomics.compareExchange(this.#memory, line + STATE, state, change(state)) === state) return state;
    }
  }
}

function slotKey(service: number, key: string): string {
  return `${service} ${key}`;
}

const HUNDREDTHS = 100;

function findingOf(word: number): Finding {
  const detector = DETECTOR_NAMES[detectorOf(word)];
  const scale = detector.startsWith('SUCCESS_RATE') || detector.startsWith('FAILURE') ? HUNDREDTHS : 1;
  return { detector, observed: observedOf(word) / scale, threshold: thresholdOf(word) / scale };
}
