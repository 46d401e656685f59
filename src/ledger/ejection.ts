// From a detection to an ejection and back: one thread's end of it. What is common to the detectors that
// workers run with each answer, and to those that the supervisor runs each interval.
//
// The number of ejected endpoints of a service is reserved by compare-and-swap before an endpoint changes
// state and returned after, so it is never below the truth and concurrent ejections never pass the limit. A
// worker marks the service whose number it is changing; if it ends then, the supervisor freezes the number
// and recounts (see owned.ts).
import {
  CHANGED,
  CONSECUTIVE_5XX,
  CONSECUTIVE_GATEWAY,
  CONSECUTIVE_LOCAL,
  DETECTED,
  EJECTED,
  EJECTION_IN_PROGRESS,
  EJECTIONS,
  EJECTIONS_OVERFLOW,
  ENDPOINT_EJECTIONS,
  ENFORCED,
  FINDING,
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
  generationOf,
  inPhase,
  momentOf,
  nextGeneration,
  ownerOf,
  PHASE,
  packFinding,
  phaseOf,
  REMOVED,
} from './outlier.ts';
import {
  DETECTOR,
  type Detector,
  ejectionLimit,
  enforcingOf,
  OUTLIER,
  type OutlierOutcome,
  type OutlierPolicy,
} from './outlier-policy.ts';
import { awaitThaw, FROZEN } from './owned.ts';

export class Ejector {
  readonly #memory: Memory;
  readonly #layout: Layout;
  readonly #owner: number;
  readonly #inProgress: number;
  readonly #random: () => number;

  /** `head`: the thread's first line; `random`: returns 0 <= x < 1. */
  constructor(memory: Memory, layout: Layout, owner: number, head: number, random: () => number) {
    this.#memory = memory;
    this.#layout = layout;
    this.#owner = owner;
    this.#inProgress = head + EJECTION_IN_PROGRESS;
    this.#random = random;
  }

