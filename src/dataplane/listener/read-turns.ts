/**
 * Turns at being read. A pass of the event loop reads from every client that has sent something, so that a caller with a
 * thousand busy connections makes each pass as long as a thousand requests take, for everybody. Here a caller is worked for
 * so long in a pass; what else was read of it is kept, and its connections are read no further, until the pass is over and
 * the others have been served. Nothing is lost of the worker's time: when the others have sent nothing, the next turn follows at once.
 * Of TLS handshakes, which take as long as tens of requests, a caller gets one in a pass.
 *
 * Time is what passes between one read and the next: no clock is read for it that the requests do not read themselves. What
 * one read brings may take longer than a turn (64 KiB are hundreds of small requests): of a caller that has sent such reads they are
 * worked on piece by piece.
 */
import { atPassEnd, type Clock, LIMITS, type PassTask } from '../../base/index.ts';
import { type CounterBlock, WORKER_COUNTER } from '../../telemetry/index.ts';
import type { ClientLink } from './client-link.ts';

/** A caller that was read from so recently has a right to turns, and one that took too long is watched as long. */
const RECENT_MS = 1_000;
/** Time that a caller takes in a pass before it is looked at when the pass ends. */
const NOTED_MS = 0.5;
/** Pieces of reads that take long. */
const PIECE_BYTES = 8 * 1_024;

export class ReadTurns implements PassTask {
  /** Longest turn in ms; 0: there are none. */
  turnMs: number;
  private readonly clock: Clock;
  /** Not standing still during a turn of the event loop. */
  private readonly preciseClock: Clock;
  private readonly counters: CounterBlock;
  private pass = 1;
  private passNoted = false;
  /** By caller: time in the pass of that number, and until when its reads are worked on in pieces. */
  private readonly usedMs = new Float64Array(LIMITS.callers);
  private readonly usedIn = new Uint32Array(LIMITS.callers);
  private readonly slowUntilMs = new Float64Array(LIMITS.callers);
  /** By caller: the pass of its last handshake. */
  private readonly greetedIn = new Uint32Array(LIMITS.callers);
  /** Who is being worked for, since when. */
  private reader = -1;
  private readerSinceMs = 0;
  /** The caller that was read from last, and when another one was. */
  private last = -1;
  private lastMs = 0;
  private otherMs = Number.NEGATIVE_INFINITY;
  /** Connections of which bytes wait, in the order in which they came. */
  private held: ClientLink[] = [];
  /** By caller: handshakes that wait, in the order in which they came. */
  private readonly arrivals = new Map<number, (() => void)[]>();

  constructor(turnMs: number, clock: Clock, preciseClock: Clock, counters: CounterBlock) {
    this.turnMs = turnMs;
    this.clock = clock;
    this.preciseClock = preciseClock;
    this.counters = counters;
  }

  /** Bytes were read: they are worked on now, or when their caller's turn comes again. */
  onRead(link: ClientLink, bytes: Buffer, length: number): void {
    const { caller } = link.facts;
    if (this.turnMs === 0 || caller < 0) {
      link.user.onBytes(bytes, length);
      return;
    }
    // TLS brings a record after the other, whether they are wanted or not.
    if (link.held !== null) {
      this.keep(link, link.held, bytes.subarray(0, length));
      return;
    }
    const nowMs = this.clock.nowMs();
    this.charge(nowMs);
    this.note(caller, nowMs);
    if (link.user.takesTurns && this.othersCame(nowMs)) {
      if (this.isOver(caller)) {
        this.hold(link, bytes.subarray(0, length));
        return;
      }
      if (length > PIECE_BYTES && nowMs < (this.slowUntilMs[caller] as number)) {
        this.workInPieces(link, bytes.subarray(0, length));
        return;
      }
    }
    this.reader = caller;
    this.readerSinceMs = nowMs;
    link.user.onBytes(bytes, length);
  }

  /** A client wants a handshake: `begin` is called now, or when its caller's turn comes again, be the client still there or not. */
  onArrival(caller: number, begin: () => void): void {
    if (this.turnMs === 0 || caller < 0) {
      begin();
      return;
    }
    const nowMs = this.clock.nowMs();
    this.charge(nowMs);
    this.note(caller, nowMs);
    const hadOne = this.greetedIn[caller] === this.pass;
    if (this.othersCame(nowMs) && (hadOne || this.isOver(caller))) this.wait(caller, begin);
    else this.greet(caller, begin);
  }

  /** It is closed: what is held of it is of no use. */
  forget(link: ClientLink): void {
    if (link.held === null) return;
    this.held = this.held.filter((one) => one !== link);
    this.drop(link, link.held);
  }

