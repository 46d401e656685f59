/**
 * What keeps a peer from making us work for nothing. Every frame that costs its sender next to nothing and us an
 * answer or a look (PING, SETTINGS, RST_STREAM, PRIORITY, empty DATA, WINDOW_UPDATE, unknown types) is paid for from
 * a bucket of the connection, which time refills slowly and useful work (a request that was answered, body bytes)
 * quickly. A correct peer never gets near its bottom; who empties it is cut off with ENHANCE_YOUR_CALM.
 *
 * Requests made in vain have a bucket of their own: those a client resets at once (rapid reset, CVE-2023-44487), and
 * those it makes us reset by breaking a rule (CVE-2025-8671). Only requests that ran their course refill that one, else
 * a client would pay for thousands of resets a second with the body of one download. Within a bucket each kind has
 * its price, so that nothing is gained by mixing them.
 */
import type { Clock } from '../../../base/index.ts';

export interface Price {
  readonly units: number;
  /** For a request made in vain. */
  readonly inVain: boolean;
}

const frame = (units: number): Price => ({ units, inVain: false });
const request = (units: number): Price => ({ units, inVain: true });

export const PRICE = {
  /** Of a client's. A server resets what we opened, which our own requests pay for: it may refuse hundreds at once. */
  reset: request(10),
  /** A server's, for a stream that is closed already: it follows each answer that came before the request's end. */
  lateReset: frame(0.1),
  settings: frame(10),
  ping: frame(4),
  goaway: frame(10),
  priority: frame(1),
  unknown: frame(1),
  emptyData: frame(2),
  /** A window update beyond what our own DATA accounts for. */
  windowUpdate: frame(1),
  /** A header block for a stream that we have reset: it may have been under way, and must be decoded. */
  lateBlock: frame(5),
  /** A stream error: we answer with RST_STREAM, and may have opened a stream for it. */
  fault: request(10),
  /** A head over the limits, more than its answer earns: a few bytes make one, by the static table or the Huffman code. */
  tooLarge: request(100),
  /** A stream over the limit that the peer was told, or after GOAWAY. */
  refused: request(5),
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

/**
 * A stream that lived so long was no rapid reset, whoever ended it (Envoy's bound): it took one of the places that a
 * client has, and a client whose requests all run into a timeout is to keep its connection.
 */
export const RAPID_MS = 1_000;

/** Where our own DATA is counted. */
interface DataSent {
  /** Frames since the last time. */
  takeDataFrames(): number;
}

export class FloodGuard {
  private readonly clock: Clock;
  private readonly sent: DataSent;
  /** Called when a bucket is empty. */
  private readonly cutOff: () => void;
  private frames = CAPACITY;
  private requests = CAPACITY;
  private atMs: number;

  constructor(clock: Clock, sent: DataSent, cutOff: () => void) {
    this.clock = clock;
    this.sent = sent;
    this.cutOff = cutOff;
    this.atMs = clock.nowMs();
  }

  /** False: the peer has used up what it had, and is cut off. */
  pay({ units, inVain }: Price): boolean {
    const nowMs = this.clock.nowMs();
    const gained = ((nowMs - this.atMs) * PER_SECOND) / 1_000;
    this.atMs = nowMs;
    this.earn(gained + this.sent.takeDataFrames() * EARNED.dataSent);
    this.requests = Math.min(CAPACITY, this.requests + gained);
    if (inVain) this.requests -= units;
    else this.frames -= units;
    const isPaid = this.requests >= 0 && this.frames >= 0;
    if (!isPaid) this.cutOff();
    return isPaid;
  }

  /** For body bytes, either way. */
  earn(units: number): void {
    this.frames = Math.min(CAPACITY, this.frames + units);
  }

  /** For a stream that ran its course. */
  earnStream(): void {
    this.earn(EARNED.stream);
    this.requests = Math.min(CAPACITY, this.requests + EARNED.stream);
  }
}
