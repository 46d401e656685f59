// The supervisor's end of the rate limits: which limit has which slot and table, and what buckets hold now.
import { randomFillSync } from 'node:crypto';
import { keysInUse, unlockTable } from './bucket-table.ts';
import type { Layout, Memory } from './layout.ts';
import { SlotTable, type SlotUsage } from './slots.ts';
import { type BucketShape, BucketWords } from './token-bucket.ts';

/** What a limit holds at a moment: for admin pages. */
export interface RateLimitReading {
  /** Tokens left; of a limit with keys, those of the bucket that keys without room share. */
  readonly remaining: number;
  /** Keys whose bucket is not full; -1: the limit has none. */
  readonly keys: number;
}

export class RateLimitAdmin {
  readonly #memory: Memory;
  readonly #layout: Layout;
  readonly #limits: SlotTable;
  readonly #tables: SlotTable;

  constructor(memory: Memory, layout: Layout, oldestVersion: () => number) {
    this.#memory = memory;
    this.#layout = layout;
    // A bucket is nobody's to return, so a slot is quiet as soon as no worker knows it.
    const isQuiet = (): boolean => true;
    this.#limits = new SlotTable({
      name: 'rate limits',
      capacity: layout.maxLimits,
      oldestVersion,
      isQuiet,
      clear: (slot) => layout.clearLimit(memory, slot),
    });
    this.#tables = new SlotTable({
      name: 'rate limits with keys',
      capacity: layout.maxLimitTables,
      oldestVersion,
      isQuiet,
      clear: (slot) => layout.clearLimitTable(memory, slot),
    });
    randomFillSync(new Uint8Array(memory.buffer, 4 * layout.limitSecret, 8));
  }

  /** The slot of the limit `key`, a new one, all full, if it has none. Throws when all slots are in use or draining. */
  allocate(key: string): number {
    // One that drained long ago may hold moments that look as if they were still to come.
    this.#limits.usage();
    return this.#limits.allocate(key).slot;
  }

  /** The same for the table of a limit with keys. */
  allocateTable(key: string): number {
    this.#tables.usage();
    return this.#tables.allocate(key).slot;
  }

  /** Frees the slot and the table of `key` as of snapshot `version`, the first one without the limit. */
  free(key: string, version: number): void {
    this.#limits.free(key, version);
    this.#tables.free(key, version);
  }

  usage(): SlotUsage {
    return this.#limits.usage();
  }

  tableUsage(): SlotUsage {
    return this.#tables.usage();
  }

  /** `table` -1: the limit has no keys. Looks at every bucket. */
  read(slot: number, table: number, shape: BucketShape, nowMs: number): RateLimitReading {
    const words = new BucketWords(this.#memory);
    const now = BucketWords.now(shape, nowMs);
    const debt = words.debtOf(this.#layout.limit(slot), now);
    return {
      remaining: Math.max(0, Math.floor((shape.full - debt) / shape.token)),
      keys: table < 0 ? -1 : keysInUse(this.#memory, this.#layout, words, table, now),
    };
  }

  /** Opens what a dead worker had locked; see Ledger.giveBack. */
  giveBack(worker: number): void {
    for (let table = 0; table < this.#tables.touched; table++)
      unlockTable(this.#memory, this.#layout, table, worker);
  }
}
