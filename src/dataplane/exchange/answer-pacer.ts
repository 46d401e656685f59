/**
 * An answer's body at a limited rate, to see what a slow network does to clients (Envoy: `response_rate_limit`): a token bucket per
 * answer that fills in slices of 50 ms up to one second's worth, and begins with one slice. What came too early waits here; above
 * `LIMITS.highWaterBytes` the endpoint is paused.
 */
import { LIMITS, Timer, type TimerOwner } from '../../base/index.ts';
import type { DownstreamStream, HeaderList } from '../../message/index.ts';
import type { ExchangeContext } from './context.ts';

export interface PacerOwner {
  /** Part of the answer goes to the client. */
  touch(): void;
  /** It may come faster again. */
  onPaceFree(): void;
  /** The client has been given all of it, the end included. */
  onPaceEnd(): void;
}

const SLICE_MS = 50;
const BURST_MS = 1_000;
const KIB = 1_024;

export class AnswerPacer implements TimerOwner {
  private readonly owner: PacerOwner;
  private readonly stream: DownstreamStream;
  private readonly wheel: ExchangeContext['wheel'];
  private readonly clock: ExchangeContext['clock'];
  private readonly timer = new Timer(this, 0);
  private readonly bytesPerMs: number;
  private readonly waiting: Buffer[] = [];
  private waitingBytes = 0;
  /** Bytes that may be sent, a fraction included. */
  private allowance: number;
  private filledMs: number;
  /** The endpoint is paused. */
  private full = false;
  /** The client takes no more for now. */
  private blocked = false;
  private ended = false;
  private over = false;
  private trailers: HeaderList | null = null;

  /** `kbps`: KiB a second, at least 1. */
  constructor(owner: PacerOwner, stream: DownstreamStream, { wheel, clock }: ExchangeContext, kbps: number) {
    this.owner = owner;
    this.stream = stream;
    this.wheel = wheel;
    this.clock = clock;
    this.bytesPerMs = (kbps * KIB) / 1_000;
    this.allowance = this.bytesPerMs * SLICE_MS;
    this.filledMs = -1;
  }

  /** Takes a chunk, which stays valid during the call only; false: no more for now. */
  push(chunk: Buffer): boolean {
    // A copy of its own: one in a slab must be written once, and this one may be cut.
    this.waiting.push(Buffer.from(chunk));
    this.waitingBytes += chunk.length;
    // The rate begins with the first byte: an answer that was long in coming has nothing saved up.
    if (this.filledMs < 0) this.filledMs = this.clock.nowMs();
    this.send();
    this.full = this.waitingBytes >= LIMITS.highWaterBytes;
    return !this.full;
  }

  end(trailers: HeaderList | null): void {
    this.ended = true;
    this.trailers = trailers;
    this.send();
  }

  /** The client takes more. */
  onWritable(): void {
    this.blocked = false;
    this.send();
  }

  onTimer(): void {
    this.send();
  }

  /** The request is over. */
  stop(): void {
    this.over = true;
    this.wheel.cancel(this.timer);
  }

  private send(): void {
    if (this.over || this.blocked) return;
    this.fill();
    let sent = false;
    while (!this.blocked && this.allowance >= 1 && this.waitingBytes > 0) {
      this.blocked = !this.stream.sendBody(this.next());
      sent = true;
    }
    if (sent) this.owner.touch();
    if (this.waitingBytes > 0) {
      if (!this.blocked && !this.timer.armed) this.wheel.arm(this.timer, SLICE_MS);
    } else if (this.ended) {
      this.stop();
      this.stream.sendEnd(this.trailers);
      this.owner.onPaceEnd();
      return;
    }
    if (!this.full || this.waitingBytes >= LIMITS.highWaterBytes) return;
    this.full = false;
    this.owner.onPaceFree();
  }

  /** As much of the first chunk as may be sent now; it is taken off. */
  private next(): Buffer {
    const first = this.waiting[0] as Buffer;
    const length = Math.min(first.length, Math.floor(this.allowance));
    if (length === first.length) this.waiting.shift();
    else this.waiting[0] = first.subarray(length);
    this.waitingBytes -= length;
    this.allowance -= length;
    return length === first.length ? first : first.subarray(0, length);
  }

  private fill(): void {
    if (this.filledMs < 0) return;
    const nowMs = this.clock.nowMs();
    const most = this.bytesPerMs * BURST_MS;
    this.allowance = Math.min(most, this.allowance + this.bytesPerMs * (nowMs - this.filledMs));
    this.filledMs = nowMs;
  }
}
