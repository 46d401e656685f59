// Where the cells of callers lie: a SharedArrayBuffer of their own, since they come and go with traffic and not with
// configuration. First a head, then the keys close together (a search reads up to WINDOW of them), then a 64-byte line
// per caller, then one block per worker with what that worker alone writes.
import { LIMITS } from '../base/index.ts';
import type { Memory } from './layout.ts';

/** The structured-cloneable handle of the callers, for workerData. */
export interface CallerBuffers {
  readonly workers: number;
  /** A power of two. */
  readonly capacity: number;
  readonly memory: SharedArrayBuffer;
}

/** What a caller holds. */
export const CALLER_GAUGE = { connections: 0, requests: 1 } as const;
export type CallerGauge = (typeof CALLER_GAUGE)[keyof typeof CALLER_GAUGE];
export const CALLER_GAUGES = 2;

/** Words of the head. */
export const FREEZE = 0;
export const SEED = 1;
/** Connections of callers for which there was no place. */
export const UNTRACKED = 2;

/** Words of a caller's line; its gauges come first. */
export const ADDRESS = CALLER_GAUGES;
/** When the bucket of offences will be full again; 0: it is. */
export const FULL_AT = ADDRESS + 4;
/** Until when new connections are refused; 0: they are not. */
export const PENALTY_UNTIL = FULL_AT + 1;
/** Since the place was taken. */
export const ADMITTED = PENALTY_UNTIL + 1;
export const OFFENCES = ADMITTED + 1;
export const PENALTIES = OFFENCES + 1;
export const REFUSED_CONNECTIONS = PENALTIES + 1;
export const REFUSED_REQUESTS = REFUSED_CONNECTIONS + 1;

const LINE = 16;
const KEY_WORDS = 2;
/** A worker's cells of one caller: what it holds of each gauge, and bytes. */
const OWN_WORDS = CALLER_GAUGES + 1;
const OWN_BYTES = CALLER_GAUGES;

/** Places where a caller may be; at first all are taken when the table is three quarters full (test/ledger/callers.test.ts). */
export const WINDOW = 64;

/** Offsets, in 32-bit words. */
export class CallerLayout {
  readonly workers: number;
  readonly capacity: number;
  readonly words: number;
  readonly #lines: number;
  readonly #workers: number;
  readonly #workerWords: number;

  constructor(workers: number, capacity: number) {
    this.workers = workers;
    this.capacity = capacity;
    this.#lines = LINE + KEY_WORDS * capacity;
    this.#workers = this.#lines + LINE * capacity;
    this.#workerWords = LINE + OWN_WORDS * capacity;
    this.words = this.#workers + this.#workerWords * workers;
  }

  /** Two words, at an even place. */
  key(slot: number): number {
    return LINE + KEY_WORDS * slot;
  }

  line(slot: number): number {
    return this.#lines + LINE * slot;
  }

  /** 1 while the worker looks for a caller's place, or takes one. */
  busy(worker: number): number {
    return this.#workers + this.#workerWords * worker;
  }

  own(worker: number, slot: number, gauge: CallerGauge): number {
    return this.busy(worker) + LINE + OWN_WORDS * slot + gauge;
  }

  ownBytes(worker: number, slot: number): number {
    return this.busy(worker) + LINE + OWN_WORDS * slot + OWN_BYTES;
  }
}

/** Bytes that wait for a caller, over all workers. */
export function callerBytes(memory: Memory, layout: CallerLayout, slot: number): number {
  let sum = 0;
  for (let worker = 0; worker < layout.workers; worker++)
    sum += Atomics.load(memory, layout.ownBytes(worker, slot));
  return sum;
}

export const CALLER_CAPACITY = LIMITS.callers;
