/** What a session is made with, and whom it tells. */
import type { Clock } from '../../../base/index.ts';
import type { ErrorCode } from './codes.ts';
import type { HeaderBlock } from './header-block.ts';
import type { Http2Stream } from './stream.ts';

export interface SessionOptions {
  readonly role: 'server' | 'client';
  readonly clock: Clock;
  /** Streams the peer may have open at once; of a client's session 0. */
  readonly maxStreams: number;
  readonly headerBytes: number;
}

/** What the owner of a connection is told. */
export interface SessionOwner {
  /** The peer opened a stream with a proper request, or one with too large a head (`block.tooLarge`). Sets `stream.handler`. */
  onStream(stream: Http2Stream, block: HeaderBlock, endStream: boolean): void;
  /** A stream is gone. */
  onStreamClosed(stream: Http2Stream): void;
  /** The peer's settings have changed. */
  onSettings(): void;
  /** The peer takes no new streams; those above `lastStreamId` were never looked at, and are reset after this. */
  onGoaway(lastStreamId: number, code: number, debug: string): void;
  onPong(): void;
  /** A stream of the peer's broke a rule, or is one too many; it was reset. `known`: its handler has been told so. */
  onStreamFault(code: ErrorCode, detail: string, known: boolean): void;
}