  /**
   * A detector found the endpoint out: ejects it, unless it changed since `ticket`, the limit is reached or the policy
   * does not enforce this one. `observed` and `threshold`: counts, or percentages in hundredths.
   */
  detected(
    endpoint: number,
    ticket: number,
    nowMs: number,
    hosts: number,
    policy: OutlierPolicy,
    detector: Detector,
    observed: number,
    threshold: number,
  ): OutlierOutcome {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    const service = memory[line + SERVICE];
    const statistics = this.#layout.statistics(service);
    if (!isCurrent(Atomics.load(memory, line + STATE), ticket)) return OUTLIER.ignored;
    Atomics.add(memory, this.#layout.detections(service) + DETECTED + detector, 1);
    const limit = ejectionLimit(hosts, policy, Math.max(0, Atomics.load(memory, statistics + UNAVAILABLE)));
    const finding = packFinding(detector, observed, threshold);
    // As in Envoy, what the limit forbids is an overflow whether it would have been enforced or not.
    const isFull = (Atomics.load(memory, statistics + EJECTED) & ~FROZEN) >= limit;
    if (!isFull && !this.#isEnforced(policy, detector)) {
      Atomics.store(memory, line + FINDING, finding);
      Atomics.add(memory, line + UNENFORCED, 1);
      return OUTLIER.unenforced;
    }
    if (isFull || !this.#reserve(service, limit)) {
      Atomics.add(memory, statistics + EJECTIONS_OVERFLOW, 1);
      return OUTLIER.overflow;
    }
    for (;;) {
      const state = Atomics.load(memory, line + STATE);
      if (!isCurrent(state, ticket)) {
        Atomics.sub(memory, statistics + EJECTED, 1);
        memory[this.#inProgress] = 0;
        return OUTLIER.ignored;
      }
      const ejecting = inPhase(nextGeneration(state), PHASE.ejecting, this.#owner);
      if (Atomics.compareExchange(memory, line + STATE, state, ejecting) === state) break;
    }
    this.#finish(line, nowMs, policy, detector, finding);
    memory[this.#inProgress] = 0;
    return OUTLIER.ejected;
  }

  /** The probe has failed. */
  again(endpoint: number, ticket: number, nowMs: number, policy: OutlierPolicy): OutlierOutcome {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    for (;;) {
      const state = Atomics.load(memory, line + STATE);
      if (!this.ownsProbe(state, ticket)) return OUTLIER.ignored;
      const ejecting = inPhase(nextGeneration(state), PHASE.ejecting, this.#owner);
      if (Atomics.compareExchange(memory, line + STATE, state, ejecting) === state) break;
    }
    Atomics.add(memory, this.#layout.detections(memory[line + SERVICE]) + DETECTED + DETECTOR.probe, 1);
    this.#finish(line, nowMs, policy, DETECTOR.probe, packFinding(DETECTOR.probe, 1, 1));
    return OUTLIER.ejected;
  }

  /** The probe has succeeded. */
  end(endpoint: number, ticket: number, nowMs: number): void {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    const service = memory[line + SERVICE];
    this.#beginChange(service);
    for (;;) {
      const state = Atomics.load(memory, line + STATE);
      if (!this.ownsProbe(state, ticket)) break;
      resetFailures(memory, line);
      Atomics.store(memory, line + CHANGED, nowMs | 0);
      Atomics.store(memory, line + SINCE, momentOf(nowMs));
      if (Atomics.compareExchange(memory, line + STATE, state, inPhase(state, PHASE.healthy, 0)) === state) {
        Atomics.sub(memory, this.#layout.statistics(service) + EJECTED, 1);
        break;
      }
    }
    memory[this.#inProgress] = 0;
  }

  ownsProbe(state: number, ticket: number): boolean {
    return (
      phaseOf(state) === PHASE.probing &&
      ownerOf(state) === this.#owner &&
      generationOf(state) === ticket >> 1
    );
  }

  #isEnforced(policy: OutlierPolicy, detector: Detector): boolean {
    const percent = enforcingOf(policy, detector);
    return percent >= 100 || (percent > 0 && this.#random() * 100 < percent);
  }

  #finish(line: number, nowMs: number, policy: OutlierPolicy, detector: Detector, finding: number): void {
    const memory = this.#memory;
    const service = memory[line + SERVICE];
    const longestMs = Math.max(policy.maxEjectionMs, policy.baseEjectionMs);
    // As in Envoy, k stops where the duration stops growing, so that it is as quick to fall again.
    let multiplier = Atomics.load(memory, line + MULTIPLIER);
    if (policy.baseEjectionMs * multiplier < longestMs) {
      multiplier = Atomics.add(memory, line + MULTIPLIER, 1) + 1;
    }
    const { maxEjectionJitterMs: jitterMs } = policy;
    const jitter = jitterMs === 0 ? 0 : Math.floor(this.#random() * (jitterMs + 1));
    const durationMs = Math.min(policy.baseEjectionMs * multiplier, longestMs) + jitter;
    Atomics.store(memory, line + UNTIL, (nowMs + durationMs) | 0);
    Atomics.store(memory, line + FINDING, finding);
    Atomics.add(memory, line + ENDPOINT_EJECTIONS, 1);
    Atomics.add(memory, this.#layout.statistics(service) + EJECTIONS, 1);
    Atomics.add(memory, this.#layout.detections(service) + ENFORCED + detector, 1);
    for (;;) {
      const state = Atomics.load(memory, line + STATE);
      if (phaseOf(state) !== PHASE.ejecting || ownerOf(state) !== this.#owner) return; // removed or unejected
      const ejected = inPhase(state, PHASE.ejected, 0);
      if (Atomics.compareExchange(memory, line + STATE, state, ejected) === state) return;
    }
  }

  /** Marks the service in progress and adds one to its ejected endpoints, unless `limit` are. */
  #reserve(service: number, limit: number): boolean {
    const memory = this.#memory;
    const word = this.#layout.statistics(service) + EJECTED;
    memory[this.#inProgress] = service + 1;
    for (;;) {
      const seen = Atomics.load(memory, word);
      if ((seen & FROZEN) !== 0) {
        memory[this.#inProgress] = 0;
        awaitThaw(memory, word);
        memory[this.#inProgress] = service + 1;
      } else if (seen >= limit) {
        memory[this.#inProgress] = 0;
        return false;
      } else if (Atomics.compareExchange(memory, word, seen, seen + 1) === seen) {
        return true;
      }
    }
  }

  /** Marks the service in progress. The read-modify-write orders the mark before a later freeze. */
  #beginChange(service: number): void {
    const memory = this.#memory;
    const word = this.#layout.statistics(service) + EJECTED;
    memory[this.#inProgress] = service + 1;
    while ((Atomics.add(memory, word, 0) & FROZEN) !== 0) {
      memory[this.#inProgress] = 0;
      awaitThaw(memory, word);
      memory[this.#inProgress] = service + 1;
    }
  }
}

/** Forgets the consecutive failures of the endpoint whose line starts at `line`. */
export function resetFailures(memory: Memory, line: number): void {
  Atomics.store(memory, line + CONSECUTIVE_5XX, 0);
  Atomics.store(memory, line + CONSECUTIVE_GATEWAY, 0);
  Atomics.store(memory, line + CONSECUTIVE_LOCAL, 0);
}

/** Whether the endpoint is healthy and in the same life as when the ticket was given. */
export function isCurrent(state: number, ticket: number): boolean {
  return phaseOf(state) === PHASE.healthy && (state & REMOVED) === 0 && generationOf(state) === ticket >> 1;
}
