/**
 * The dynamic table of a decoder (RFC 7541 section 2.3.2). Each entry is kept as the field line a HeaderList holds, so
 * that taking one is a copy of bytes. Lines lie one after the other in one buffer, newest last; when its end is
 * reached the live part moves to the front, of a buffer twice as large as long as that part fills more than half.
 * A connection that never indexes a field holds nothing.
 */

const ENTRY_OVERHEAD = 32;
const FIRST_BYTES = 1024;
const FIRST_ENTRIES = 16;
/** Numbers per entry: where its line starts, length of name and value, id with facts. */
const STRIDE = 4;

export class DecoderTable {
  lines: Buffer = EMPTY;
  /** Sum of the entries' sizes as RFC 7541 section 4.1 counts them. */
  size = 0;
  count = 0;
  /** Of the entry that `find` found. */
  start = 0;
  nameLength = 0;
  valueLength = 0;
  /** Known id of `H`, or PSEUDO + n. */
  id = 0;
  /** Octets in name and value, see OCTETS; EDGE_SPACE. */
  facts = 0;
  private limit: number;
  private entries = NO_ENTRIES;
  /** Of the oldest entry; the others follow, round the end. */
  private first = 0;
  private end = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Sets `start` … `facts` to those of the entry, 0 the newest; false when there is none. */
  find(place: number): boolean {
    if (place >= this.count) return false;
    const { entries } = this;
    const at = ((this.first + this.count - 1 - place) * STRIDE) & (entries.length - 1);
    this.start = entries[at];
    this.nameLength = entries[at + 1];
    this.valueLength = entries[at + 2];
    this.id = entries[at + 3] & 0xff;
    this.facts = entries[at + 3] >>> 8;
    return true;
  }

  /** Adds the line at `start` of `from`, which is not this table's own buffer: what it holds may go. */
  add(from: Buffer, start: number, nameLength: number, valueLength: number, id: number, facts: number): void {
    const size = nameLength + valueLength + ENTRY_OVERHEAD;
    this.evictTo(this.limit - size);
    // RFC 7541 section 4.4: no error, the table is empty then.
    if (size > this.limit) return;
    const length = nameLength + valueLength + 4;
    if (this.end + length > this.lines.length) this.makeRoom(length);
    if ((this.count + 1) * STRIDE > this.entries.length) this.growEntries();
    copyBytes(from, start, this.lines, this.end, length);
    const { entries } = this;
    const at = ((this.first + this.count) * STRIDE) & (entries.length - 1);
    entries[at] = this.end;
    entries[at + 1] = nameLength;
    entries[at + 2] = valueLength;
    entries[at + 3] = id | (facts << 8);
    this.end += length;
    this.size += size;
    this.count++;
  }

  /** Sets the size that the peer chose; what is over it goes. */
  resize(limit: number): void {
    this.limit = limit;
    this.evictTo(limit);
  }

  private evictTo(size: number): void {
    const { entries } = this;
    while (this.size > size && this.count > 0) {
      const at = (this.first * STRIDE) & (entries.length - 1);
      this.size -= entries[at + 1] + entries[at + 2] + ENTRY_OVERHEAD;
      this.first = (this.first + 1) & (entries.length / STRIDE - 1);
      this.count--;
    }
    if (this.count === 0) {
      this.first = 0;
      this.end = 0;
    }
  }

  private makeRoom(length: number): void {
    const { entries } = this;
    const from = this.count === 0 ? 0 : entries[(this.first * STRIDE) & (entries.length - 1)];
    const live = this.end - from;
    let capacity = Math.max(FIRST_BYTES, this.lines.length);
    while (2 * (live + length) > capacity) capacity *= 2;
    const { lines } = this;
    if (capacity > lines.length) this.lines = Buffer.allocUnsafeSlow(capacity);
    lines.copy(this.lines, 0, from, this.end);
    for (let i = 0; i < this.count; i++) entries[((this.first + i) * STRIDE) & (entries.length - 1)] -= from;
    this.end = live;
  }

  private growEntries(): void {
    const { entries, count } = this;
    const grown = new Int32Array(Math.max(FIRST_ENTRIES * STRIDE, entries.length * 2));
    for (let i = 0; i < count * STRIDE; i++)
      grown[i] = entries[(this.first * STRIDE + i) & (entries.length - 1)];
    this.entries = grown;
    this.first = 0;
  }
}

/** Copies between buffers that don't overlap. A loop beats the call up to about this many bytes. */
export function copyBytes(from: Buffer, start: number, to: Buffer, at: number, length: number): void {
  if (length > LOOP_BYTES) {
    from.copy(to, at, start, start + length);
    return;
  }
  for (let i = 0; i < length; i++) to[at + i] = from[start + i];
}

const LOOP_BYTES = 96;
const EMPTY = Buffer.alloc(0);
const NO_ENTRIES = new Int32Array(0);
