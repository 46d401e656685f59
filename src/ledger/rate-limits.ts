// A worker's access to the buckets of every rate limit. Nothing here allocates once a limit is open.
import { BucketTable } from './bucket-table.ts';
import type { Layout, Memory } from './layout.ts';
import { type BucketShape, BucketWords, PLAIN_TAG } from './token-bucket.ts';

export class RateLimitBuckets {
  readonly #layout: Layout;
  readonly #words: BucketWords;
  readonly #tables: BucketTable;

  constructor(memory: Memory, layout: Layout, worker: number) {
    this.#layout = layout;
    this.#words = new BucketWords(memory);
    this.#tables = new BucketTable(memory, layout, this.#words, worker);
  }

  /** The limit in `slot`. `table`: of its keys; -1: it has none. */
  open(slot: number, table: number, shape: BucketShape): RateLimitBucket {
    return new RateLimitBucket(this.#words, this.#tables, this.#layout.limit(slot), table, shape);
  }
}

/** One limit. What its fields tell is of the last `take`. */
export class RateLimitBucket {
  readonly shape: BucketShape;
  /** The key found no room in the table, and the bucket that all such keys share decided. */
  overflowed = false;
  readonly #words: BucketWords;
  readonly #tables: BucketTable;
  readonly #own: number;
  readonly #table: number;
  #at = 0;
  #tag = PLAIN_TAG;
  #takenAt = 0;
  #debt = 0;

  constructor(words: BucketWords, tables: BucketTable, own: number, table: number, shape: BucketShape) {
    this.#words = words;
    this.#tables = tables;
    this.#own = own;
    this.#table = table;
    this.shape = shape;
  }

  /** Takes a token, of `key`'s bucket where the limit has keys. False: there is none. `nowMs`: see WorkerLedger, read afresh. */
  take(key: string, nowMs: number): boolean {
    const now = BucketWords.now(this.shape, nowMs);
    const at = this.#table < 0 ? 0 : this.#tables.take(this.#table, key, this.shape, now);
    this.overflowed = at === 0 && this.#table >= 0;
    const taken = at === 0 ? this.#takeOwn(now) : at > 0;
    if (at > 0) {
      this.#at = at;
      this.#tag = this.#tables.lastTag;
    }
    this.#takenAt = now;
    this.#debt = this.#words.debt;
    return taken;
  }

  /** Gives the token back that the last `take` took: the request is refused for another reason. */
  giveBack(nowMs: number): void {
    const now = BucketWords.now(this.shape, nowMs);
    this.#words.giveBack(this.#at, this.#tag, this.shape, this.#takenAt, this.#debt, now);
  }

  /** Whole tokens that are left. */
  get remaining(): number {
    const { full, token } = this.shape;
    return Math.max(0, Math.floor((full - this.#debt) / token));
  }

  /** How long until there is a token, in ms; 0: there is one. */
  get waitMs(): number {
    const { full, token, unitsPerMs } = this.shape;
    return Math.max(0, this.#debt + token - full) / unitsPerMs;
  }

  /** How long until the bucket is full, in ms. */
  get fullInMs(): number {
    return this.#debt / this.shape.unitsPerMs;
  }

  #takeOwn(now: number): boolean {
    this.#at = this.#own;
    this.#tag = PLAIN_TAG;
    return this.#words.take(this.#own, PLAIN_TAG, this.shape, now) === 'taken';
  }
}
