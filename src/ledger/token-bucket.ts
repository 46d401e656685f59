// Token buckets of the whole node (Envoy's local rate limit), exact over all workers.
//
// A bucket is one 64-bit word: a tag (20 bits, whose it is) and the moment at which it will be full again
// (44 bits, the "theoretical arrival time" of GCRA), in units of which a token takes a whole number. Taking
// a token moves that moment by one token; when it would lie further ahead than all tokens together take, there is none.
// So tokens come one by one at an even pace and no timer fills anything, a fraction of a token is never lost, and the
// word changes by one compare-and-swap (20 ns, the two integers beside it included): a worker that ends between
// any two instructions has taken a token or has not.
//
// A unit is at least 1 µs, so that a bucket nobody uses can be told from one in debt for 101 days (half of 2^44 µs).
// `nowMs` must be read afresh, not once per turn: a late clock sees the past, and admits what was allowed then.
import type { Memory } from './layout.ts';

/** How a bucket fills; see `bucketShape`. */
export interface BucketShape {
  /** Tokens of a full bucket. */
  readonly burst: number;
  readonly unitsPerMs: number;
  /** Units in which one token comes. */
  readonly token: number;
  /** Units in which an empty bucket fills. */
  readonly full: number;
}

const UNITS_MAX = 2 ** 40;
const UNITS_PER_MS_MAX = 1_000;

/**
 * A bucket of `burst` tokens (1 to 10,000,000) that gets `requests` tokens in every `intervalMs`, at most 1,000,000 a
 * second: Envoy's max_tokens, tokens_per_fill and fill_interval, filled evenly.
 */
export function bucketShape(requests: number, intervalMs: number, burst: number): BucketShape {
  const tokenMs = intervalMs / requests;
  const token = Math.max(1, Math.floor(Math.min(tokenMs * UNITS_PER_MS_MAX, UNITS_MAX / burst)));
  return { burst, unitsPerMs: (token * requests) / intervalMs, token, full: token * burst };
}

/** Moments count up to here and begin again at 0. */
const WRAP = 2 ** 44;
const HALF_WRAP = 2 ** 43;
const LOW = 2 ** 32;
/** A tag stands above the twelve high bits of a moment. */
const TAG_SHIFT = 12;
const HIGH_MOMENT = 0xfff;
export const TAGS = 2 ** 20;

/** The tag of a bucket that no key shares; 0: the word was never used. */
export const PLAIN_TAG = 1;

/** Reads and changes the words of buckets. One per thread; what it read last lies in its fields. */
export class BucketWords {
  /** Units until the bucket is full again, after the last `take` or as its refusal found it. */
  debt = 0;
  private readonly words: BigInt64Array<SharedArrayBuffer>;
  private readonly pair = new Int32Array(4);
  private readonly seen = new BigInt64Array(this.pair.buffer, 0, 1);
  private readonly next = new BigInt64Array(this.pair.buffer, 8, 1);

  constructor(memory: Memory) {
    this.words = new BigInt64Array(memory.buffer);
  }

  /** This moment in units of the bucket. */
  static now(shape: BucketShape, nowMs: number): number {
    const units = Math.floor(nowMs * shape.unitsPerMs);
    return units - Math.floor(units / WRAP) * WRAP;
  }

  /**
   * Takes a token out of the word at `at` (an even index of 32-bit words), where it bears `tag` or was never used.
   * `taken` and `empty` set `debt`; `changed`: the word is another's by now.
   */
  take(at: number, tag: number, shape: BucketShape, now: number): 'taken' | 'empty' | 'changed' {
    for (;;) {
      const before = this.load(at);
      const found = this.tag;
      if (found !== tag && found !== 0) return 'changed';
      const debt = found === 0 ? 0 : this.debtAt(now);
      const after = debt + shape.token;
      if (after > shape.full) {
        this.debt = debt;
        return 'empty';
      }
      if (!this.swap(at, before, tag, now + after)) continue;
      this.debt = after;
      return 'taken';
    }
  }

  /** Makes the word a bucket of `tag` less one token, if it is full, whoever's it was: then nothing is forgotten. */
  takeOver(at: number, tag: number, shape: BucketShape, now: number): boolean {
    const before = this.load(at);
    if (this.tag !== 0 && this.debtAt(now) > 0) return false;
    if (!this.swap(at, before, tag, now + shape.token)) return false;
    this.debt = shape.token;
    return true;
  }

  /**
   * Gives back the token that a `take` at moment `takenAt` took, which left `debt`. Only while the bucket cannot have been full
   * in between, because a full one has replaced the token already.
   */
  giveBack(at: number, tag: number, shape: BucketShape, takenAt: number, debt: number, now: number): void {
    if (wrapped(takenAt + debt - now) <= 0) return;
    for (;;) {
      const before = this.load(at);
      if (this.tag !== tag) return;
      if (this.swap(at, before, tag, now + this.debtAt(now) - shape.token)) return;
    }
  }

  /** Units until the bucket at `at` is full. */
  debtOf(at: number, now: number): number {
    this.load(at);
    return this.tag === 0 ? 0 : this.debtAt(now);
  }

  private load(at: number): bigint {
    const word = Atomics.load(this.words, at >> 1);
    this.seen[0] = word;
    return word;
  }

  /** Of the word read last. */
  private get tag(): number {
    return this.pair[1] >>> TAG_SHIFT;
  }

  private debtAt(now: number): number {
    const full = (this.pair[1] & HIGH_MOMENT) * LOW + (this.pair[0] >>> 0);
    const debt = wrapped(full - now);
    return debt < 0 ? 0 : debt;
  }

  private swap(at: number, before: bigint, tag: number, moment: number): boolean {
    const full = moment < 0 ? moment + WRAP : moment >= WRAP ? moment - WRAP : moment;
    this.pair[2] = full | 0;
    this.pair[3] = (tag << TAG_SHIFT) | Math.floor(full / LOW);
    return Atomics.compareExchange(this.words, at >> 1, before, this.next[0]) === before;
  }
}

/** The shorter way from one moment to another. */
function wrapped(units: number): number {
  if (units >= HALF_WRAP) return units - WRAP;
  return units < -HALF_WRAP ? units + WRAP : units;
}
