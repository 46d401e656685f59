/**
 * Keeps the beginning of a head (or trailer section) that came in several reads. It grows by doubling and never
 * beyond its limit; it is given back once the head is complete, so that an idle connection holds none.
 */
const FIRST_BYTES = 1024;

export class HeadBuffer {
  /** What has come so far is `bytes[0, length)`. */
  bytes: Buffer = EMPTY;
  length = 0;

  /** Appends `from[start, end)`; the caller has bounded it. */
  append(from: Buffer, start: number, end: number): void {
    const needed = this.length + end - start;
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(FIRST_BYTES, this.bytes.length * 2, needed));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    from.copy(this.bytes, this.length, start, end);
    this.length = needed;
  }

  clear(): void {
    this.bytes = EMPTY;
    this.length = 0;
  }
}

const EMPTY = Buffer.alloc(0);
