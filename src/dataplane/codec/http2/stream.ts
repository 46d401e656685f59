/**
 * One stream of a session: its half-closed states, its two windows, and what waits to be sent on it. The session
 * changes it and nobody else; owners read it and keep their handler in it.
 */
import type { HeaderList } from '../../../message/index.ts';
import type { HeaderBlock } from './header-block.ts';

/**
 * Why a stream is gone before both sides ended it: the peer reset it, or never looked at it (GOAWAY); it broke a
 * rule and was reset by us; the connection ended.
 */
export type ResetCause = 'peer' | 'unprocessed' | 'fault' | 'connection';

/** The owner's side of a stream. After `onReset` no further call is made. */
export interface StreamHandler {
  /**
   * A header block after the one that began the stream: an answer's head, interim or final, or trailers (`isLast`). Returns what makes
   * it malformed; empty: nothing. `endStream` is followed by `onEnd` where the block is no trailers.
   */
  onBlock(block: HeaderBlock, endStream: boolean): string;
  /** A view, valid during the call. */
  onData(chunk: Buffer): void;
  onEnd(trailers: HeaderList | null): void;
  /** More may be sent. */
  onWritable(): void;
  /** The stream is gone. */
  onReset(cause: ResetCause, code: number, detail: string): void;
}

export class Http2Stream {
  readonly id: number;
  handler: StreamHandler | null = null;
  /** The peer has sent END_STREAM; we have. */
  remoteEnded = false;
  localEnded = false;
  closed = false;
  /** The block that begins the peer's message has come, so that the next one is its trailers. */
  headSeen = false;
  /** When the peer opened it, as `Clock.nowMs`. */
  openedMs = 0;
  /** Of the peer's message; -1: not stated. */
  expectedBytes = -1;
  receivedBytes = 0;
  /** What the peer lets us send; may be negative after SETTINGS. */
  sendWindow: number;
  /** What we let the peer send. */
  receiveWindow: number;
  /** Received, and not yet given back to the peer as window. */
  owedBytes = 0;
  paused = false;
  /** Raw bytes go both ways (extended CONNECT): the end of one direction is not the end of the other. */
  bothWays = false;
  /** Copies of what could not be sent yet. */
  readonly queue: Buffer[] = [];
  queuedBytes = 0;
  endQueued = false;
  trailers: HeaderList | null = null;
  /** It was told to stop, and waits for `onWritable`. */
  full = false;
  /** In the session's list of streams that have something to send. */
  waiting = false;

  constructor(id: number, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }
}
