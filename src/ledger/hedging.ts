// What hedging may cost a service, exact over all workers: every request earns a part of one hedge, and a hedge spends a
// whole one, so that there are never more hedges than that part of the requests and the few that may be saved up. One word of
// shared memory, so a worker that dies takes nothing along.
import { HEDGE_CREDIT, type Layout, type Memory } from './layout.ts';

/** A hedge in the units of the word. */
const HEDGE = 10_000;
/** What may be saved up: a stall makes many requests slow at once, but a long calm is no reason for a storm. */
const SAVED_MAX = 10 * HEDGE;

/** One worker's access to the credit of every service. */
export class HedgeCredit {
  readonly #memory: Memory;
  readonly #layout: Layout;

  constructor(memory: Memory, layout: Layout) {
    this.#memory = memory;
    this.#layout = layout;
  }

  /** A request earns `percent` of a hedge, 0 to 100; parts below a hundredth of a percent are lost. */
  earn(service: number, percent: number): void {
    const memory = this.#memory;
    const word = this.#layout.statistics(service) + HEDGE_CREDIT;
    for (;;) {
      const saved = Atomics.load(memory, word);
      const next = Math.min(SAVED_MAX, saved + Math.floor(percent * (HEDGE / 100)));
      if (next === saved || Atomics.compareExchange(memory, word, saved, next) === saved) return;
    }
  }

  /** Takes one hedge; false: too few requests have been made. */
  spend(service: number): boolean {
    const memory = this.#memory;
    const word = this.#layout.statistics(service) + HEDGE_CREDIT;
    for (;;) {
      const saved = Atomics.load(memory, word);
      if (saved < HEDGE) return false;
      if (Atomics.compareExchange(memory, word, saved, saved - HEDGE) === saved) return true;
    }
  }
}
