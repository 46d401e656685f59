// Connection slots of a service, the one gauge that may be waited for: a worker without a slot would
// else starve beside another's idle pool.
//
// The pool's side of the protocol:
//   acquire() -> true: connect, release() when closed
//             -> false: queue the request (GAUGE.pending), close an idle connection of another
//                endpoint of this service if this worker has one, and wait(); onWake tries again and,
//                if requests are still queued, waits again
//   a connection becomes idle: mustYield() -> close it instead of reusing or keeping it
//   onWanted(service): close one idle connection of that service, if there is one
// Fairness: while any worker waits, others are refused and queue behind; slots are granted in
// rotation; a holder with a queue of its own hands over one connection per HANDOVER_MS, so that under
// contention a slot changes hands every few ms and not at every request.
// Refusals because others wait count as overflow, like any.
import { invariant } from '../base/index.ts';
import { listen, ring } from './doorbell.ts';
import type { ServiceGauges } from './gauges.ts';
import { GAUGE, GRANTED, type Layout, LIMIT, type Memory, WAITING } from './layout.ts';
import { MAX_COUNT } from './owned.ts';
import { bitCount, freeSlots, grantAgain, passOn } from './waiting.ts';

/**
 * How long a worker with a queue may go on using its connections while another waits, in ms. A handover costs a
 * connect (0.1-1 ms in a cluster, a few with TLS), so a slot is busy most of the time either way.
 */
export const HANDOVER_MS = 5;

/** One worker's access to the connection slots of every service. `nowMs`: see WorkerLedger. */
export class ConnectionSlots {
  readonly #memory: Memory;
  readonly #layout: Layout;
  readonly #worker: number;
  readonly #gauges: ServiceGauges;
  readonly #bit: number;
  readonly #wakers: ((() => void) | undefined)[] = [];
  /** Services this worker waits for; few at any time. */
  readonly #waiting: number[] = [];
  #onWanted: ((service: number) => void) | undefined;
  /** When this worker last handed a slot over, or first could have, per contended service. */
  readonly #yieldedMs = new Map<number, number>();
  #woken = -1;

  constructor(memory: Memory, layout: Layout, worker: number, gauges: ServiceGauges) {
    this.#memory = memory;
    this.#layout = layout;
    this.#worker = worker;
    this.#gauges = gauges;
    this.#bit = 1 << worker;
  }

