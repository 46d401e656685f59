/** A buffer that grows as it is written, for whole turns of a connection's frames; the caller sends and resets it. */
const FIRST_BYTES = 1_024;

export class OutBuffer {
  /** What has been written is `bytes[0, length)`. Replaced when it grows: read it anew after `reserve`. */
  bytes: Buffer = EMPTY;
  length = 0;

  /** Makes room for `count` more bytes. What may be written before it is sent is the caller's to bound. */
  reserve(count: number): Buffer {
    const needed = this.length + count;
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, this.bytes.length * 2, needed));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    return this.bytes;
  }

  /** What was written, as a view that nobody overwrites: the buffer starts anew with other memory. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = EMPTY;
    this.length = 0;
    return taken;
  }
}

const EMPTY = Buffer.alloc(0);
