/** Latencies as counts per hundredth of a millisecond: adding one costs a load generator some nanoseconds. */

const PER_MS = 100;
/** Everything above a second counts as a second. */
const PLACES = 1_000 * PER_MS;

export class LatencyCounts {
  private readonly counts = new Uint32Array(PLACES + 1);

  add(ms: number): void {
    const place = Math.min(PLACES, Math.floor(ms * PER_MS));
    this.counts[place] = (this.counts[place] ?? 0) + 1;
  }

  /** In ms, of all together; NaN where there is none. */
  static percentiles(all: readonly LatencyCounts[]): { p50: number; p99: number } {
    const counts = new Float64Array(PLACES + 1);
    let total = 0;
    for (const { counts: some } of all) {
      for (let place = 0; place <= PLACES; place++) {
        const count = some[place] as number;
        counts[place] = (counts[place] as number) + count;
        total += count;
      }
    }
    const at = (share: number): number => {
      let below = 0;
      const place = counts.findIndex((count) => {
        below += count;
        return below >= share * total;
      });
      return total === 0 ? Number.NaN : (place + 1) / PER_MS;
    };
    return { p50: at(0.5), p99: at(0.99) };
  }
}
