// How threads wake one another: each worker waits on one cell, whoever wants its attention adds one
// to it. A wake-up takes 20-105 us (Atomics.waitAsync, measured) and one promise per ring, not per
// request; rings that come before the worker gets to listen again cost nothing more.
import type { Layout, Memory } from './layout.ts';

/** Rings the doorbell of a worker; harmless when nobody listens. */
export function ring(memory: Memory, layout: Layout, worker: number): void {
  const cell = layout.doorbell(worker);
  Atomics.add(memory, cell, 1);
  Atomics.notify(memory, cell);
}

/** Calls `onRing` once now, then after every ring, for as long as the thread's event loop lives. */
export function listen(memory: Memory, layout: Layout, worker: number, onRing: () => void): void {
  const cell = layout.doorbell(worker);
  const next = (): void => {
    // The cell is read before the work, so a ring during the work is not waited for but seen.
    const seen = Atomics.load(memory, cell);
    onRing();
    const wait = Atomics.waitAsync(memory, cell, seen);
    if (wait.async) wait.value.then(next);
    else setImmediate(next);
  };
  next();
}
