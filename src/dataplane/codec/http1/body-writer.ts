/**
 * Puts messages on the wire in few writes. The head and small pieces are joined as text and held until `flush`,
 * a large piece or the end: a small answer with its head, its chunk and its last chunk is one write. A
 * write costs 2–4 µs in the kernel and in Node, copying 8 KiB about 1 µs, hence the limits below.
 */
import { atTurnEnd, type TurnTask } from '../../../base/index.ts';
import type { HeaderList } from '../../../message/index.ts';
import { encodeTrailers } from './encode.ts';
import type { Framing } from './framing.ts';

/** The way to a socket. Both writes answer `belowHighWater` as it is afterwards. */
export interface ByteOut {
  writeText(latin1: string): boolean;
  writeBytes(bytes: Buffer): boolean;
  /** Sends on what it may have gathered. */
  flush(): void;
  /** False while so many bytes wait to be sent that the source should stop. */
  readonly belowHighWater: boolean;
}

/** A chunk up to this size is copied into the held text. */
const JOIN_BYTES = 8 * 1024;
/** Held text beyond this size is written. */
const HELD_BYTES = 16 * 1024;

/** The owner calls `flush` or `flushSoon` once it has handed over what it has at the moment. */
export class BodyWriter implements TurnTask {
  private readonly out: ByteOut;
  private framing: Framing = 'none';
  private held = '';
  /** Bytes still to come of a body with `length` framing. */
  private remaining = 0;
  private whole = true;
  private scheduled = false;

  constructor(out: ByteOut) {
    this.out = out;
  }

  /** False when the body did not have its announced length: then close the connection, never reuse it. */
  get intact(): boolean {
    return this.whole;
  }

  /** Begins a message. `length` is the Content-Length when `framing` is `length`. */
  begin(headText: string, framing: Framing, length: number): void {
    this.held += headText;
    this.framing = framing;
    this.remaining = length;
    this.whole = true;
  }

  /** Text of its own (1xx), sent in order. */
  text(latin1: string): boolean {
    this.held += latin1;
    return this.held.length > HELD_BYTES ? this.flush() : this.out.belowHighWater;
  }

  /**
   * Body bytes. False when the receiver should stop for a while. A large chunk is not copied. Bytes are dropped
   * where the message has no body (an answer to HEAD) and beyond the announced length.
   */
  body(chunk: Buffer): boolean {
    switch (this.framing) {
      case 'none':
        return this.out.belowHighWater;
      case 'length': {
        const excess = chunk.length - this.remaining;
        if (excess > 0) this.whole = false;
        const wanted = excess > 0 ? chunk.subarray(0, this.remaining) : chunk;
        this.remaining -= wanted.length;
        return this.put('', wanted, '');
      }
      case 'chunked':
        // A chunk of no bytes would end the body.
        return chunk.length === 0
          ? this.out.belowHighWater
          : this.put(`${chunk.length.toString(16)}\r\n`, chunk, '\r\n');
      default:
        return this.put('', chunk, '');
    }
  }

  /** Ends the message; trailers are sent only where the framing is chunked. Everything held or gathered is written. */
  end(trailers: HeaderList | null): boolean {
    if (this.framing === 'chunked')
      this.held += trailers === null ? '0\r\n\r\n' : `0\r\n${encodeTrailers(trailers)}\r\n`;
    else if (this.framing === 'length' && this.remaining > 0) this.whole = false;
    this.framing = 'none';
    this.flush();
    this.out.flush();
    return this.out.belowHighWater;
  }

  /** Writes what is held. */
  flush(): boolean {
    if (this.held === '') return this.out.belowHighWater;
    const text = this.held;
    this.held = '';
    return this.out.writeText(text);
  }

  /** Writes what is held when the turn ends. */
  flushSoon(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    atTurnEnd(this);
  }

  onTurnEnd(): void {
    this.scheduled = false;
    this.flush();
  }

  private put(before: string, chunk: Buffer, after: string): boolean {
    if (chunk.length <= JOIN_BYTES) {
      this.held += before + chunk.toString('latin1', 0, chunk.length) + after;
      return this.held.length > HELD_BYTES ? this.flush() : this.out.belowHighWater;
    }
    this.held += before;
    this.flush();
    this.held = after;
    return this.out.writeBytes(chunk);
  }
}
