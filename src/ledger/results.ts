// How requests to endpoints ended, summed over all workers since the last look: what success rates and
// failure percentages are made of. Each worker only ever adds to cells of its own, and one request adds to
// one cell, so the supervisor's differences between two sums hold each request once, whenever it looks and
// whichever worker ends in between. Cells wrap at 2^32, and so do their differences.
import { type Layout, type Memory, RESULTS } from './layout.ts';

export class ResultSums {
  readonly #memory: Memory;
  readonly #layout: Layout;
  /** The sums at the last look, by endpoint and kind. */
  readonly #before: Int32Array;
  readonly #since = new Uint32Array(RESULTS);

  constructor(memory: Memory, layout: Layout) {
    this.#memory = memory;
    this.#layout = layout;
    this.#before = new Int32Array(RESULTS * layout.maxEndpoints);
  }

  /** What ended since the last call for this endpoint, by RESULT. Holds until the next call for any. */
  take(endpoint: number): Readonly<Uint32Array> {
    for (let kind = 0; kind < RESULTS; kind++) {
      const sum = this.#sum(endpoint, kind);
      const at = RESULTS * endpoint + kind;
      this.#since[kind] = sum - this.#before[at];
      this.#before[at] = sum;
    }
    return this.#since;
  }

  #sum(endpoint: number, kind: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.#layout.workers; worker++) {
      sum = (sum + Atomics.load(this.#memory, this.#layout.results(worker, endpoint) + kind)) | 0;
    }
    return sum;
  }
}
