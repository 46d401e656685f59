/**
 * A request's body on its way upstream. What the current attempt has not taken yet waits here; what it has
 * taken is kept as well, up to a cap, so that a retry can send it again. Over the cap the body is no
 * longer replayable, and only the unsent part is held, while the client is paused: memory stays bounded
 * by `LIMITS.highWaterBytes` plus one read.
 */
import { joinSmall, LIMITS } from '../../base/index.ts';
import type { HeaderList, UpstreamStream } from '../../message/index.ts';
import { copyChunk } from '../transport/index.ts';

export class RequestBody {
  private readonly chunks: Buffer[] = [];
  private readonly cap: number;
  /** Chunks before this one have been taken by the current attempt. */
  private next = 0;
  private heldBytes = 0;
  private unsentBytes = 0;
  private ended = false;
  private trailers: HeaderList | null = null;
  private replayable = true;
  /** The last chunk belongs to somebody else. */
  private borrowed = false;
  /** Something was sent and thrown away. */
  private dropped = false;

  /** `cap`: bytes kept for a retry; 0 keeps none. */
  constructor(cap: number) {
    this.cap = cap;
  }

  /** All of it has come. */
  get complete(): boolean {
    return this.ended;
  }

  /** It can be sent from its first byte: all of it is kept, or none has been sent yet. */
  get restartable(): boolean {
    return !this.dropped;
  }

  /** The client should stop sending for now. */
  get full(): boolean {
    return this.unsentBytes >= LIMITS.highWaterBytes;
  }

  /** Takes a chunk, which stays valid until `own` is called; true when this one made the body too large to be sent again. */
  push(chunk: Buffer): boolean {
    this.chunks.push(chunk);
    this.heldBytes += chunk.length;
    this.unsentBytes += chunk.length;
    this.borrowed = true;
    if (!this.replayable || this.heldBytes <= this.cap) return false;
    this.giveUpReplay();
    return true;
  }

  /** The chunk pushed last is about to become invalid: what is left of it here is copied. */
  own(): void {
    if (!this.borrowed) return;
    this.borrowed = false;
    const last = this.chunks.length - 1;
    if (last < 0) return;
    const chunk = this.chunks[last] as Buffer;
    if (this.joinLast(last, chunk)) return;
    // A chunk that may be written twice must not lie in a slab.
    this.chunks[last] = this.replayable ? Buffer.from(chunk) : copyChunk(chunk);
  }

  /** Puts a tiny chunk into the one before it, where the current attempt has taken both or neither. */
  private joinLast(last: number, chunk: Buffer): boolean {
    if (last === 0 || this.next === last) return false;
    const joined = joinSmall(this.chunks[last - 1], chunk);
    if (joined === null) return false;
    this.chunks[last - 1] = joined;
    this.chunks.pop();
    if (this.next > last) this.next--;
    return true;
  }

  end(trailers: HeaderList | null): void {
    this.ended = true;
    this.trailers = trailers;
  }

  /** No attempt will follow: what has been sent need not be kept. */
  giveUpReplay(): void {
    this.replayable = false;
    this.dropSent();
  }

  /** A new attempt starts from the first byte. */
  rewind(): void {
    this.next = 0;
    this.unsentBytes = this.heldBytes;
  }

  /**
   * Gives the attempt what it can take. `ended`: it has been given the end; `full`: it takes no more until it is
   * writable again, and must not be asked to; `open`: there is no more yet.
   */
  sendTo(stream: UpstreamStream): 'ended' | 'full' | 'open' {
    while (this.next < this.chunks.length) {
      const chunk = this.chunks[this.next] as Buffer;
      this.next++;
      this.unsentBytes -= chunk.length;
      const open = stream.sendBody(chunk);
      if (!this.replayable) this.dropSent();
      if (!open) return 'full';
    }
    if (!this.ended) return 'open';
    stream.sendEnd(this.trailers);
    return 'ended';
  }

  private dropSent(): void {
    if (this.next > 0) this.dropped = true;
    for (let i = 0; i < this.next; i++) this.heldBytes -= (this.chunks[i] as Buffer).length;
    this.chunks.splice(0, this.next);
    this.next = 0;
  }
}
