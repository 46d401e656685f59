/**
 * Base64 that comes in pieces. The body of a text request may be cut anywhere, and padding may stand in the middle of
 * it, because each message may have been encoded on its own; what follows padding begins anew. Strict but for that:
 * RFC 4648 section 4's alphabet alone, and padding is required. Node's own decoder skips what it does not know.
 */

const NONE = 0xff;
const PAD = 64;
const EQUALS = 0x3d;

/** Value per byte. */
const VALUES = new Uint8Array(256).fill(NONE);
for (const [value, char] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  VALUES[char.charCodeAt(0)] = value;
VALUES[EQUALS] = PAD;

export class Base64Reader {
  /** What was wrong; empty: nothing so far. */
  fault = '';
  /** The characters of an unfinished group of four: their bits, their number, and how many of them are padding. */
  private bits = 0;
  private count = 0;
  private pads = 0;

  /** No group is unfinished. */
  get complete(): boolean {
    return this.count === 0;
  }

  /** What the piece decodes to, perhaps nothing; null: it is no base64, and `fault` says why. */
  decode(piece: Buffer): Buffer | null {
    const out = Buffer.allocUnsafe(((this.count + piece.length) >> 2) * 3);
    let { bits, count, pads } = this;
    let length = 0;
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i];
      const value = VALUES[byte];
      if (value === NONE) return this.fail(`byte 0x${byte.toString(16).padStart(2, '0')} in base64`);
      if (value === PAD) {
        if (count < 2) return this.fail('base64 padding where none can be');
        pads++;
      } else if (pads > 0) return this.fail('base64 padding cut short');
      bits = (bits << 6) | (value & 63);
      if (++count < 4) continue;
      out[length++] = bits >> 16;
      if (pads < 2) out[length++] = bits >> 8;
      if (pads < 1) out[length++] = bits;
      bits = 0;
      count = 0;
      pads = 0;
    }
    this.bits = bits;
    this.count = count;
    this.pads = pads;
    return out.subarray(0, length);
  }

  private fail(fault: string): null {
    this.fault = fault;
    return null;
  }
}
