/**
 * Random identifiers. Bytes come from the system's generator in pools of 4 KiB, because one `randomBytes(8)` costs
 * 1.9 µs, and become hexadecimal digits a pool at a time, because one `toString` costs 80 ns and a slice 10.
 * Each worker has its own pool.
 */
import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4_096;
const VARIANTS = ['8', '9', 'a', 'b'] as const;

export class RandomIds {
  private readonly pool = Buffer.allocUnsafeSlow(POOL_BYTES);
  private readonly fill: (bytes: Buffer) => void;
  /** The pool as hexadecimal digits, taken up to `at`. */
  private digits = '';
  private at = 0;

  /** `fill` fills a buffer with random bytes; tests pass a predictable one. */
  constructor(fill: (bytes: Buffer) => void = randomFillSync) {
    this.fill = fill;
  }

  /** 32 hex digits, never all zero (W3C Trace Context section 3.2.2.3). */
  traceId(): string {
    for (;;) {
      const id = this.take(32);
      if (id !== '00000000000000000000000000000000') return id;
    }
  }

  /** 16 hex digits, never all zero. */
  spanId(): string {
    for (;;) {
      const id = this.take(16);
      if (id !== '0000000000000000') return id;
    }
  }

  /** A random UUID (RFC 9562 version 4). */
  uuid(): string {
    const id = this.take(32);
    const variant = VARIANTS[id.charCodeAt(16) & 3] as string;
    return `${id.slice(0, 8)}-${id.slice(8, 12)}-4${id.slice(13, 16)}-${variant}${id.slice(17, 20)}-${id.slice(20)}`;
  }

  private take(digits: number): string {
    if (this.at + digits > this.digits.length) {
      this.fill(this.pool);
      this.digits = this.pool.toString('hex');
      this.at = 0;
    }
    const at = this.at;
    this.at += digits;
    return this.digits.slice(at, at + digits);
  }
}
