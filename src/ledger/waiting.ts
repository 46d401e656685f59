// Who gets the next free connection slot of a service, as seen by any thread.
//
// Each service has two words with one bit per worker: WAITING (has queued requests and no slot) and
// GRANTED (has been told to try). Whoever frees a slot, or finds one free beside waiting workers,
// grants it to the next waiting worker after the last one granted, unless as many workers as there
// are free slots have been told already.
//
// No wake-up is lost, because of three pairs in which each side writes first and then reads what the
// other wrote (all sequentially consistent, so at least one of the two sees the other):
// - a releaser lowers the count, then reads WAITING; a waiter sets its bit, then reads the count;
// - a granter sets the GRANTED bit, then reads WAITING; one that gives up clears WAITING, then GRANTED;
// - a woken worker clears its GRANTED bit before it tries, and passes on what is free after.
// A worker that ends with bits set, or between granting and ringing: giveBack clears its bits and
// tells everyone who waits to try.
import { ring } from './doorbell.ts';
import { COUNT, GAUGE, GRANTED, LAST_GRANTED, type Layout, LIMIT, type Memory, WAITING } from './layout.ts';
import { countOf } from './owned.ts';

/** Grants free connection slots of a service to waiting workers, as many as are free. */
export function passOn(memory: Memory, layout: Layout, service: number): void {
  const line = layout.gauge(service, GAUGE.connections);
  for (;;) {
    const waiting = Atomics.load(memory, line + WAITING);
    if (waiting === 0) return;
    const granted = Atomics.load(memory, line + GRANTED) & waiting;
    if (granted === waiting || bitCount(granted) >= freeSlots(memory, line)) return;
    const worker = firstAfter(waiting & ~granted, Atomics.load(memory, line + LAST_GRANTED));
    // Of two that grant the same worker at once only one rings.
    if ((Atomics.or(memory, line + GRANTED, 1 << worker) & (1 << worker)) === 0) {
      Atomics.store(memory, line + LAST_GRANTED, worker);
      ring(memory, layout, worker);
    }
    // It may have given up since: then its bit is void and another worker is chosen.
    if ((Atomics.load(memory, line + WAITING) & (1 << worker)) === 0) {
      Atomics.and(memory, line + GRANTED, ~(1 << worker));
    }
  }
}

/**
 * Tells one worker to try for a connection slot, whether one is free or not, and even if it has been
 * told: whoever told it may have died before it rang.
 */
export function grantAgain(memory: Memory, layout: Layout, service: number, worker: number): void {
  Atomics.or(memory, layout.gauge(service, GAUGE.connections) + GRANTED, 1 << worker);
  ring(memory, layout, worker);
}

/** Free slots under the limit that the latest waiter stated. `line`: the service's connections line. */
export function freeSlots(memory: Memory, line: number): number {
  return Atomics.load(memory, line + LIMIT) - countOf(memory, line + COUNT);
}

export function bitCount(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** The lowest set bit above `worker`, or else the lowest; `mask` is not 0. */
function firstAfter(mask: number, worker: number): number {
  const above = worker >= 30 ? 0 : mask & (-1 << (worker + 1));
  const from = above !== 0 ? above : mask;
  return 31 - Math.clz32(from & -from);
}
