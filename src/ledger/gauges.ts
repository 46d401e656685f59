// The circuit-breaker gauges of a service, exact over all workers: a limit of N admits N, never
// N + 1. Connections are taken through `connections.ts`, because they alone may be waited for.
// A high-water mark, an opened-count and an overflow count lie beside each gauge, since a breaker
// that opened for a moment is invisible in the gauge by the time it is scraped.
import { COUNT, type Gauge, HIGH_WATER, type Layout, type Memory, OPENED, OVERFLOW } from './layout.ts';
import { acquireOwned, countOf, releaseOwned } from './owned.ts';

/** What one gauge shows at a moment. */
export interface GaugeReading {
  /** Units held now by all workers. */
  readonly active: number;
  /** The most units ever held at once since the slot was allocated. */
  readonly highWater: number;
  /** How often the gauge became full: acquisitions that took the last unit below the limit. */
  readonly opened: number;
  /** Acquisitions refused (Envoy: upstream_cx_overflow, upstream_rq_pending_overflow, upstream_rq_retry_overflow). */
  readonly overflow: number;
}

/** One worker's access to the gauges of every service. Nothing here allocates. */
export class ServiceGauges {
  readonly #memory: Memory;
  readonly #layout: Layout;
  readonly #worker: number;

  constructor(memory: Memory, layout: Layout, worker: number) {
    this.#memory = memory;
    this.#layout = layout;
    this.#worker = worker;
  }

  /**
   * Takes one unit of `gauge` unless `limit` units are held on this node. Refusals are counted.
   * `limit` 0 always refuses; limits above 2^28 - 1 mean 2^28 - 1. For `GAUGE.connections` use
   * `ConnectionSlots.acquire`.
   */
  acquire(service: number, gauge: Gauge, limit: number): boolean {
    const memory = this.#memory;
    const line = this.#layout.gauge(service, gauge);
    const count = acquireOwned(
      memory,
      line + COUNT,
      this.#layout.ownGauge(this.#worker, service, gauge),
      limit,
    );
    if (count === 0) {
      Atomics.add(memory, line + OVERFLOW, 1);
      return false;
    }
    if (count >= limit) Atomics.add(memory, line + OPENED, 1);
    raise(memory, line + HIGH_WATER, count);
    return true;
  }

  /** Returns one unit. Throws if this worker holds none. For connections use `ConnectionSlots.release`. */
  release(service: number, gauge: Gauge): void {
    const word = this.#layout.gauge(service, gauge) + COUNT;
    releaseOwned(this.#memory, word, this.#layout.ownGauge(this.#worker, service, gauge));
  }

  /** Counts a refusal that was decided without looking at the count. */
  countOverflow(service: number, gauge: Gauge): void {
    Atomics.add(this.#memory, this.#layout.gauge(service, gauge) + OVERFLOW, 1);
  }

  /** Units held by all workers: the observed value of a decision record. */
  active(service: number, gauge: Gauge): number {
    return countOf(this.#memory, this.#layout.gauge(service, gauge) + COUNT);
  }
}

/** Reads a gauge with its statistics; allocates, for scrapes and admin pages. */
export function readGauge(memory: Memory, layout: Layout, service: number, gauge: Gauge): GaugeReading {
  const line = layout.gauge(service, gauge);
  return {
    active: countOf(memory, line + COUNT),
    highWater: Atomics.load(memory, line + HIGH_WATER),
    opened: Atomics.load(memory, line + OPENED) >>> 0,
    overflow: Atomics.load(memory, line + OVERFLOW) >>> 0,
  };
}

function raise(memory: Memory, word: number, count: number): void {
  let seen = Atomics.load(memory, word);
  while (count > seen) {
    const found = Atomics.compareExchange(memory, word, seen, count);
    if (found === seen) return;
    seen = found;
  }
}
