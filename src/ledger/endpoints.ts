// What all workers know of an endpoint: active requests, consecutive failures, health, ejection.
//
// Ejection follows Envoy's outlier detection with two changes: a count floor beside the percentage
// (10 % of fewer than 10 hosts ejects nobody in Envoy, envoy#27909), and Linkerd's return by a
// single probe instead of by time alone. How an endpoint is ejected is in ejection.ts.
import { Ejector, isCurrent } from './ejection.ts';
import {
  ACTIVE,
  CONSECUTIVE_5XX,
  CONSECUTIVE_GATEWAY,
  CONSECUTIVE_LOCAL,
  LATENCY,
  LATENCY_AT,
  type Layout,
  type Memory,
  SERVICE,
  SINCE,
  STATE,
  UNAVAILABLE,
  UNTIL,
} from './layout.ts';
import { DEGRADED, generationOf, hasPassed, inPhase, PHASE, phaseOf, UNHEALTHY } from './outlier.ts';
import {
  AVAILABLE,
  type Availability,
  DETECTOR,
  type Detector,
  FAILED,
  type FailedKind,
  isProbe,
  NOT_ADMITTED,
  OUTLIER,
  type OutlierOutcome,
  type OutlierPolicy,
  type Result,
} from './outlier-policy.ts';
import { acquireOwned, countOf, releaseOwned } from './owned.ts';

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
  readonly #ejector: Ejector;

  /** `random` returns 0 <= x < 1: for jitter, and for detections that are enforced now and then. */
  constructor(memory: Memory, layout: Layout, worker: number, random: () => number) {
    this.#memory = memory;
    this.#floats = new Float32Array(memory.buffer);
    this.#layout = layout;
    this.#worker = worker;
    this.#ejector = new Ejector(memory, layout, worker, layout.worker(worker), random);
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
    if (phase === PHASE.healthy) return (state & DEGRADED) === 0 ? AVAILABLE.yes : AVAILABLE.degraded;
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
      this.#ejector.end(endpoint, ticket, nowMs);
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
    if (isProbe(ticket)) return this.#ejector.again(endpoint, ticket, nowMs, policy);
    if (!isCurrent(Atomics.load(memory, line + STATE), ticket)) return OUTLIER.ignored;
    if (kind !== FAILED.localOrigin) clear(memory, line + CONSECUTIVE_LOCAL); // it answered, so it was reached
    if (kind === FAILED.serverError) clear(memory, line + CONSECUTIVE_GATEWAY);
    const counted =
      kind === FAILED.localOrigin && policy.splitExternalLocalOriginErrors ? LOCAL_ONLY : COUNTED[kind];
    let outcome: OutlierOutcome = OUTLIER.counted;
    for (const consecutive of counted) {
      const found = this.#countInRow(endpoint, consecutive, ticket, nowMs, hosts, policy);
      if (found === OUTLIER.ejected || outcome === OUTLIER.counted) outcome = found;
    }
    return outcome;
  }

  /**
   * Counts how a request ended, for the success rates that the supervisor looks at; beside `reportSuccess` or
   * `reportFailure`, of any request that says something of the endpoint.
   */
  count(endpoint: number, result: Result): void {
    this.#memory[this.#layout.results(this.#worker, endpoint) + result]++;
  }

  /** The endpoint asks for no more requests (Envoy: x-envoy-immediate-health-check-fail): until its active checks pass. */
  failHealth(endpoint: number): void {
    const memory = this.#memory;
    const line = this.#layout.endpoint(endpoint);
    if ((Atomics.load(memory, line + STATE) & UNHEALTHY) !== 0) return;
    const before = Atomics.or(memory, line + STATE, UNHEALTHY);
    if ((before & UNHEALTHY) === 0 && phaseOf(before) === PHASE.healthy)
      Atomics.add(memory, this.#layout.statistics(memory[line + SERVICE]) + UNAVAILABLE, 1);
  }

  /** The request ended without saying anything of the endpoint. A probe is free for the next request. */
  abandon(endpoint: number, ticket: number): void {
    if (!isProbe(ticket)) return;
    const word = this.#layout.endpoint(endpoint) + STATE;
    for (;;) {
      const state = Atomics.load(this.#memory, word);
      if (!this.#ejector.ownsProbe(state, ticket)) return;
      const ejected = inPhase(state, PHASE.ejected, 0);
      if (Atomics.compareExchange(this.#memory, word, state, ejected) === state) return;
    }
  }

  #countInRow(
    endpoint: number,
    { detector, counter, threshold }: Consecutive,
    ticket: number,
    nowMs: number,
    hosts: number,
    policy: OutlierPolicy,
  ): OutlierOutcome {
    const word = this.#layout.endpoint(endpoint) + counter;
    const count = Atomics.add(this.#memory, word, 1) + 1;
    const limit = policy[threshold];
    if (limit === 0 || count < limit) return OUTLIER.counted;
    const found = this.#ejector.detected(endpoint, ticket, nowMs, hosts, policy, detector, count, limit);
    // As in Envoy, what was let pass begins to count anew.
    if (found === OUTLIER.unenforced) Atomics.store(this.#memory, word, 0);
    return found;
  }
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** 0 would be no answer yet. */
const LATENCY_MS_MIN = 0.001;

/** A detector that counts failures in a row: in which word of the endpoint's line, and up to what. */
interface Consecutive {
  readonly detector: Detector;
  readonly counter: number;
  readonly threshold: 'consecutive5xxErrors' | 'consecutiveGatewayErrors' | 'consecutiveLocalOriginFailures';
}

const ANY_5XX: Consecutive = {
  detector: DETECTOR.consecutive5xx,
  counter: CONSECUTIVE_5XX,
  threshold: 'consecutive5xxErrors',
};
const GATEWAY: Consecutive = {
  detector: DETECTOR.consecutiveGatewayFailure,
  counter: CONSECUTIVE_GATEWAY,
  threshold: 'consecutiveGatewayErrors',
};
const LOCAL: Consecutive = {
  detector: DETECTOR.consecutiveLocalOriginFailure,
  counter: CONSECUTIVE_LOCAL,
  threshold: 'consecutiveLocalOriginFailures',
};

/** What counts a failure, by its kind, in Envoy's order. */
const COUNTED = [[ANY_5XX], [GATEWAY, ANY_5XX], [LOCAL, GATEWAY, ANY_5XX]] as const;
const LOCAL_ONLY = [LOCAL] as const;

/** Most answers find 0 here: reading first keeps the line shared between cores. */
function clear(memory: Memory, word: number): void {
  if (Atomics.load(memory, word) !== 0) Atomics.store(memory, word, 0);
}
