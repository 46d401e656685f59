// What adaptive concurrency knows of a service, for the whole node: the limit it found, and the latencies sampled since.
//
// Requests are counted by GAUGE.outstanding, so the limit is exact. A sample is one Atomics.add of the bucket of its
// latency (Envoy takes a mutex), and nobody has a timer: the sample that finds a window over tries to take the turn by
// compare-and-swap, and whoever gets it draws the conclusions while the others go on. One turn at a time means plain
// sequential changes of the state; a worker that dies in its turn has it taken back by giveBack, and whatever step it
// got to, the next window mends the rest.
import { FOUND_LIMIT, GAUGE, LATENCIES, LATENCY_BUCKETS, type Layout, type Memory } from './layout.ts';

/** Words of the state. Latencies are in µs; moments are 32-bit ms, compared wrap-safe. */
export const ADAPTIVE = {
  /** Worker + 1 whose turn it is; 0: nobody's. */
  turn: 0,
  /** The limit to go back to after the minRTT window; 0: no such window is open. */
  deferred: 1,
  minRttUs: 2,
  /** Start of the minRTT window: requests begun up to this ms are no samples. */
  epochMs: 3,
  /** Samples of the minRTT window so far. */
  samples: 4,
  windowEndMs: 5,
  minRttDueMs: 6,
  /** Windows in a row that ended with the smallest limit. */
  atMinimum: 7,
  /** As of the last window: times 1,000; µs; requests. */
  gradient: 8,
  sampleRttUs: 9,
  headroom: 10,
} as const;
export type AdaptiveWord = (typeof ADAPTIVE)[keyof typeof ADAPTIVE];

/** What is known of a service; for admin pages and metrics. */
export interface AdaptiveReading {
  readonly limit: number;
  readonly measuringMinRtt: boolean;
  readonly minRttUs: number;
  readonly sampleRttUs: number;
  /** Times 1,000, as Envoy shows it. */
  readonly gradient: number;
  readonly headroom: number;
}

/** Sub-buckets per power of two: 6 % wide, and quantiles are interpolated. */
const SUB = 16;

/** The bucket of a latency; everything beyond 268 s shares the last one. */
export function latencyBucket(us: number): number {
  if (us < SUB) return us | 0;
  const whole = Math.min(us, 2 ** 28 - 1) | 0;
  const shift = 27 - Math.clz32(whole);
  return SUB * shift + (whole >> shift);
}

/** The least latency of a bucket, in µs; of one past the last: the end of the range. */
export function bucketStartUs(bucket: number): number {
  if (bucket < 2 * SUB) return bucket;
  const shift = Math.floor(bucket / SUB) - 1;
  return (bucket - SUB * shift) * 2 ** shift;
}

/** One worker's access. */
export class AdaptiveTable {
  readonly #memory: Memory;
  readonly #layout: Layout;
  readonly #worker: number;

  constructor(memory: Memory, layout: Layout, worker: number) {
    this.#memory = memory;
    this.#layout = layout;
    this.#worker = worker;
  }

  /** The limit in force; 0: nobody has begun yet. */
  limit(service: number): number {
    return Atomics.load(this.#memory, this.#layout.gauge(service, GAUGE.outstanding) + FOUND_LIMIT);
  }

  setLimit(service: number, limit: number): void {
    Atomics.store(this.#memory, this.#layout.gauge(service, GAUGE.outstanding) + FOUND_LIMIT, limit);
  }

  get(service: number, word: AdaptiveWord): number {
    return Atomics.load(this.#memory, this.#layout.adaptive(service) + word);
  }

  set(service: number, word: AdaptiveWord, value: number): void {
    Atomics.store(this.#memory, this.#layout.adaptive(service) + word, value);
  }

  /** False: another worker has the turn. Give it back with `endTurn`. */
  tryTurn(service: number): boolean {
    const word = this.#layout.adaptive(service) + ADAPTIVE.turn;
    return Atomics.compareExchange(this.#memory, word, 0, this.#worker + 1) === 0;
  }

  endTurn(service: number): void {
    Atomics.store(this.#memory, this.#layout.adaptive(service) + ADAPTIVE.turn, 0);
  }

  /** Counts a latency. */
  sample(service: number, us: number): void {
    Atomics.add(this.#memory, this.#layout.adaptive(service) + LATENCIES + latencyBucket(us), 1);
  }

  /** Counts a sample of the minRTT window and returns how many there are. */
  countSample(service: number): number {
    return Atomics.add(this.#memory, this.#layout.adaptive(service) + ADAPTIVE.samples, 1) + 1;
  }

  /** Takes all samples out, into `counts` by bucket, and returns how many they are. Each is taken once. */
  takeSamples(service: number, counts: Int32Array): number {
    const memory = this.#memory;
    const first = this.#layout.adaptive(service) + LATENCIES;
    let total = 0;
    for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
      const found = memory[first + bucket] === 0 ? 0 : Atomics.exchange(memory, first + bucket, 0);
      counts[bucket] = found;
      total += found;
    }
    return total;
  }
}

/** Reads the state; allocates. Null: nobody has begun. */
export function readAdaptive(memory: Memory, layout: Layout, service: number): AdaptiveReading | null {
  const limit = Atomics.load(memory, layout.gauge(service, GAUGE.outstanding) + FOUND_LIMIT);
  if (limit === 0) return null;
  const word = (index: AdaptiveWord): number => Atomics.load(memory, layout.adaptive(service) + index);
  return {
    limit,
    measuringMinRtt: word(ADAPTIVE.deferred) > 0,
    minRttUs: word(ADAPTIVE.minRttUs),
    sampleRttUs: word(ADAPTIVE.sampleRttUs),
    gradient: word(ADAPTIVE.gradient),
    headroom: word(ADAPTIVE.headroom),
  };
}

/** Takes the turn back from a worker that has ended. */
export function giveBackTurn(memory: Memory, layout: Layout, service: number, worker: number): void {
  Atomics.compareExchange(memory, layout.adaptive(service) + ADAPTIVE.turn, worker + 1, 0);
}
