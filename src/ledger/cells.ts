// Metric cells: one array of doubles per worker with that worker as its only writer, so that adding
// needs no atomic operation; the supervisor sums over the workers at scrape. Each worker's array is
// a SharedArrayBuffer of its own, so workers share no cache line. A replacement worker goes on in the
// cells of the one it replaces: counters never fall when a worker ends. Aligned doubles don't tear on
// 64-bit machines; a sum taken while workers add is a moment's truth per cell, not over cells.

/** The structured-cloneable handle of the cells, for workerData. */
export interface MetricCellBuffers {
  readonly capacity: number;
  readonly perWorker: readonly SharedArrayBuffer[];
}

/** One worker's cells. */
export class WorkerCells {
  /** The cells themselves, for loops over a histogram's buckets. */
  readonly values: Float64Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    this.values = new Float64Array(buffer);
  }

  /** Adds `n` to cell `index`, 0 <= index < capacity; beyond capacity it is lost. About 1 ns. */
  add(index: number, n: number): void {
    this.values[index] += n;
  }

  /** What this worker alone has added, workers before it in the same slot included. */
  read(index: number): number {
    return this.values[index];
  }
}

/** The supervisor's view of all workers' cells. */
export class MetricCells {
  readonly buffers: MetricCellBuffers;
  readonly #values: readonly Float64Array<SharedArrayBuffer>[];

  constructor(buffers: MetricCellBuffers) {
    this.buffers = buffers;
    this.#values = buffers.perWorker.map((buffer) => new Float64Array(buffer));
  }

  get capacity(): number {
    return this.buffers.capacity;
  }

  /** The sum of cell `index` over all workers. */
  read(index: number): number {
    let sum = 0;
    for (const values of this.#values) sum += values[index];
    return sum;
  }

  /** Zeroes a cell that is to mean something else; only when every worker has stopped adding to it. */
  clear(index: number): void {
    for (const values of this.#values) values[index] = 0;
  }
}

/**
 * Makes cells for `workers` workers. `capacity` is fixed: untouched pages cost address space only, so
 * it may be generous (1,000,000 cells reserve 8 MB per worker).
 */
export function createMetricCells(options: { workers: number; capacity: number }): MetricCells {
  const bytes = options.capacity * Float64Array.BYTES_PER_ELEMENT;
  const perWorker = Array.from({ length: options.workers }, () => new SharedArrayBuffer(bytes));
  return new MetricCells({ capacity: options.capacity, perWorker });
}

/** A worker's own cells, from the handle it received. */
export function attachMetricCells(buffers: MetricCellBuffers, worker: number): WorkerCells {
  return new WorkerCells(buffers.perWorker[worker]);
}
