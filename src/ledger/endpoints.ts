// What all workers know of an endpoint: active requests, consecutive failures, ejection.
//
// Ejection follows Envoy's outlier detection with two changes: a count floor beside the percentage
// (10 % of fewer than 10 hosts ejects nobody in Envoy, envoy#27909), and Linkerd's return by a
// single probe instead of by time alone. The number of ejected endpoints of a service is reserved
// by compare-and-swap before an endpoint changes state and returned after, so it is never below
// the truth and concurrent ejections never pass the limit. A worker marks the service whose number
// it is changing; if it ends then, the supervisor freezes the number and recounts (see owned.ts).
import {
  ACTIVE,
  CHANGED,
  CONSECUTIVE_5XX,
  CONSECUTIVE_GATEWAY,
  CONSECUTIVE_LOCAL,
  EJECTED,
  EJECTION_IN_PROGRESS,
  EJECTIONS,
  EJECTIONS_OVERFLOW,
  ENDPOINT_EJECTIONS,
  LATENCY,
  LATENCY_AT,
  type Layout,
  type Memory,
  MULTIPLIER,
  SERVICE,
  SINCE,
  STATE,
  UNTIL,
} from './layout.ts';
import {
  generationOf,
  hasPassed,
  inPhase,
  momentOf,
  nextGeneration,
  ownerOf,
  PHASE,
  phaseOf,
  REMOVED,
  UNHEALTHY,
} from './outlier.ts';
import {
  AVAILABLE,
  type Availability,
  ejectionLimit,
  FAILED,
  type FailedKind,
  isProbe,
  NOT_ADMITTED,
  OUTLIER,
  type OutlierOutcome,
  type OutlierPolicy,
} from './outlier-policy.ts';
import { acquireOwned, awaitThaw, countOf, FROZEN, releaseOwned } from './owned.ts';

/**
 * One worker's access to every endpoint. `nowMs` is the clock of WorkerLedger. Nothing here allocates.
 * Each admitted request carries its ticket and reports exactly one of success, failure, abandoned.
 */
export class EndpointTable {
  readonly #memory: Memory;
  /** The same memory, for the words that hold fractions. */
  readonly #floats: Float32Array;
  readonly #layout: Layout;
  readonly #worker: number;
  readonly #inProgress: number;

  constructor(memory: Memory, layout: Layout, worker: number) {
    this.#memory = memory;
    this.#floats = new Float32Array(memory.buffer);
    this.#layout = layout;
    this.#worker = worker;
    this.#inProgress = layout.worker(worker) + EJECTION_IN_PROGRESS;
  }

