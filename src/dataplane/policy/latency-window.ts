/**
 * How long attempts at one service take, as far as this worker has seen it lately: counts in buckets that grow by an eighth of an
 * octave, so a percentile is at most 9 % too high, of two windows of five seconds, of which the older one ends when the newer is full.
 * An observation costs a logarithm and an addition, and nothing is kept of the moment.
 */

const BUCKETS_PER_OCTAVE = 8;
/** The first bucket ends here, in ms; the last is two hours above it. */
const FIRST_MS = 1 / 16;
const BUCKETS = 27 * BUCKETS_PER_OCTAVE;
const WINDOW_MS = 5_000;
/** Fewer say nothing about a tail. */
const ENOUGH = 100;
/** A percentile holds so long. */
const RECOUNT_MS = 100;

export class LatencyWindow {
  private recent = new Uint32Array(BUCKETS);
  private before = new Uint32Array(BUCKETS);
  private recentFromMs = 0;
  private countedMs = Number.NEGATIVE_INFINITY;
  private countedFor = -1;
  private counted = -1;

  /** `nowMs`: monotonic, as the clock has it. */
  observe(latencyMs: number, nowMs: number): void {
    this.turn(nowMs);
    this.recent[bucketOf(latencyMs)]++;
  }

  /** What `percentile` percent of the attempts stayed below, in ms; -1: too few were seen. */
  percentile(percentile: number, nowMs: number): number {
    if (this.counted >= 0 && this.countedFor === percentile && nowMs - this.countedMs < RECOUNT_MS)
      return this.counted;
    this.turn(nowMs);
    this.countedFor = percentile;
    this.countedMs = nowMs;
    this.counted = this.count(percentile);
    return this.counted;
  }

  private count(percentile: number): number {
    const { recent, before } = this;
    let total = 0;
    for (let i = 0; i < BUCKETS; i++) total += (recent[i] as number) + (before[i] as number);
    if (total < ENOUGH) return -1;
    let left = (total * percentile) / 100;
    for (let i = 0; i < BUCKETS; i++) {
      left -= (recent[i] as number) + (before[i] as number);
      if (left <= 0) return FIRST_MS * 2 ** (i / BUCKETS_PER_OCTAVE);
    }
    return -1;
  }

  private turn(nowMs: number): void {
    const age = nowMs - this.recentFromMs;
    if (age < WINDOW_MS) return;
    const { recent, before } = this;
    this.before = recent;
    this.recent = before.fill(0);
    if (age >= 2 * WINDOW_MS) recent.fill(0);
    this.recentFromMs = nowMs;
  }
}

function bucketOf(latencyMs: number): number {
  if (latencyMs <= FIRST_MS) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(latencyMs / FIRST_MS) * BUCKETS_PER_OCTAVE));
}
