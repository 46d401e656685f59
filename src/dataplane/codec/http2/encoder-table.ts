/**
 * The dynamic table of an encoder. Entries are numbered in the order they were added; the index that stands for one on
 * the wire follows from that. They are found by hash: of name and value, and of the name alone. A chain of
 * equal hashes runs from newer to older entries, so evicted ones need no unlinking, they are the end of every chain.
 * A connection that never indexes a field holds nothing.
 */
import { type NameFacts, ownCopy } from './field-name.ts';
import { STATIC_COUNT } from './static-table.ts';

const ENTRY_OVERHEAD = 32;
const HASHES = 128;
/** Entries of one hash that are looked at: a peer that chooses values to collide gains nothing. */
const PROBES = 8;

export class EncoderTable {
  /** The limit that entries are kept to, which the peer has been told. */
  limit: number;
  /** Another one after every change. */
  version = 0;
  private size = 0;
  /** Numbers of the oldest entry, and of the next. */
  private oldest = 1;
  private next = 1;
  private readonly mask: number;
  private names: NameFacts[] = [];
  private values: string[] = [];
  /** Per entry: the one before it with the same hash. */
  private older = NONE;
  private byPair = NONE;
  private byName = NONE;

  /** `capacity`: what the limit never exceeds. */
  constructor(capacity: number) {
    this.limit = capacity;
    let entries = 1;
    while (entries * ENTRY_OVERHEAD <= capacity) entries *= 2;
    this.mask = entries - 1;
  }

  /** Index of the entry with this name and value, or 0. */
  find(name: NameFacts, value: string): number {
    if (this.oldest === this.next) return 0;
    const { mask, oldest, values, names, older } = this;
    let number = this.byPair[hashOf(name, value)];
    for (let probe = 0; number >= oldest && probe < PROBES; probe++) {
      const at = number & mask;
      if (names[at].number === name.number && values[at] === value) return STATIC_COUNT + this.next - number;
      number = older[at];
    }
    return 0;
  }

  /** Index of an entry with this name, or 0. */
  findName(name: NameFacts): number {
    if (this.oldest === this.next) return 0;
    const number = this.byName[name.number & (HASHES - 1)];
    if (number < this.oldest || this.names[number & this.mask].number !== name.number) return 0;
    return STATIC_COUNT + this.next - number;
  }

  /** Whether an entry is worth its place: one that would push out most others is not. */
  takes(name: NameFacts, value: string): boolean {
    return (name.name.length + value.length + ENTRY_OVERHEAD) * 4 <= this.limit * 3;
  }

  /** Adds an entry that `takes` approved. */
  add(name: NameFacts, value: string): void {
    if (this.older === NONE) this.allocate();
    const size = name.name.length + value.length + ENTRY_OVERHEAD;
    this.version++;
    this.evictTo(this.limit - size);
    const number = this.next++;
    const at = number & this.mask;
    const pair = hashOf(name, value);
    this.names[at] = name;
    this.values[at] = ownCopy(value);
    this.older[at] = this.byPair[pair];
    this.byPair[pair] = number;
    this.byName[name.number & (HASHES - 1)] = number;
    this.size += size;
  }

  resize(limit: number): void {
    this.limit = limit;
    this.version++;
    this.evictTo(limit);
  }

  private evictTo(size: number): void {
    while (this.size > size && this.oldest < this.next) {
      const at = this.oldest & this.mask;
      this.size -=
        (this.names[at] as NameFacts).name.length + (this.values[at] as string).length + ENTRY_OVERHEAD;
      this.values[at] = '';
      this.oldest++;
    }
  }

  private allocate(): void {
    this.older = new Float64Array(this.mask + 1);
    this.byPair = new Float64Array(HASHES);
    this.byName = new Float64Array(HASHES);
  }
}

/** Few characters tell most values apart; what they don't, the comparison does. */
function hashOf(name: NameFacts, value: string): number {
  const { length } = value;
  let hash = Math.imul(name.number, 31) + length * 7;
  if (length > 0)
    hash +=
      value.charCodeAt(length - 1) * 5 +
      value.charCodeAt(length >> 1) * 3 +
      value.charCodeAt(length >> 2) * 17;
  return (hash ^ (hash >>> 7)) & (HASHES - 1);
}

const NONE = new Float64Array(0);
