/**
 * The streams of a session: those that are open, which ids come next, and how the last ones ended. A frame that comes
 * for a closed stream may have been under way when we reset it, which is nobody's fault, or breaks the protocol (RFC
 * 9113 section 5.1, `closed`): only remembering tells.
 */
import { ERROR } from './codes.ts';
import { connectionError, type FrameError, streamError } from './frame-rules.ts';
import { OpenStreams } from './open-streams.ts';
import { Http2Stream } from './stream.ts';

export const ENDED = {
  /** Too long ago to be remembered, or never opened. */
  unknown: 0,
  /** Both sides sent END_STREAM. */
  complete: 1,
  resetByUs: 2,
  resetByPeer: 3,
} as const;

export type Ended = (typeof ENDED)[keyof typeof ENDED];

/** As many as a peer may have reset and still send frames for. */
const REMEMBERED = 256;
const LAST_ID = 2 ** 31 - 1;

export class StreamTable {
  readonly open = new OpenStreams();
  /** The highest stream that the peer has opened. */
  lastPeerId = 0;
  private nextId: number;
  private readonly ids = new Int32Array(REMEMBERED);
  private readonly ends = new Uint8Array(REMEMBERED);
  private at = 0;

  /** Clients open odd streams, servers even ones (RFC 9113 section 5.1.1). */
  constructor(role: 'server' | 'client') {
    this.nextId = role === 'server' ? 2 : 1;
  }

  /** One of ours can still be numbered. */
  get hasIds(): boolean {
    return this.nextId < LAST_ID - 1;
  }

  /** A stream of ours. */
  next(sendWindow: number, receiveWindow: number): Http2Stream {
    const stream = this.add(this.nextId, sendWindow, receiveWindow);
    this.nextId += 2;
    return stream;
  }

  add(id: number, sendWindow: number, receiveWindow: number): Http2Stream {
    const stream = new Http2Stream(id, sendWindow, receiveWindow);
    this.open.add(stream);
    return stream;
  }

  remove(stream: Http2Stream): void {
    stream.closed = true;
    this.open.remove(stream.id);
  }

  /** Notes how a stream ended. */
  remember(id: number, end: Ended): void {
    this.ids[this.at] = id;
    this.ends[this.at] = end;
    this.at = (this.at + 1) % REMEMBERED;
  }

  endOf(id: number): Ended {
    const place = this.ids.indexOf(id);
    return place < 0 ? ENDED.unknown : (this.ends[place] as Ended);
  }

  /** What is wrong with a frame for a stream that is not open; null: nothing, it was under way when we reset it. */
  faultOfNone(id: number, what: string): FrameError | null {
    if (this.isIdle(id))
      return connectionError(ERROR.protocolError, `${what} for stream ${id}, which is idle`);
    switch (this.endOf(id)) {
      case ENDED.complete:
        return connectionError(ERROR.streamClosed, `${what} for stream ${id}, which is closed`);
      case ENDED.resetByPeer:
        return streamError(ERROR.streamClosed, `${what} for stream ${id}, which was reset`);
      case ENDED.unknown:
        return what === 'HEADERS' && this.isPeers(id)
          ? connectionError(ERROR.protocolError, `stream ${id} after stream ${this.lastPeerId}`)
          : null;
      default:
        return null;
    }
  }

  /** The peer numbers its streams like this. */
  isPeers(id: number): boolean {
    return (id & 1) !== (this.nextId & 1);
  }

  /** Nobody has opened it yet. */
  isIdle(id: number): boolean {
    return this.isPeers(id) ? id > this.lastPeerId : id >= this.nextId;
  }
}
