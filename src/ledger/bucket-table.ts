// The buckets of a limit that counts each key (a caller's address, a header's value) by itself: an open table of
// shared memory, in which a key has its bucket in one of two groups of ten.
//
// A bucket that is full again says nothing that a new one would not, so it is free for another key; nobody has to
// throw anything away. Looking a key up takes no lock. A new key is entered under the lock of its first group, so that two
// workers never give it two buckets, and under that of its second group too where it goes there. A lock is held for some
// hundred nanoseconds; whoever meets one held for longer (its holder was preempted, or has died and is about to be given
// back by the supervisor) does as with a full table: the request counts against the limit's own bucket, which all
// keys without one share. Never more than that is let through, and each such request is counted.
//
// A key is told by 20 bits of its hash in the bucket's word, 32 beside it, and its groups: among 16,000 keys
// two share a bucket with a probability of 10^-8.
import { keyedHash } from './keyed-hash.ts';
import { GROUP_BUCKETS, GROUP_LOCK, GROUP_TAGS, type Layout, type Memory, TABLE_GROUPS } from './layout.ts';
import { type BucketShape, type BucketWords, TAGS } from './token-bucket.ts';

/** Looks at a held lock; each takes 10 to 40 ns. */
const LOCK_SPINS = 200;

export class BucketTable {
  private readonly memory: Memory;
  private readonly layout: Layout;
  private readonly words: BucketWords;
  private readonly worker: number;
  private readonly hash = new Int32Array(2);
  /** Of the key that was looked up last. */
  private tag = 0;
  private mark = 0;
  private first = 0;
  private second = 0;

  constructor(memory: Memory, layout: Layout, words: BucketWords, worker: number) {
    this.memory = memory;
    this.layout = layout;
    this.words = words;
    this.worker = worker;
  }

  /** The tag of the bucket that `take` used. */
  get lastTag(): number {
    return this.tag;
  }

  /**
   * Takes a token of the key's bucket; the words' `debt` says more. Returns the word of that bucket, negative when it is
   * empty; 0 when the key has none and gets none.
   */
  take(table: number, key: string, shape: BucketShape, now: number): number {
    this.locate(table, key);
    for (;;) {
      const at = this.find();
      if (at < 0) return this.enter(shape, now);
      const outcome = this.words.take(at, this.tag, shape, now);
      if (outcome === 'taken') return at;
      if (outcome === 'empty') return -at;
    }
  }

  private locate(table: number, key: string): void {
    const { hash, layout, memory } = this;
    const secret = layout.limitSecret;
    keyedHash(key, memory[secret] ^ Math.imul(table + 1, 0x9e3779b1), memory[secret + 1], hash);
    const low = hash[0];
    const groups = TABLE_GROUPS - 1;
    this.mark = hash[1];
    // 0 is a word that was never used.
    this.tag = 1 + ((low >>> 12) % (TAGS - 1));
    this.first = layout.limitGroup(table, low & groups);
    const other = (hash[1] ^ (hash[1] >>> 16) ^ low) & groups;
    this.second = layout.limitGroup(table, other === (low & groups) ? other ^ 1 : other);
  }

  /** The word of the key's bucket; -1: it has none. */
  private find(): number {
    const at = this.findIn(this.first);
    return at < 0 ? this.findIn(this.second) : at;
  }

  private findIn(group: number): number {
    const { memory, mark, tag } = this;
    for (let i = 0; i < GROUP_BUCKETS; i++) {
      if (memory[group + GROUP_TAGS + i] !== mark) continue;
      const at = group + 2 * i;
      if (memory[at + 1] >>> 12 === tag) return at;
    }
    return -1;
  }

  /** As `take`, for a key that had no bucket a moment ago. */
  private enter(shape: BucketShape, now: number): number {
    const { first } = this;
    if (!this.lock(first)) return 0;
    try {
      for (let at = this.find(); at >= 0; at = this.find()) {
        const outcome = this.words.take(at, this.tag, shape, now);
        if (outcome !== 'changed') return outcome === 'taken' ? at : -at;
      }
      return this.takeRoom(shape, now);
    } finally {
      this.unlock(first);
    }
  }

  /** In the group with more room, as long as it has any: a table fills further that way before a key finds none. */
  private takeRoom(shape: BucketShape, now: number): number {
    const { first, second } = this;
    const room = this.room(first, now);
    if (room >= this.room(second, now)) return room === 0 ? 0 : this.takeOver(first, shape, now);
    if (!this.lock(second)) return this.takeOver(first, shape, now);
    try {
      return this.takeOver(second, shape, now);
    } finally {
      this.unlock(second);
    }
  }

  private room(group: number, now: number): number {
    let room = 0;
    for (let at = group; at < group + GROUP_TAGS; at += 2) if (this.words.debtOf(at, now) === 0) room++;
    return room;
  }

  /** Gives the key a bucket of this group, less one token; 0: none is full. */
  private takeOver(group: number, shape: BucketShape, now: number): number {
    for (let i = 0; i < GROUP_BUCKETS; i++) {
      const at = group + 2 * i;
      if (!this.words.takeOver(at, this.tag, shape, now)) continue;
      this.memory[group + GROUP_TAGS + i] = this.mark;
      return at;
    }
    return 0;
  }

  private lock(group: number): boolean {
    const at = group + GROUP_LOCK;
    for (let spin = 0; spin < LOCK_SPINS; spin++) {
      if (Atomics.compareExchange(this.memory, at, 0, this.worker + 1) === 0) return true;
    }
    return false;
  }

  private unlock(group: number): void {
    Atomics.store(this.memory, group + GROUP_LOCK, 0);
  }
}

/** Opens the locks that a dead worker held. */
export function unlockTable(memory: Memory, layout: Layout, table: number, worker: number): void {
  for (let group = 0; group < TABLE_GROUPS; group++) {
    const at = layout.limitGroup(table, group) + GROUP_LOCK;
    if (memory[at] === worker + 1) Atomics.compareExchange(memory, at, worker + 1, 0);
  }
}

/** Buckets of a table that are not full: keys that used it a short while ago. Looks at every one. */
export function keysInUse(
  memory: Memory,
  layout: Layout,
  words: BucketWords,
  table: number,
  now: number,
): number {
  let count = 0;
  for (let group = 0; group < TABLE_GROUPS; group++) {
    const at = layout.limitGroup(table, group);
    for (let i = 0; i < GROUP_BUCKETS; i++) {
      if (memory[at + 2 * i + 1] !== 0 && words.debtOf(at + 2 * i, now) > 0) count++;
    }
  }
  return count;
}
