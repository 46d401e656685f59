// The supervisor's end of the ledger: makes it, gives slots out, returns what ended workers held.
// Everything that reads or repairs over all workers is here; workers never wait for any of it
// except for the microseconds of a recount (owned.ts), and that only after a worker has died in the
// middle of an operation.
import { type Clock, invariant, systemClock } from '../base/index.ts';
import { type AdaptiveReading, giveBackTurn, readAdaptive } from './adaptive.ts';
import { type RetryBudgetPolicy, type RetryBudgetReading, readBudget } from './budget.ts';
import { CallerAdmin } from './caller-admin.ts';
import { EndpointAdmin } from './endpoint-admin.ts';
import { type GaugeReading, readGauge } from './gauges.ts';
import {
  ACKNOWLEDGED,
  COUNT,
  DETECTED,
  EJECTED,
  EJECTIONS,
  EJECTIONS_OVERFLOW,
  ENFORCED,
  GAUGE,
  GAUGES,
  type Gauge,
  GRANTED,
  HEARTBEAT,
  Layout,
  type LedgerBuffers,
  type LedgerShape,
  LIVE,
  MAX_WORKERS,
  type Memory,
  WAITING,
} from './layout.ts';
import { DETECTOR_NAMES, type DetectorName } from './outlier-policy.ts';
import { OverloadAdmin } from './overload.ts';
import { countOf, giveBackOwned, isBusyCell, ownedCount, recountFrozen } from './owned.ts';
import { RateLimitAdmin } from './rate-limit-admin.ts';
import { SlotTable, type SlotUsage } from './slots.ts';
import { grantAgain } from './waiting.ts';

/** Ejection statistics of a service. */
export interface EjectionReading {
  /** Endpoints ejected or being probed now. */
  readonly ejected: number;
  /** Ejections since the slot was allocated (Envoy: ejections_enforced_total). */
  readonly ejections: number;
  /** Ejections refused by the limit (Envoy: ejections_overflow). */
  readonly overflow: number;
}

/** What one detector found since the slot of the service was allocated. */
export interface DetectionReading {
  readonly detector: DetectorName;
  /** Enforced, unenforced and refused by the limit. */
  readonly detected: number;
  readonly enforced: number;
}

export class Ledger {
  /** The handle for workerData. */
  readonly buffers: LedgerBuffers;
  readonly endpoints: EndpointAdmin;
  readonly rateLimits: RateLimitAdmin;
  readonly callers: CallerAdmin;
  readonly overload: OverloadAdmin;
  readonly #memory: Memory;
  readonly #layout: Layout;
  readonly #services: SlotTable;
  /** Recounts that a preempted worker has put off; normally empty. */
  #doubtful: (() => boolean)[] = [];