  onPassEnd(): void {
    const { held, arrivals } = this;
    this.passNoted = false;
    this.pass = (this.pass + 1) >>> 0;
    this.reader = -1;
    this.held = [];
    // What comes before it may close a connection, and forget it.
    for (const link of held) if (link.held !== null) this.work(link, link.held);
    for (const [caller, waiting] of arrivals) {
      if (this.isOver(caller)) continue;
      const begin = waiting.shift();
      if (waiting.length === 0) arrivals.delete(caller);
      if (begin !== undefined) this.greet(caller, begin);
    }
    if (this.held.length > 0 || arrivals.size > 0) this.notePass();
  }

  /** Works on what is held of a connection, as long as the turn lasts. */
  private work(link: ClientLink, parts: Buffer[]): void {
    while (parts.length > 0) {
      if (link.socket.destroyed) {
        this.drop(link, parts);
        return;
      }
      if (this.isOver(link.facts.caller)) {
        this.held.push(link);
        return;
      }
      const bytes = parts[0] as Buffer;
      const piece = bytes.subarray(0, PIECE_BYTES);
      if (piece.length === bytes.length) parts.shift();
      else parts[0] = bytes.subarray(PIECE_BYTES);
      link.out.account?.add(-piece.length);
      this.workOn(link, piece);
    }
    link.held = null;
    link.release();
  }

  /** Works on what was just read, as long as the turn lasts. */
  private workInPieces(link: ClientLink, bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !link.socket.destroyed; at += PIECE_BYTES) {
      if (this.isOver(link.facts.caller)) {
        this.hold(link, bytes.subarray(at));
        return;
      }
      this.workOn(link, bytes.subarray(at, at + PIECE_BYTES));
    }
  }

  private workOn(link: ClientLink, piece: Buffer): void {
    const sinceMs = this.preciseClock.nowMs();
    link.user.onBytes(piece, piece.length);
    this.add(link.facts.caller, this.preciseClock.nowMs() - sinceMs);
  }

  /** How long it takes can't be measured here: Node does the most of it after `begin`, before the next read. */
  private greet(caller: number, begin: () => void): void {
    this.greetedIn[caller] = this.pass;
    this.notePass();
    begin();
  }

  private wait(caller: number, begin: () => void): void {
    const waiting = this.arrivals.get(caller);
    if (waiting === undefined) this.arrivals.set(caller, [begin]);
    else waiting.push(begin);
    this.counters.add(WORKER_COUNTER.callerReadsHeld, 1);
    this.notePass();
  }

  /** The socket is not read before these bytes have been worked on. */
  private hold(link: ClientLink, bytes: Buffer): void {
    const parts: Buffer[] = [];
    this.counters.add(WORKER_COUNTER.callerReadsHeld, 1);
    this.held.push(link);
    link.hold(parts);
    this.keep(link, parts, bytes);
    this.notePass();
  }

  /** A copy: the buffer is read into again. */
  private keep(link: ClientLink, parts: Buffer[], bytes: Buffer): void {
    parts.push(Buffer.from(bytes));
    link.out.account?.add(bytes.length);
  }

  private drop(link: ClientLink, parts: Buffer[]): void {
    for (const part of parts) link.out.account?.add(-part.length);
    parts.length = 0;
    link.held = null;
  }

  private charge(nowMs: number): void {
    const { reader } = this;
    if (reader < 0) return;
    const ms = nowMs - this.readerSinceMs;
    this.reader = -1;
    this.add(reader, ms);
    if (ms >= this.turnMs) this.slowUntilMs[reader] = nowMs + RECENT_MS;
  }

  private add(caller: number, ms: number): void {
    const used = this.usedIn[caller] === this.pass ? (this.usedMs[caller] as number) : 0;
    this.usedIn[caller] = this.pass;
    this.usedMs[caller] = used + ms;
    if (used + ms > NOTED_MS) this.notePass();
  }

  /** Another caller than the one that came last has been here lately. */
  private othersCame(nowMs: number): boolean {
    return nowMs - this.otherMs < RECENT_MS;
  }

  private isOver(caller: number): boolean {
    return this.usedIn[caller] === this.pass && (this.usedMs[caller] as number) >= this.turnMs;
  }

  private note(caller: number, nowMs: number): void {
    if (caller !== this.last) {
      if (this.last >= 0) this.otherMs = this.lastMs;
      this.last = caller;
    }
    this.lastMs = nowMs;
  }

  private notePass(): void {
    if (this.passNoted) return;
    this.passNoted = true;
    atPassEnd(this);
  }
}
