/**
 * A request's body on its way upstream. What the attempt under way has not taken yet waits here; what it has
 * taken is kept as well, up to a cap, so that another attempt can send it again. Over the cap the body is no
 * longer replayable, and only the unsent part is held, while the client is paused: memory stays bounded
 * by `LIMITS.highWaterBytes` plus one read.
 *
 * What it holds, and what endpoints are slow to take of it, counts for the caller. One that has more than its share keeps
 * nothing for other attempts, and is paused as soon as anything waits.
 */
import { joinSmall, LIMITS } from '../../../base/index.ts';
import type { HeaderList, UpstreamStream } from '../../../message/index.ts';
import { type BufferAccount, copyChunk } from '../../transport/index.ts';

/** How far one attempt has come. */
export interface BodyCursor {
  /** Chunks before this one have been taken. */
  next: number;
  takenBytes: number;
  /** Of what was taken: bytes that wait before the endpoint, which is slow. */
  waitingBytes: number;
}

export class RequestBody {
  private readonly chunks: Buffer[] = [];
  private readonly cap: number;
  /** Of the attempts under way: mostly one, in the order in which they began. */
  private readonly cursors: BodyCursor[] = [];
  private heldBytes = 0;
  private ended = false;
  private trailers: HeaderList | null = null;
  private replayable = true;
  /** The last chunk belongs to somebody else. */
  private borrowed = false;
  /** Something was sent and thrown away. */
  private dropped = false;
  /** Null: nobody counts. */
  private account: BufferAccount | null;
  private countedBytes = 0;

  /** `cap`: bytes kept for another attempt; 0 keeps none. `account`: of the caller. */
  constructor(cap: number, account: BufferAccount | null = null) {
    this.cap = cap;
    this.account = account;
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
    const { cursors } = this;
    const last = cursors[cursors.length - 1];
    const unsentBytes = this.heldBytes - (last === undefined ? 0 : last.takenBytes);
    return unsentBytes >= LIMITS.highWaterBytes || (unsentBytes > 0 && this.account?.over === true);
  }

  /** Takes a chunk, which stays valid until `own` is called. */
  push(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.heldBytes += chunk.length;
    this.borrowed = true;
    if (this.replayable && this.heldBytes > this.cap) this.giveUpReplay();
  }

  /** The chunk pushed last is about to become invalid: what is left of it here is copied. */
  own(): void {
    if (!this.borrowed) return;
    this.borrowed = false;
    this.count();
    if (this.replayable && this.account?.over === true) this.giveUpReplay();
    const last = this.chunks.length - 1;
    if (last < 0) return;
    const chunk = this.chunks[last] as Buffer;
    if (this.joinLast(last, chunk)) return;
    // A chunk that may be written twice must not lie in a slab.
    this.chunks[last] = this.replayable ? Buffer.from(chunk) : copyChunk(chunk);
  }

  end(trailers: HeaderList | null): void {
    this.ended = true;
    this.trailers = trailers;
  }

  /** No attempt will follow: what has been sent need not be kept. */
  giveUpReplay(): void {
    this.replayable = false;
    this.dropSent();
    this.count();
  }

  /** An attempt begins with the first byte; `close` when it is over. */
  open(): BodyCursor {
    const cursor = { next: 0, takenBytes: 0, waitingBytes: 0 };
    this.cursors.push(cursor);
    return cursor;
  }

  close(cursor: BodyCursor): void {
    const at = this.cursors.indexOf(cursor);
    if (at >= 0) this.cursors.splice(at, 1);
    this.count();
  }

  /** The request is over: nothing of it counts any more. */
  release(): void {
    this.account?.add(-this.countedBytes);
    this.account = null;
  }

  /**
   * Gives an attempt what it can take. `ended`: it has been given the end; `full`: it takes no more until it is
   * writable again, and must not be asked to; `open`: there is no more yet.
   */
  sendTo(stream: UpstreamStream, cursor: BodyCursor): 'ended' | 'full' | 'open' {
    const state = this.feed(stream, cursor);
    this.waits(cursor, state === 'full' ? stream.waitingBytes : 0);
    return state;
  }

  /** So many bytes of what an attempt has taken wait before its endpoint. */
  waits(cursor: BodyCursor, bytes: number): void {
    cursor.waitingBytes = bytes;
    this.count();
  }

  private feed(stream: UpstreamStream, cursor: BodyCursor): 'ended' | 'full' | 'open' {
    while (cursor.next < this.chunks.length) {
      const chunk = this.chunks[cursor.next] as Buffer;
      cursor.next++;
      cursor.takenBytes += chunk.length;
      const open = stream.sendBody(chunk);
      if (!this.replayable) this.dropSent();
      if (!open) return 'full';
    }
    if (!this.ended) return 'open';
    stream.sendEnd(this.trailers);
    return 'ended';
  }

  private count(): void {
    const { account, cursors } = this;
    if (account === null) return;
    let bytes = this.heldBytes;
    // What is kept for another attempt is the memory that waits.
    if (!this.replayable)
      for (let i = 0; i < cursors.length; i++) bytes += (cursors[i] as BodyCursor).waitingBytes;
    if (bytes === this.countedBytes) return;
    account.add(bytes - this.countedBytes);
    this.countedBytes = bytes;
  }

  /** Puts a tiny chunk into the one before it, where every attempt under way has taken both or neither. */
  private joinLast(last: number, chunk: Buffer): boolean {
    const { chunks, cursors } = this;
    if (last === 0) return false;
    for (let i = 0; i < cursors.length; i++) if ((cursors[i] as BodyCursor).next === last) return false;
    const joined = joinSmall(chunks[last - 1], chunk);
    if (joined === null) return false;
    chunks[last - 1] = joined;
    chunks.pop();
    for (let i = 0; i < cursors.length; i++) {
      const cursor = cursors[i] as BodyCursor;
      if (cursor.next > last) cursor.next--;
    }
    return true;
  }

  /** Drops what every attempt under way has taken. */
  private dropSent(): void {
    const { chunks, cursors } = this;
    let sent = cursors.length === 0 ? 0 : chunks.length;
    for (let i = 0; i < cursors.length; i++) sent = Math.min(sent, (cursors[i] as BodyCursor).next);
    if (sent === 0) return;
    this.dropped = true;
    let bytes = 0;
    for (let i = 0; i < sent; i++) bytes += (chunks[i] as Buffer).length;
    chunks.splice(0, sent);
    this.heldBytes -= bytes;
    for (let i = 0; i < cursors.length; i++) {
      const cursor = cursors[i] as BodyCursor;
      cursor.next -= sent;
      cursor.takenBytes -= bytes;
    }
  }
}
