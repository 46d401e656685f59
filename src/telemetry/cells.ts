/**
 * Which metric cells of this worker belong to which block. Blocks are handed out from the front; those of
 * removed services and listeners come back to a free list per size. The first block is never announced: it
 * takes what can't be recorded because this worker has as many series as allowed, so that the hot path adds
 * without asking.
 */
import { LIMITS } from '../base/index.ts';
import type { WorkerCells } from '../ledger/index.ts';
import { BLOCK_CELLS, type BlockKind } from './families.ts';

/** First cell of the block that nobody reads. */
export const DISCARD = 0;

const FIRST = Math.max(...Object.values(BLOCK_CELLS));

export class CellBlocks {
  readonly cells: WorkerCells;
  private readonly free: Readonly<Record<BlockKind, number[]>> = {
    request: [],
    connection: [],
    service: [],
    listener: [],
    worker: [],
    limit: [],
  };
  private next = FIRST;
  private used = 0;

  constructor(cells: WorkerCells) {
    this.cells = cells;
  }

  /** Blocks in use. */
  get count(): number {
    return this.used;
  }

  /** First cell of a block that reads 0, or `DISCARD` when there is none left. */
  allocate(kind: BlockKind): number {
    if (this.used >= LIMITS.metricSeriesPerWorker) return DISCARD;
    const reused = this.free[kind].pop();
    if (reused !== undefined) {
      this.used++;
      this.cells.values.fill(0, reused, reused + BLOCK_CELLS[kind]);
      return reused;
    }
    const base = this.next;
    if (base + BLOCK_CELLS[kind] > this.cells.values.length) return DISCARD;
    this.next = base + BLOCK_CELLS[kind];
    this.used++;
    return base;
  }

  release(kind: BlockKind, base: number): void {
    if (base === DISCARD) return;
    this.free[kind].push(base);
    this.used--;
  }
}
