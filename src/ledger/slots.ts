// Which key has which slot of a bounded table, on the supervisor. A freed slot drains: workers may
// still use it until they have the snapshot without it, and for requests in flight even longer. It is
// given out again only when every live worker has acknowledged that snapshot and its gauges read 0.
// A key that returns while its slot drains gets the same slot back, so that flapping endpoints don't
// use up the table and requests in flight are still counted where they began.

/** What a slot table needs to know of the world. */
export interface SlotHost {
  /** Names the things in messages: 'services'. */
  readonly name: string;
  readonly capacity: number;
  /** The oldest snapshot version that a live worker may still use; Infinity when no worker lives. */
  oldestVersion(): number;
  /** Whether every gauge of the slot reads 0. */
  isQuiet(slot: number): boolean;
  /** Makes a slot that nobody uses as good as new. */
  clear(slot: number): void;
}

/** How full a table is: for metrics, since one that never drains means a lost unit somewhere. */
export interface SlotUsage {
  readonly capacity: number;
  readonly used: number;
  readonly draining: number;
}

export class SlotTable {
  readonly #host: SlotHost;
  readonly #slots = new Map<string, number>();
  readonly #draining = new Map<string, { slot: number; version: number }>();
  readonly #free: number[] = [];
  #touched = 0;

  constructor(host: SlotHost) {
    this.#host = host;
  }

  /** The number of slots ever given out; all slots in use are below it. */
  get touched(): number {
    return this.#touched;
  }

  /** The key's slot, a new one if it has none. Throws when the table is full. */
  allocate(key: string): { slot: number; isNew: boolean; isRevived: boolean } {
    const known = this.#slots.get(key);
    if (known !== undefined) return { slot: known, isNew: false, isRevived: false };
    const draining = this.#draining.get(key);
    if (draining !== undefined) {
      this.#draining.delete(key);
      this.#slots.set(key, draining.slot);
      return { slot: draining.slot, isNew: false, isRevived: true };
    }
    const slot = this.#next();
    this.#slots.set(key, slot);
    return { slot, isNew: true, isRevived: false };
  }

  get(key: string): number | undefined {
    return this.#slots.get(key);
  }

  /** Frees the key's slot as of snapshot `version`, the first without it. Returns the slot it had. */
  free(key: string, version: number): number | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    this.#slots.delete(key);
    this.#draining.set(key, { slot, version });
    return slot;
  }

  usage(): SlotUsage {
    this.#reclaim();
    return { capacity: this.#host.capacity, used: this.#slots.size, draining: this.#draining.size };
  }

  #next(): number {
    const reclaimed = this.#free.pop();
    if (reclaimed !== undefined) return reclaimed;
    if (this.#touched < this.#host.capacity) return this.#touched++;
    this.#reclaim();
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    const { name, capacity } = this.#host;
    throw new Error(
      `no free slot for more ${name}: ${this.#slots.size} in use and ${this.#draining.size} draining of ` +
        `${capacity}; configure fewer ${name}, raise the limit of ${name} and restart, or, if most are ` +
        `draining, look for a worker that does not take new configuration`,
    );
  }

  #reclaim(): void {
    const oldest = this.#host.oldestVersion();
    for (const [key, { slot, version }] of this.#draining) {
      if (version > oldest || !this.#host.isQuiet(slot)) continue;
      this.#draining.delete(key);
      this.#host.clear(slot);
      this.#free.push(slot);
    }
  }
}