  constructor(shape: LedgerShape, clock: Clock, random: () => number) {
    checkShape(shape);
    const layout = new Layout(shape);
    const { workers, maxServices, maxEndpoints } = shape;
    const { maxLimits, maxLimitTables } = layout;
    const memory = new SharedArrayBuffer(layout.words * Int32Array.BYTES_PER_ELEMENT);
    this.callers = new CallerAdmin(workers);
    const shared = { memory, callers: this.callers.buffers };
    this.buffers = { workers, maxServices, maxEndpoints, maxLimits, maxLimitTables, ...shared };
    this.#memory = new Int32Array(memory);
    this.#layout = layout;
    const oldestVersion = (): number => this.#oldestVersion();
    this.#services = new SlotTable({
      name: 'services',
      capacity: maxServices,
      oldestVersion,
      isQuiet: (slot) => this.#isServiceQuiet(slot),
      clear: (slot) => layout.clearService(this.#memory, slot),
    });
    this.endpoints = new EndpointAdmin(this.#memory, layout, oldestVersion, clock, random);
    this.rateLimits = new RateLimitAdmin(this.#memory, layout, oldestVersion);
    this.overload = new OverloadAdmin(this.#memory, layout);
  }

  /**
   * The slot of the service `key`, a new one if it has none. A slot lasts until `freeService`.
   * Throws when all slots are in use or draining.
   */
  allocateService(key: string): number {
    return this.#services.allocate(key).slot;
  }

  /** Frees the slot of `key` as of snapshot `version`, the first one without the service. Its endpoints first. */
  freeService(key: string, version: number): void {
    this.#services.free(key, version);
  }

  serviceUsage(): SlotUsage {
    return this.#services.usage();
  }

  readGauge(service: number, gauge: Gauge): GaugeReading {
    return readGauge(this.#memory, this.#layout, service, gauge);
  }

  readBudget(service: number, nowMs: number, policy: RetryBudgetPolicy): RetryBudgetReading {
    return readBudget(this.#memory, this.#layout, service, nowMs, policy);
  }

  /** What adaptive concurrency found for a service; null: it is off, or has not begun. */
  readAdaptive(service: number): AdaptiveReading | null {
    return readAdaptive(this.#memory, this.#layout, service);
  }

  readEjections(service: number): EjectionReading {
    const statistics = this.#layout.statistics(service);
    return {
      ejected: countOf(this.#memory, statistics + EJECTED),
      ejections: Atomics.load(this.#memory, statistics + EJECTIONS) >>> 0,
      overflow: Atomics.load(this.#memory, statistics + EJECTIONS_OVERFLOW) >>> 0,
    };
  }

  /** One reading for each detector, in the order of DETECTOR. */
  readDetections(service: number): DetectionReading[] {
    const line = this.#layout.detections(service);
    return DETECTOR_NAMES.map((detector, index) => ({
      detector,
      detected: Atomics.load(this.#memory, line + DETECTED + index) >>> 0,
      enforced: Atomics.load(this.#memory, line + ENFORCED + index) >>> 0,
    }));
  }

  /**
   * Call before starting a thread in worker slot `worker`: from here until `giveBack` it counts as
   * alive, its heartbeat starts at `nowMs`, and slots freed from now on wait for its acknowledgement.
   */
  workerStarting(worker: number, nowMs: number): void {
    const head = this.#layout.worker(worker);
    invariant(
      this.#memory[head + LIVE] === 0,
      `worker ${worker} was given back before its slot is used again`,
    );
    Atomics.store(this.#memory, head + HEARTBEAT, nowMs | 0);
    Atomics.store(this.#memory, head + ACKNOWLEDGED, 0);
    Atomics.store(this.#memory, head + LIVE, 1);
  }

  /** The snapshot version that the worker has acknowledged last; 0: none yet. */
  acknowledged(worker: number): number {
    return Atomics.load(this.#memory, this.#layout.worker(worker) + ACKNOWLEDGED);
  }

  /** Milliseconds since the worker's last heartbeat, for the watchdog. */
  heartbeatAgeMs(worker: number, nowMs: number): number {
    const beat = Atomics.load(this.#memory, this.#layout.worker(worker) + HEARTBEAT);
    return ((nowMs | 0) - beat) | 0;
  }

  /**
   * Returns everything a worker held. Call in its `exit` event, never before: the thread must have
   * ended. Afterwards every gauge is what the living hold, a probe of the dead worker is free again, and
   * waiting workers have been woken. False: a unit is in doubt because another worker was preempted
   * inside an operation for 2 ms, or died too; that gauge may be one too high until `settle`.
   */
  giveBack(worker: number, nowMs: number): boolean {
    const memory = this.#memory;
    const head = this.#layout.worker(worker);
    Atomics.store(memory, head + LIVE, 0);
    for (let service = 0; service < this.#services.touched; service++) {
      for (let gauge = 0; gauge < GAUGES; gauge++) this.#giveBackGauge(worker, service, gauge);
      this.#wakeAfter(worker, service);
      giveBackTurn(memory, this.#layout, service, worker);
    }
    this.overload.giveBack(worker);
    this.#doubtful.push(...this.endpoints.giveBack(worker, nowMs, () => this.#live()));
    this.rateLimits.giveBack(worker);
    this.#doubtful.push(...this.callers.giveBack(worker, () => this.#live()));
    memory.fill(0, this.#layout.wanted(worker), this.#layout.wanted(worker) + this.#layout.wantedWords);
    return this.settle();
  }

  /** Tries again what `giveBack` left in doubt; call with every watchdog round. True: nothing is in doubt. */
  settle(): boolean {
    if (this.#doubtful.length === 0) return true;
    this.#doubtful = this.#doubtful.filter((recount) => !recount());
    return this.#doubtful.length === 0;
  }

  /** Forgets callers that have gone; call with every watchdog round. */
  sweepCallers(nowMs: number): void {
    this.callers.sweep(nowMs, this.#live());
  }

  #giveBackGauge(worker: number, service: number, gauge: number): void {
    const memory = this.#memory;
    const word = this.#layout.gauge(service, gauge) + COUNT;
    const own = (of: number): number => this.#layout.ownGauge(of, service, gauge);
    if (giveBackOwned(memory, word, own(worker))) return;
    this.#doubtful.push(() => {
      const live = this.#live();
      const sum = (): number => live.reduce((total, of) => total + ownedCount(memory, own(of)), 0);
      const done = recountFrozen(memory, word, (of) => isBusyCell(memory, own(of)), live, sum);
      if (done && gauge === GAUGE.connections) this.#wakeAfter(worker, service);
      return done;
    });
  }

  /** Clears the dead worker from those that wait and lets all others try. */
  #wakeAfter(worker: number, service: number): void {
    const line = this.#layout.gauge(service, GAUGE.connections);
    Atomics.and(this.#memory, line + WAITING, ~(1 << worker));
    Atomics.and(this.#memory, line + GRANTED, ~(1 << worker));
    const waiting = Atomics.load(this.#memory, line + WAITING);
    if (waiting === 0) return;
    for (const other of this.#live()) {
      if ((waiting & (1 << other)) !== 0) grantAgain(this.#memory, this.#layout, service, other);
    }
  }

  #live(): number[] {
    const live: number[] = [];
    for (let worker = 0; worker < this.#layout.workers; worker++) {
      if (this.#memory[this.#layout.worker(worker) + LIVE] === 1) live.push(worker);
    }
    return live;
  }

  #oldestVersion(): number {
    return Math.min(...this.#live().map((worker) => this.acknowledged(worker)));
  }

  #isServiceQuiet(service: number): boolean {
    for (let gauge = 0; gauge < GAUGES; gauge++) {
      if (countOf(this.#memory, this.#layout.gauge(service, gauge) + COUNT) !== 0) return false;
    }
    const line = this.#layout.gauge(service, GAUGE.connections);
    return Atomics.load(this.#memory, line + WAITING) === 0;
  }
}

/**
 * Makes the ledger of this process. Throws when the shape is impossible. `random` returns 0 <= x < 1: for jitter of
 * ejections, and for detections that are enforced now and then.
 */
export function createLedger(
  shape: LedgerShape,
  clock: Clock = systemClock,
  random: () => number = Math.random,
): Ledger {
  return new Ledger(shape, clock, random);
}

function checkShape(shape: LedgerShape): void {
  if (!Number.isInteger(shape.workers) || shape.workers < 1 || shape.workers > MAX_WORKERS) {
    throw new Error(
      `workers: ${shape.workers} is not between 1 and ${MAX_WORKERS}; set workers to at most ${MAX_WORKERS}`,
    );
  }
  for (const name of ['maxServices', 'maxEndpoints'] as const) {
    if (!Number.isInteger(shape[name]) || shape[name] < 1) {
      throw new Error(`${name}: ${shape[name]} is not a positive whole number; correct the limit`);
    }
  }
}