  /**
   * Starts listening; once per worker, before the first `wait`. `onWanted(service)`: another worker
   * waits for a slot and none is free; it may be called for a service whose pool is gone.
   */
  start(onWanted: (service: number) => void): void {
    invariant(this.#onWanted === undefined, 'ConnectionSlots.start is called once per worker');
    this.#onWanted = onWanted;
    listen(this.#memory, this.#layout, this.#worker, () => this.#onRing());
  }

  /** Takes a slot, unless `limit` are held on this node or another worker waits before this one. */
  acquire(service: number, limit: number): boolean {
    const waiting = Atomics.load(this.#memory, this.#layout.gauge(service, GAUGE.connections) + WAITING);
    if ((waiting & ~this.#bit) !== 0 && this.#woken !== service) {
      this.#gauges.countOverflow(service, GAUGE.connections);
      return false;
    }
    return this.#gauges.acquire(service, GAUGE.connections, limit);
  }

  /** Returns a slot, to the next worker that waits. Throws if this worker holds none. */
  release(service: number): void {
    this.#gauges.release(service, GAUGE.connections);
    passOn(this.#memory, this.#layout, service);
  }

  /**
   * Waits for a slot: `onWake` is called once, from the event loop, when it is worth trying again. One
   * wait per service: a second call replaces limit and callback (do so when the limit changes).
   * May wake with nothing free; then wait again. When the queue empties otherwise, stopWaiting().
   */
  wait(service: number, limit: number, onWake: () => void): void {
    invariant(this.#onWanted !== undefined, 'ConnectionSlots.start comes before wait');
    const memory = this.#memory;
    const line = this.#layout.gauge(service, GAUGE.connections);
    if (this.#wakers[service] === undefined) this.#waiting.push(service);
    this.#wakers[service] = onWake;
    Atomics.store(memory, line + LIMIT, Math.min(limit, MAX_COUNT));
    Atomics.or(memory, line + WAITING, this.#bit);
    // The ring of a grant that arrived as this worker last gave up has gone by: ring again.
    if ((Atomics.load(memory, line + GRANTED) & this.#bit) !== 0) ring(memory, this.#layout, this.#worker);
    passOn(memory, this.#layout, service);
    // What is free may go to others that wait, so whoever holds idle connections must hear of it too.
    if (freeSlots(memory, line) < bitCount(Atomics.load(memory, line + WAITING))) this.#askHolders(service);
  }

  /** Gives up waiting; a grant on its way goes to the next. Does nothing when not waiting. */
  stopWaiting(service: number): void {
    if (this.#wakers[service] === undefined) return;
    this.#forget(service);
    this.#leave(service);
  }

  /**
   * Whether a connection that has just become idle must be closed for another worker.
   * `hasQueue`: requests of this worker wait for a connection of this service.
   */
  mustYield(service: number, hasQueue: boolean, nowMs: number): boolean {
    if (!this.#isWanted(service)) {
      if (this.#yieldedMs.size !== 0) this.#yieldedMs.delete(service);
      return false;
    }
    const yieldedMs = this.#yieldedMs.get(service);
    if (yieldedMs === undefined) this.#yieldedMs.set(service, nowMs);
    if (hasQueue && (yieldedMs === undefined || nowMs - yieldedMs < HANDOVER_MS)) return false;
    this.#yieldedMs.set(service, nowMs);
    return true;
  }

  /** Slots held by all workers: the observed value of a decision record. */
  active(service: number): number {
    return this.#gauges.active(service, GAUGE.connections);
  }

  /**
   * Called with every heartbeat: wakes this worker's own waits when a slot is free although nobody
   * told it, as when the worker that was told is stalled.
   */
  tick(): void {
    for (const service of this.#waiting) {
      if (freeSlots(this.#memory, this.#layout.gauge(service, GAUGE.connections)) > 0) {
        grantAgain(this.#memory, this.#layout, service, this.#worker);
      }
    }
  }

  /** Asks every other worker that holds connections of the service to close an idle one. */
  #askHolders(service: number): void {
    const memory = this.#memory;
    for (let worker = 0; worker < this.#layout.workers; worker++) {
      if (worker === this.#worker) continue;
      if (Atomics.load(memory, this.#layout.ownGauge(worker, service, GAUGE.connections)) === 0) continue;
      const word = this.#layout.wanted(worker) + (service >> 5);
      Atomics.or(memory, word, 1 << (service & 31));
      ring(memory, this.#layout, worker);
    }
  }

  #onRing(): void {
    const memory = this.#memory;
    const wanted = this.#layout.wanted(this.#worker);
    for (let index = 0; index < this.#layout.wantedWords; index++) {
      if (Atomics.load(memory, wanted + index) === 0) continue;
      for (let bits = Atomics.exchange(memory, wanted + index, 0); bits !== 0; bits &= bits - 1) {
        const service = (index << 5) + 31 - Math.clz32(bits & -bits);
        if (this.#isWanted(service)) this.#onWanted?.(service);
      }
    }
    if (this.#waiting.length === 0) return;
    for (const service of this.#waiting.slice()) {
      const granted = this.#layout.gauge(service, GAUGE.connections) + GRANTED;
      if (this.#wakers[service] !== undefined && (Atomics.load(memory, granted) & this.#bit) !== 0) {
        this.#wake(service);
      }
    }
  }

  #wake(service: number): void {
    const line = this.#layout.gauge(service, GAUGE.connections);
    const onWake = this.#wakers[service];
    Atomics.and(this.#memory, line + GRANTED, ~this.#bit);
    this.#forget(service);
    this.#woken = service;
    onWake?.();
    this.#woken = -1;
    if (this.#wakers[service] === undefined) this.#leave(service);
    else passOn(this.#memory, this.#layout, service);
  }

  #forget(service: number): void {
    this.#wakers[service] = undefined;
    this.#waiting.splice(this.#waiting.indexOf(service), 1);
  }

  #leave(service: number): void {
    const line = this.#layout.gauge(service, GAUGE.connections);
    Atomics.and(this.#memory, line + WAITING, ~this.#bit);
    Atomics.and(this.#memory, line + GRANTED, ~this.#bit);
    passOn(this.#memory, this.#layout, service);
  }

  /** Whether other workers wait for more slots than are free. */
  #isWanted(service: number): boolean {
    const line = this.#layout.gauge(service, GAUGE.connections);
    const others = Atomics.load(this.#memory, line + WAITING) & ~this.#bit;
    return others !== 0 && freeSlots(this.#memory, line) < bitCount(others);
  }
}
