// Who calls, and what each caller holds on the whole node: connections, requests, bytes that wait, and how often a
// connection of its ended by its own fault.
//
// A caller's place is found by a hash of its address (64 bits, seeded, so that nobody can choose addresses that collide)
// among WINDOW neighbouring places. Workers only ever fill places, with one compare-and-swap: of two that look for the same
// caller at once both try the same first free place, and the loser finds the winner's key there. Only the
// supervisor empties places (caller-admin.ts), while no worker looks or takes: it freezes the table, and each
// worker says by its busy cell that it is inside. A caller that holds a connection keeps its place, so whatever
// is counted for a connection needs no search.
//
// Connections and requests have owners (owned.ts). Of bytes each worker writes a cell of its own, and whoever compares them with
// a limit adds them up: they are no admission, so nothing can be admitted twice.

import { type CallerWords, readCaller } from './caller-key.ts';
import {
  ADDRESS,
  ADMITTED,
  CALLER_GAUGE,
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
  WINDOW,
} from './caller-layout.ts';
import type { Memory } from './layout.ts';
import { hasPassed } from './outlier.ts';
import { acquireOwned, awaitThaw, countOf, FROZEN, MAX_COUNT, releaseOwned } from './owned.ts';

/** What `enter` says instead of a place. */
export const NO_CALLER = {
  /** The connection passes uncounted: there is no place for its caller, or it has no IP address. */
  untracked: -1,
  /** The caller holds as many connections as it may. */
  full: -2,
  /** It has offended too often, and waits. */
  penalty: -3,
} as const;

/** How often a caller may offend; compile once per snapshot. */
export interface OffencePolicy {
  /** Offences forgiven at once. */
  readonly burst: number;
  /** One more is forgiven so often, in ms. */
  readonly refillMs: number;
  /** How long new connections are refused after one that is not forgiven, in ms. */
  readonly penaltyMs: number;
}

/** One worker's access to all callers. `slot`: what `enter` returned, 0 or more. */
export class CallerTable {
  readonly #memory: Memory;
  readonly #keys: BigInt64Array<SharedArrayBuffer>;
  readonly #layout: CallerLayout;
  readonly #worker: number;
  readonly #words: CallerWords = new Int32Array(4);
  /** The key that is looked for, as two words and as one number. */
  readonly #halves = new Int32Array(2);
  readonly #whole = new BigInt64Array(this.#halves.buffer);

  constructor(buffers: CallerBuffers, worker: number) {
    this.#memory = new Int32Array(buffers.memory);
    this.#keys = new BigInt64Array(buffers.memory);
    this.#layout = new CallerLayout(buffers.workers, buffers.capacity);
    this.#worker = worker;
  }