  /** Counts an active request in, unless the endpoint has `limit` of them (Infinity: no limit). */
  acquire(endpoint: number, limit: number): boolean {
    const own = this.#layout.ownActive(this.#worker, endpoint);
    return acquireOwned(this.#memory, this.#layout.endpoint(endpoint) + ACTIVE, own, limit) !== 0;
  }

  /** Counts an active request out. Throws if this worker has none there. */
  release(endpoint: number): void {
    const own = this.#layout.ownActive(this.#worker, endpoint);
    releaseOwned(this.#memory, this.#layout.endpoint(endpoint) + ACTIVE, own);
  }

  /** Active requests of all workers: what least-request compares. */
  active(endpoint: number): number {
    return countOf(this.#memory, this.#layout.endpoint(endpoint) + ACTIVE);
  }

  /**
   * For how long it has been in use: since it was added, since its active check passes again, or since its last ejection
   * ended; Infinity beyond a day.
   */
  inUseForMs(endpoint: number, nowMs: number): number {
    const word = this.#layout.endpoint(endpoint) + SINCE;
    const since = Atomics.load(this.#memory, word);
    if (since === 0) return Number.POSITIVE_INFINITY;
    const ageMs = ((nowMs | 0) - since) | 0;
    if (ageMs >= 0 && ageMs <= DAY_MS) return ageMs;
    // The supervisor's clock may be a little ahead of a turn's.
    if (ageMs < 0 && ageMs > -MINUTE_MS) return 0;
    // Forgotten, because in 49 days the 32 bits would show this moment again.
    Atomics.compareExchange(this.#memory, word, since, 0);
    return Number.POSITIVE_INFINITY;
  }

  /**
   * The endpoint's latency by all workers' answers, in ms: an average of which recent answers count most, that rises to a
   * higher sample at once (Finagle's peak EWMA), and falls by `decayMs` to 1/e while nothing is heard. `initialMs`: before
   * the first answer.
   */
  latencyMs(endpoint: number, nowMs: number, decayMs: number, initialMs: number): number {
    const line = this.#layout.endpoint(endpoint);
    const latencyMs = this.#floats[line + LATENCY] as number;
    return latencyMs === 0 ? initialMs : latencyMs * this.#decayed(line, nowMs, decayMs);
  }

  /**
   * Takes a sample into the latency. Its two words are written one after the other: a sample of another worker's in between
   * may be weighed a little wrongly, which an average bears.
   */
  observeLatency(endpoint: number, sampleMs: number, nowMs: number, decayMs: number): void {
    const line = this.#layout.endpoint(endpoint);
    const latencyMs = this.#floats[line + LATENCY] as number;
    const kept = latencyMs === 0 ? 0 : this.#decayed(line, nowMs, decayMs);
    const isPeak = sampleMs >= latencyMs * kept;
    const nextMs = isPeak ? sampleMs : latencyMs * kept + sampleMs * (1 - kept);
    this.#floats[line + LATENCY] = Math.max(nextMs, LATENCY_MS_MIN);
    Atomics.store(this.#memory, line + LATENCY_AT, nowMs | 0);
  }

  /** What is left of the latency since it was written: 1 at once, 1/e after `decayMs`. */
  #decayed(line: number, nowMs: number, decayMs: number): number {
    const ageMs = ((nowMs | 0) - Atomics.load(this.#memory, line + LATENCY_AT)) | 0;
    return ageMs <= 0 ? 1 : Math.exp(-ageMs / decayMs);
  }

  /** What a request would meet now; changes nothing. For choosing candidates and for panic. */
  availability(endpoint: number, nowMs: number): Availability {
    const line = this.#layout.endpoint(endpoint);
    const state = Atomics.load(this.#memory, line + STATE);
    if ((state & UNHEALTHY) !== 0) return AVAILABLE.no;
    const phase = phaseOf(state);
    if (phase === PHASE.healthy) return AVAILABLE.yes;
    if (phase !== PHASE.ejected) return AVAILABLE.no;
    return hasPassed(nowMs, Atomics.load(this.#memory, line + UNTIL)) ? AVAILABLE.probe : AVAILABLE.no;
  }

  /** Admits a request: its ticket, or NOT_ADMITTED. An ejection that is over admits one request, as the probe. */
  admit(endpoint: number, nowMs: number): number {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    for (;;) {
      const state = Atomics.load(memory, line + STATE);
      if ((state & UNHEALTHY) !== 0) return NOT_ADMITTED;
      const phase = phaseOf(state);
      if (phase === PHASE.healthy) return generationOf(state) << 1;
      if (phase !== PHASE.ejected) return NOT_ADMITTED;
      if (!hasPassed(nowMs, Atomics.load(memory, line + UNTIL))) return NOT_ADMITTED;
      const probing = inPhase(state, PHASE.probing, this.#worker);
      if (Atomics.compareExchange(memory, line + STATE, state, probing) === state) {
        return (generationOf(state) << 1) | 1;
      }
    }
  }

  /** A ticket regardless of ejection and health, never a probe: for panic routing. */
  admitInPanic(endpoint: number): number {
    return generationOf(Atomics.load(this.#memory, this.#layout.endpoint(endpoint) + STATE)) << 1;
  }

  /** An answer below 500. Resets the consecutive failures; a probe's success ends the ejection. */
  reportSuccess(endpoint: number, ticket: number, nowMs: number): void {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    if (isProbe(ticket)) {
      this.#endEjection(line, ticket, nowMs);
      return;
    }
    if (!isCurrent(Atomics.load(memory, line + STATE), ticket)) return;
    clear(memory, line + CONSECUTIVE_5XX);
    clear(memory, line + CONSECUTIVE_GATEWAY);
    clear(memory, line + CONSECUTIVE_LOCAL);
  }

  /**
   * A failure of `kind`. Counts it and ejects the endpoint when a threshold is reached and the limit
   * allows; a probe's failure ejects it again with the next multiplier. `hosts` is the number of
   * endpoints of the service in this worker's snapshot.
   */
  reportFailure(
    endpoint: number,
    ticket: number,
    kind: FailedKind,
    nowMs: number,
    hosts: number,
    policy: OutlierPolicy,
  ): OutlierOutcome {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    if (isProbe(ticket)) return this.#ejectAgain(line, ticket, nowMs, policy);
    if (!isCurrent(Atomics.load(memory, line + STATE), ticket)) return OUTLIER.ignored;
    if (!this.#countFailure(line, kind, policy)) return OUTLIER.counted;
    return this.tryEject(endpoint, ticket, nowMs, hosts, policy);
  }

  /** The request ended without saying anything of the endpoint. A probe is free for the next request. */
  abandon(endpoint: number, ticket: number): void {
    if (!isProbe(ticket)) return;
    const word = this.#layout.endpoint(endpoint) + STATE;
    for (;;) {
      const state = Atomics.load(this.#memory, word);
      if (!this.#ownsProbe(state, ticket)) return;
      const ejected = inPhase(state, PHASE.ejected, 0);
      if (Atomics.compareExchange(this.#memory, word, state, ejected) === state) return;
    }
  }

  /** Ejects a healthy endpoint now, within the limits, for detectors that count elsewhere. */
  tryEject(
    endpoint: number,
    ticket: number,
    nowMs: number,
    hosts: number,
    policy: OutlierPolicy,
  ): OutlierOutcome {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    const service = memory[line + SERVICE];
    const statistics = this.#layout.statistics(service);
    if (!isCurrent(Atomics.load(memory, line + STATE), ticket)) return OUTLIER.ignored;
    if (!this.#reserveEjection(service, ejectionLimit(hosts, policy))) {
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
      const ejecting = inPhase(nextGeneration(state), PHASE.ejecting, this.#worker);
      if (Atomics.compareExchange(memory, line + STATE, state, ejecting) === state) break;
    }
    this.#finishEjection(line, nowMs, policy);
    memory[this.#inProgress] = 0;
    return OUTLIER.ejected;
  }

  #countFailure(line: number, kind: FailedKind, policy: OutlierPolicy): boolean {
    const memory = this.#memory;
    let reached = false;
    if (kind === FAILED.localOrigin) {
      const local = Atomics.add(memory, line + CONSECUTIVE_LOCAL, 1) + 1;
      reached = isReached(local, policy.consecutiveLocalOriginFailures);
      if (policy.splitExternalLocalOriginErrors) return reached;
    } else {
      clear(memory, line + CONSECUTIVE_LOCAL); // it answered, so it was reached
    }
    if (kind === FAILED.serverError) {
      clear(memory, line + CONSECUTIVE_GATEWAY);
    } else {
      const gateway = Atomics.add(memory, line + CONSECUTIVE_GATEWAY, 1) + 1;
      if (isReached(gateway, policy.consecutiveGatewayErrors)) reached = true;
    }
    const any = Atomics.add(memory, line + CONSECUTIVE_5XX, 1) + 1;
    return isReached(any, policy.consecutive5xxErrors) || reached;
  }

  #endEjection(line: number, ticket: number, nowMs: number): void {
    const memory = this.#memory;
    const service = memory[line + SERVICE];
    this.#beginChange(service);
    for (;;) {
      const state = Atomics.load(memory, line + STATE);
      if (!this.#ownsProbe(state, ticket)) break;
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

  #ejectAgain(line: number, ticket: number, nowMs: number, policy: OutlierPolicy): OutlierOutcome {
    const memory = this.#memory;
    for (;;) {
      const state = Atomics.load(memory, line + STATE);
      if (!this.#ownsProbe(state, ticket)) return OUTLIER.ignored;
      const ejecting = inPhase(nextGeneration(state), PHASE.ejecting, this.#worker);
      if (Atomics.compareExchange(memory, line + STATE, state, ejecting) === state) break;
    }
    this.#finishEjection(line, nowMs, policy);
    return OUTLIER.ejected;
  }

  #finishEjection(line: number, nowMs: number, policy: OutlierPolicy): void {
    const memory = this.#memory;
    const longestMs = Math.max(policy.maxEjectionMs, policy.baseEjectionMs);
    // As in Envoy, k stops where the duration stops growing, so that it is as quick to fall again.
    let multiplier = Atomics.load(memory, line + MULTIPLIER);
    if (policy.baseEjectionMs * multiplier < longestMs) {
      multiplier = Atomics.add(memory, line + MULTIPLIER, 1) + 1;
    }
    const durationMs = Math.min(policy.baseEjectionMs * multiplier, longestMs);
    Atomics.store(memory, line + UNTIL, (nowMs + durationMs) | 0);
    Atomics.add(memory, line + ENDPOINT_EJECTIONS, 1);
    Atomics.add(memory, this.#layout.statistics(memory[line + SERVICE]) + EJECTIONS, 1);
    for (;;) {
      const state = Atomics.load(memory, line + STATE);
      if (phaseOf(state) !== PHASE.ejecting || ownerOf(state) !== this.#worker) return; // removed or unejected
      const ejected = inPhase(state, PHASE.ejected, 0);
      if (Atomics.compareExchange(memory, line + STATE, state, ejected) === state) return;
    }
  }

  /** Marks the service in progress and adds one to its ejected endpoints, unless `limit` are. */
  #reserveEjection(service: number, limit: number): boolean {
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

  #ownsProbe(state: number, ticket: number): boolean {
    return (
      phaseOf(state) === PHASE.probing &&
      ownerOf(state) === this.#worker &&
      generationOf(state) === ticket >> 1
    );
  }
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** 0 would be no answer yet. */
const LATENCY_MS_MIN = 0.001;

/** Forgets the consecutive failures of the endpoint whose line starts at `line`. */
export function resetFailures(memory: Memory, line: number): void {
  Atomics.store(memory, line + CONSECUTIVE_5XX, 0);
  Atomics.store(memory, line + CONSECUTIVE_GATEWAY, 0);
  Atomics.store(memory, line + CONSECUTIVE_LOCAL, 0);
}

function isCurrent(state: number, ticket: number): boolean {
  return phaseOf(state) === PHASE.healthy && (state & REMOVED) === 0 && generationOf(state) === ticket >> 1;
}

function isReached(count: number, threshold: number): boolean {
  return threshold > 0 && count >= threshold;
}

/** Most answers find 0 here: reading first keeps the line shared between cores. */
function clear(memory: Memory, word: number): void {
  if (Atomics.load(memory, word) !== 0) Atomics.store(memory, word, 0);
}
