/**
 * Random identifiers. Bytes come from the system's generator in pools of 8 KiB, because one
 * `randomBytes(8)` costs 1.9 µs and a span id from the pool 0.06 µs. Each worker has its own pool.
 */
import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 8_192;

export class RandomIds {
  private readonly pool = Buffer.allocUnsafeSlow(POOL_BYTES);
  private readonly fill: (bytes: Buffer) => void;
  private at = POOL_BYTES;

  /** `fill` fills a buffer with random bytes; tests pass a predictable one. */
  constructor(fill: (bytes: Buffer) => void = randomFillSync) {
    this.fill = fill;
  }

  /** 32 hex digits, never all zero (W3C Trace Context section 3.2.2.3). */
  traceId(): string {
    for (;;) {
      const id = this.hex(16);
      if (id !== '00000000000000000000000000000000') return id;
    }
  }

  /** 16 hex digits, never all zero. */
  spanId(): string {
    for (;;) {
      const id = this.hex(8);
      if (id !== '0000000000000000') return id;
    }
  }

  /** A random UUID (RFC 9562 version 4). */
  uuid(): string {
    const at = this.take(16);
    const pool = this.pool;
    pool[at + 6] = (pool[at + 6] & 0x0f) | 0x40;
    pool[at + 8] = (pool[at + 8] & 0x3f) | 0x80;
    const hex = pool.toString('hex', at, at + 16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  private hex(bytes: number): string {
    const at = this.take(bytes);
    return this.pool.toString('hex', at, at + bytes);
  }

  private take(bytes: number): number {
    if (this.at + bytes > POOL_BYTES) {
      this.fill(this.pool);
      this.at = 0;
    }
    const at = this.at;
    this.at += bytes;
    return at;
  }
}
