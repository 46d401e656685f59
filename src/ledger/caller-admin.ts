// Callers as the supervisor has them: it makes the table, shows it, returns what ended workers held, and empties places
// of callers that have gone.
import { randomInt } from 'node:crypto';
import { invariant } from '../base/index.ts';
import { callerText } from './caller-key.ts';
import {
  ADDRESS,
  ADMITTED,
  CALLER_CAPACITY,
  CALLER_GAUGE,
  CALLER_GAUGES,
  type CallerBuffers,
  CallerLayout,
  callerBytes,
  FREEZE,
  FULL_AT,
  OFFENCES,
  PENALTIES,
  PENALTY_UNTIL,
  REFUSED_CONNECTIONS,
  REFUSED_REQUESTS,
  SEED,
  UNTRACKED,
} from './caller-layout.ts';
import type { Memory } from './layout.ts';
import { hasPassed } from './outlier.ts';
import { countOf, giveBackOwned, isBusyCell, ownedCount, recountFrozen } from './owned.ts';

/** How long a caller without a connection is remembered, in ms; not at all while more than half of all places are taken. */
const REMEMBERED_MS = 60_000;

/** One caller at a moment. */
export interface CallerReading {
  readonly address: string;
  readonly connections: number;
  readonly requests: number;
  readonly bufferedBytes: number;
  /** Milliseconds for which new connections are still refused; 0: they are not. */
  readonly penaltyMs: number;
  /** Since the caller was first seen, or last forgotten. */
  readonly connectionsTotal: number;
  readonly offences: number;
  readonly penalties: number;
  readonly refusedConnections: number;
  readonly refusedRequests: number;
}

/** The table as a whole. */
export interface CallerUsage {
  readonly capacity: number;
  readonly used: number;
  /** Callers whose new connections are refused now. */
  readonly penalised: number;
  /** The most connections that one caller holds. */
  readonly connectionsMax: number;
  /** Connections that passed uncounted, because there was no place for their caller. */
  readonly untracked: number;
}

export class CallerAdmin {
  readonly buffers: CallerBuffers;
  readonly #memory: Memory;
  readonly #layout: CallerLayout;
  /** Since when a caller has held nothing, and how many connections had been admitted then, by place. */
  readonly #idle = new Map<number, { sinceMs: number; admitted: number }>();

