/**
 * What keeps a peer from making us work for nothing. Every frame that costs its sender next to nothing and us an
 * answer or a look (PING, SETTINGS, RST_STREAM, PRIORITY, empty DATA, WINDOW_UPDATE, unknown types) is paid for from
 * a bucket of the connection, which time refills slowly and useful work (a request that was answered, body bytes)
 * quickly. A correct peer never gets near its bottom; who empties it is cut off with ENHANCE_YOUR_CALM.
 *
 * One bucket for all kinds, with a price each, so that an attacker gains nothing by mixing them. Rapid reset
 * (CVE-2023-44487) is the dearest: a stream opened and reset makes a request for nothing.
 */
import type { Clock } from '../../../base/index.ts';

/** Prices, in the bucket's units. */
export const PRICE = {
  reset: 10,
  settings: 10,
  ping: 4,
  priority: 1,
  unknown: 1,
  emptyData: 2,
  /** A window update beyond what our own DATA accounts for. */
  windowUpdate: 1,
  /** A stream error: we answer with RST_STREAM, and may have opened a stream for it. */
  fault: 10,
  /** A stream over the limit that the peer was told. */
  refused: 5,
} as const;

/** 100 resets in one burst, or 1,000 window updates. */
const CAPACITY = 1_000;
const PER_SECOND = 100;
/** What useful work gives back. */
export const EARNED = {
  /** A stream that ran its course: a client may cancel half of its requests for ever. */
  stream: 10,
  /** A DATA frame of ours: gRPC answers with a window update each, and with PING to measure the way. */
  dataSent: 6,
  /** A DATA frame of the peer's that is not tiny. */
  dataReceived: 2,
} as const;

export class FloodGuard {
  private readonly clock: Clock;
  private units = CAPACITY;
  private atMs: number;

  constructor(clock: Clock) {
    this.clock = clock;
    this.atMs = clock.nowMs();
  }

  /** False: the peer has used up what it had. */
  spend(price: number): boolean {
    const nowMs = this.clock.nowMs();
    this.units = Math.min(CAPACITY, this.units + ((nowMs - this.atMs) * PER_SECOND) / 1_000) - price;
    this.atMs = nowMs;
    return this.units >= 0;
  }

  earn(units: number): void {
    this.units = Math.min(CAPACITY, this.units + units);
  }
}
