/** A block of counters, held by whoever counts. */
import type { WorkerCells } from '../ledger/index.ts';

/** Counters that share one label set; `counter` is one of COUNTER, LISTENER_COUNTER or WORKER_COUNTER. */
export class CounterBlock {
  private readonly cells: WorkerCells;
  /** @internal */ base: number;

  constructor(cells: WorkerCells, base: number) {
    this.cells = cells;
    this.base = base;
  }

  /** About 5 ns. */
  add(counter: number, n: number): void {
    this.cells.add(this.base + counter, n);
  }

  read(counter: number): number {
    return this.cells.read(this.base + counter);
  }
}