  /** `capacity`: a power of two. */
  constructor(workers: number, capacity: number = CALLER_CAPACITY) {
    invariant((capacity & (capacity - 1)) === 0, 'the number of callers is a power of two');
    this.#layout = new CallerLayout(workers, capacity);
    const memory = new SharedArrayBuffer(this.#layout.words * Int32Array.BYTES_PER_ELEMENT);
    this.buffers = { workers, capacity, memory };
    this.#memory = new Int32Array(memory);
    this.#memory[SEED] = randomInt(2 ** 31);
  }

  /** All callers, those with most connections first; allocates. `ipv6PrefixLength`: as they were counted. */
  read(nowMs: number, ipv6PrefixLength: number): CallerReading[] {
    const readings: CallerReading[] = [];
    for (const slot of this.#used()) readings.push(this.#readOne(slot, nowMs, ipv6PrefixLength));
    return readings.sort(
      (a, b) => b.connections - a.connections || b.refusedConnections - a.refusedConnections,
    );
  }

  usage(nowMs: number): CallerUsage {
    let used = 0;
    let penalised = 0;
    let connectionsMax = 0;
    for (const slot of this.#used()) {
      const line = this.#layout.line(slot);
      used++;
      if (this.#penaltyMs(line, nowMs) > 0) penalised++;
      connectionsMax = Math.max(connectionsMax, countOf(this.#memory, line + CALLER_GAUGE.connections));
    }
    const untracked = Atomics.load(this.#memory, UNTRACKED) >>> 0;
    return { capacity: this.#layout.capacity, used, penalised, connectionsMax, untracked };
  }

  /**
   * Forgets callers that have gone, and moments that have passed (compared wrap-safe, they would come again after 24
   * days). Call with every watchdog round. `live`: workers that may use the table.
   */
  sweep(nowMs: number, live: readonly number[]): void {
    const gone: number[] = [];
    const used = [...this.#used()];
    const rememberedMs = used.length > this.#layout.capacity / 2 ? 0 : REMEMBERED_MS;
    for (const slot of used) if (this.#hasGone(slot, nowMs, rememberedMs)) gone.push(slot);
    if (gone.length === 0) return;
    const isBusy = (worker: number): boolean => Atomics.load(this.#memory, this.#layout.busy(worker)) !== 0;
    // Where a worker was preempted inside, the next round tries again.
    recountFrozen(this.#memory, FREEZE, isBusy, live, () => {
      for (const slot of gone) if (this.#isQuiet(slot)) this.#empty(slot);
      return 0;
    });
  }

  /** Returns what a dead worker held; for Ledger.giveBack. The result: recounts that are still to be made. */
  giveBack(worker: number, live: () => number[]): (() => boolean)[] {
    const memory = this.#memory;
    const recounts: (() => boolean)[] = [];
    memory[this.#layout.busy(worker)] = 0;
    for (const slot of this.#used()) {
      memory[this.#layout.ownBytes(worker, slot)] = 0;
      for (let gauge = 0; gauge < CALLER_GAUGES; gauge++) {
        const word = this.#layout.line(slot) + gauge;
        const own = (of: number): number => this.#layout.own(of, slot, gauge as 0 | 1);
        if (giveBackOwned(memory, word, own(worker))) continue;
        recounts.push(() => {
          const workers = live();
          const sum = (): number => workers.reduce((total, of) => total + ownedCount(memory, own(of)), 0);
          return recountFrozen(memory, word, (of) => isBusyCell(memory, own(of)), workers, sum);
        });
      }
    }
    return recounts;
  }

  *#used(): Generator<number> {
    for (let slot = 0; slot < this.#layout.capacity; slot++) {
      const key = this.#layout.key(slot);
      if (this.#memory[key] !== 0 || this.#memory[key + 1] !== 0) yield slot;
    }
  }

  #readOne(slot: number, nowMs: number, ipv6PrefixLength: number): CallerReading {
    const memory = this.#memory;
    const line = this.#layout.line(slot);
    const count = (word: number): number => Atomics.load(memory, line + word) >>> 0;
    return {
      address: callerText(memory.subarray(line + ADDRESS, line + ADDRESS + 4), ipv6PrefixLength),
      connections: countOf(memory, line + CALLER_GAUGE.connections),
      requests: countOf(memory, line + CALLER_GAUGE.requests),
      bufferedBytes: callerBytes(memory, this.#layout, slot),
      penaltyMs: this.#penaltyMs(line, nowMs),
      connectionsTotal: count(ADMITTED),
      offences: count(OFFENCES),
      penalties: count(PENALTIES),
      refusedConnections: count(REFUSED_CONNECTIONS),
      refusedRequests: count(REFUSED_REQUESTS),
    };
  }

  #penaltyMs(line: number, nowMs: number): number {
    const until = Atomics.load(this.#memory, line + PENALTY_UNTIL);
    return until === 0 ? 0 : Math.max(0, (until - (nowMs | 0)) | 0);
  }

  #hasGone(slot: number, nowMs: number, rememberedMs: number): boolean {
    const memory = this.#memory;
    const line = this.#layout.line(slot);
    for (const word of [FULL_AT, PENALTY_UNTIL]) {
      const thenMs = Atomics.load(memory, line + word);
      if (thenMs !== 0 && hasPassed(nowMs, thenMs)) Atomics.compareExchange(memory, line + word, thenMs, 0);
    }
    const admitted = Atomics.load(memory, line + ADMITTED);
    const known = this.#idle.get(slot);
    if (!this.#isQuiet(slot)) this.#idle.delete(slot);
    else if (known?.admitted !== admitted) this.#idle.set(slot, { sinceMs: nowMs, admitted });
    return this.#isQuiet(slot) && nowMs - (this.#idle.get(slot)?.sinceMs ?? nowMs) >= rememberedMs;
  }

  /** It holds nothing, and nothing is held against it. */
  #isQuiet(slot: number): boolean {
    const line = this.#layout.line(slot);
    for (const word of [CALLER_GAUGE.connections, CALLER_GAUGE.requests, FULL_AT, PENALTY_UNTIL])
      if (Atomics.load(this.#memory, line + word) !== 0) return false;
    return true;
  }

  /** Only while the table is frozen. The key goes last. */
  #empty(slot: number): void {
    const line = this.#layout.line(slot);
    this.#memory.fill(0, line, line + REFUSED_REQUESTS + 1);
    for (let worker = 0; worker < this.#layout.workers; worker++)
      this.#memory[this.#layout.ownBytes(worker, slot)] = 0;
    Atomics.store(this.#memory, this.#layout.key(slot), 0);
    Atomics.store(this.#memory, this.#layout.key(slot) + 1, 0);
    this.#idle.delete(slot);
  }
}