  /**
   * Counts a new connection: its caller's place until `leave`, or why it has none (`NO_CALLER`). `limit`: connections that
   * a caller may hold; 0: any number. `nowMs`: see WorkerLedger.
   */
  enter(address: string, ipv6PrefixLength: number, limit: number, nowMs: number): number {
    if (!readCaller(address, ipv6PrefixLength, this.#words)) return NO_CALLER.untracked;
    this.#makeKey();
    this.#begin();
    const slot = this.#place();
    const outcome = slot < 0 ? slot : this.#admit(slot, limit, nowMs);
    Atomics.store(this.#memory, this.#layout.busy(this.#worker), 0);
    return outcome;
  }

  /** The connection has ended. Throws if this worker holds none. */
  leave(slot: number): void {
    const line = this.#layout.line(slot);
    const own = this.#layout.own(this.#worker, slot, CALLER_GAUGE.connections);
    releaseOwned(this.#memory, line + CALLER_GAUGE.connections, own);
  }

  /** Takes one of a caller's requests unless it has `limit` of them. */
  acquireRequest(slot: number, limit: number): boolean {
    const line = this.#layout.line(slot);
    const own = this.#layout.own(this.#worker, slot, CALLER_GAUGE.requests);
    if (acquireOwned(this.#memory, line + CALLER_GAUGE.requests, own, limit) > 0) return true;
    this.refuseRequest(slot);
    return false;
  }

  /** Throws if this worker holds none. */
  releaseRequest(slot: number): void {
    const line = this.#layout.line(slot);
    const own = this.#layout.own(this.#worker, slot, CALLER_GAUGE.requests);
    releaseOwned(this.#memory, line + CALLER_GAUGE.requests, own);
  }

  /** Counts a request that was refused for another reason. */
  refuseRequest(slot: number): void {
    Atomics.add(this.#memory, this.#layout.line(slot) + REFUSED_REQUESTS, 1);
  }

  /** So many bytes more wait for the caller; negative: fewer. */
  addBytes(slot: number, bytes: number): void {
    this.#memory[this.#layout.ownBytes(this.#worker, slot)] += bytes;
  }

  /** Bytes that wait for it on this node. */
  bytes(slot: number): number {
    return callerBytes(this.#memory, this.#layout, slot);
  }

  connections(slot: number): number {
    return countOf(this.#memory, this.#layout.line(slot) + CALLER_GAUGE.connections);
  }

  requests(slot: number): number {
    return countOf(this.#memory, this.#layout.line(slot) + CALLER_GAUGE.requests);
  }

  /**
   * Counts that a connection ended by its caller's fault. True: that was one too many, and new connections are refused.
   * The bucket is the moment at which it will be full again (GCRA), one word for all workers.
   */
  offend(slot: number, nowMs: number, policy: OffencePolicy): boolean {
    const memory = this.#memory;
    const line = this.#layout.line(slot);
    const now = nowMs | 0;
    Atomics.add(memory, line + OFFENCES, 1);
    for (;;) {
      const seen = Atomics.load(memory, line + FULL_AT);
      const from = seen === 0 || hasPassed(now, seen) ? now : seen;
      const next = (from + policy.refillMs) | 0;
      if (((next - now) | 0) > policy.burst * policy.refillMs) {
        const until = (now + policy.penaltyMs) | 0 || 1;
        const before = Atomics.exchange(memory, line + PENALTY_UNTIL, until);
        if (before === 0 || hasPassed(now, before)) Atomics.add(memory, line + PENALTIES, 1);
        return true;
      }
      if (Atomics.compareExchange(memory, line + FULL_AT, seen, next || 1) === seen) return false;
    }
  }

  /** Nobody empties places from here until the busy cell is 0 again. */
  #begin(): void {
    const memory = this.#memory;
    const busy = this.#layout.busy(this.#worker);
    for (;;) {
      Atomics.store(memory, busy, 1);
      if ((Atomics.load(memory, FREEZE) & FROZEN) === 0) return;
      Atomics.store(memory, busy, 0);
      awaitThaw(memory, FREEZE);
    }
  }

  #admit(slot: number, limit: number, nowMs: number): number {
    const memory = this.#memory;
    const line = this.#layout.line(slot);
    const until = Atomics.load(memory, line + PENALTY_UNTIL);
    const isFree = until === 0 || hasPassed(nowMs, until);
    const own = this.#layout.own(this.#worker, slot, CALLER_GAUGE.connections);
    const atMost = limit === 0 ? MAX_COUNT : limit;
    if (isFree && acquireOwned(memory, line + CALLER_GAUGE.connections, own, atMost) > 0) {
      Atomics.add(memory, line + ADMITTED, 1);
      return slot;
    }
    Atomics.add(memory, line + REFUSED_CONNECTIONS, 1);
    return isFree ? NO_CALLER.full : NO_CALLER.penalty;
  }

  /** The caller's place, a new one if it has none. */
  #place(): number {
    const memory = this.#memory;
    const mask = this.#layout.capacity - 1;
    const [low = 0, high = 0] = this.#halves;
    for (let i = 0; i < WINDOW; i++) {
      const slot = (low + i) & mask;
      const key = this.#layout.key(slot);
      if (memory[key] === low && memory[key + 1] === high) return slot;
    }
    for (let i = 0; i < WINDOW; i++) {
      const slot = (low + i) & mask;
      const found = Atomics.compareExchange(
        this.#keys,
        this.#layout.key(slot) >> 1,
        0n,
        this.#whole[0] as bigint,
      );
      if (found === 0n) {
        memory.set(this.#words, this.#layout.line(slot) + ADDRESS);
        return slot;
      }
      if (found === this.#whole[0]) return slot;
    }
    Atomics.add(memory, UNTRACKED, 1);
    return NO_CALLER.untracked;
  }

  /** Hashes the address into a key that isn't 0. */
  #makeKey(): void {
    let low = this.#memory[SEED] as number;
    let high = ~low;
    for (let i = 0; i < 4; i++) {
      const word = this.#words[i] as number;
      low = mix(low ^ word);
      high = mix(Math.imul(high ^ word, 0x9e3779b1) + low);
    }
    this.#halves[0] = low;
    this.#halves[1] = high === 0 ? 1 : high;
  }
}

/** MurmurHash3's finaliser: each bit of the input turns half of the bits of the output. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
