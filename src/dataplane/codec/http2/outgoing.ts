/**
 * Everything one side of a connection sends. Frames are gathered and written once per pass of the event loop; body bytes
 * go as far as the peer's two windows and the socket allow, and what is left waits as a copy in its stream, which is
 * told to stop. Streams that wait take turns, a frame each (RFC 9113 leaves the order to the sender; priorities
 * are deprecated), so that a large answer does not hold up a small one.
 */
import { atPassEnd, joinSmall, LIMITS, type PassTask } from '../../../base/index.ts';
import type { HeaderList } from '../../../message/index.ts';
import {
  FLAG,
  FRAME_BYTES_DEFAULT,
  FRAME_HEADER_BYTES,
  HEADER_TABLE_DEFAULT,
  WINDOW_DEFAULT,
  WINDOW_MAX,
} from './codes.ts';
import {
  beginHeaders,
  endHeaders,
  writeDataHeader,
  writeGoaway,
  writePing,
  writePreface,
  writeRstStream,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from './frames.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { OutBuffer } from './out-buffer.ts';
import type { SettingsValues } from './settings.ts';
import type { Http2Stream } from './stream.ts';

/** The way to a socket. */
export interface FrameOut {
  /** Takes a copy of `bytes[start, end)`, to be written with `flush` at the latest. */
  put(bytes: Buffer, start: number, end: number): void;
  flush(): void;
  /** False while so much waits to be sent that bodies have to wait. */
  readonly belowHighWater: boolean;
  /** So many bytes more wait in streams; negative: fewer. */
  queued(bytes: number): void;
}

/** Payloads up to this size are gathered with the frames; larger ones go to the socket's own memory at once. */
const JOIN_BYTES = 1_024;
/** Gathered frames beyond this size are handed over before the pass ends. */
const GATHERED_BYTES = 32 * 1_024;
/** A frame of this size is worth the window updates that follow it. */
const WORTH_BYTES = 64;
/** Place of the flags in a frame's header. */
const FLAGS_AT = 4;

export class Outgoing implements PassTask {
  /** What the peer lets us send on the connection. */
  window = WINDOW_DEFAULT;
  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE: what a new stream may send. */
  initialWindow = WINDOW_DEFAULT;
  /** Told when a stream of ours has sent its last frame. */
  private readonly onEnded: (stream: Http2Stream) => void;
  private readonly out: FrameOut;
  private readonly frames = new OutBuffer();
  private readonly encoder = new HpackEncoder(HEADER_TABLE_DEFAULT);
  private frameBytes = FRAME_BYTES_DEFAULT;
  private readonly waiting: Http2Stream[] = [];
  private scheduled = false;
  /** Windows were opened, and nothing was sent since. */
  private pumpDue = false;
  private stopped = false;
  /** The last HEADERS or DATA frame made, while it is still here: the end of its stream becomes a flag of it. -1: none. */
  private lastAt = -1;
  private lastStream = 0;
  private dataFrames = 0;

  constructor(out: FrameOut, onEnded: (stream: Http2Stream) => void) {
    this.out = out;
    this.onEnded = onEnded;
  }

  /** The first frames of a connection; a client's preface goes before them. `window`: of the connection, for the peer. */
  open(settings: readonly number[], window: number, preface: boolean): void {
    if (preface) writePreface(this.frames);
    writeSettings(this.frames, settings);
    if (window > WINDOW_DEFAULT) writeWindowUpdate(this.frames, 0, window - WINDOW_DEFAULT);
    this.flushSoon();
  }

  /** Takes the peer's settings. False: they make a window too large. */
  applySettings(settings: SettingsValues, streams: readonly Http2Stream[]): boolean {
    if (settings.headerTableSize >= 0) {
      this.encoder.setPeerTableSize(settings.headerTableSizeLowest);
      this.encoder.setPeerTableSize(settings.headerTableSize);
    }
    if (settings.maxFrameSize > 0) this.frameBytes = Math.min(settings.maxFrameSize, LIMITS.http2FrameBytes);
    if (settings.initialWindowSize >= 0) {
      const change = settings.initialWindowSize - this.initialWindow;
      this.initialWindow = settings.initialWindowSize;
      // RFC 9113 section 6.9.2: what is under way is adjusted, below zero if need be.
      for (const stream of streams) {
        stream.sendWindow += change;
        if (stream.sendWindow > WINDOW_MAX) return false;
        if (change > 0) this.wait(stream);
      }
    }
    return true;
  }

  /** Then comes what larger windows let go, never before (RFC 9113 section 6.5.3). */
  settingsAck(): void {
    writeSettingsAck(this.frames);
    this.flushSoon();
    this.pump();
  }

  ping(ack: boolean, payload: Buffer, start: number): void {
    writePing(this.frames, ack, payload, start);
    this.flushSoon();
  }

  goaway(lastStreamId: number, code: number, debug: string): void {
    writeGoaway(this.frames, lastStreamId, code, debug);
    this.flushSoon();
  }

  reset(streamId: number, code: number): void {
    writeRstStream(this.frames, streamId, code);
    this.flushSoon();
  }

  windowUpdate(streamId: number, increment: number): void {
    writeWindowUpdate(this.frames, streamId, increment);
    this.flushSoon();
  }

  /** A header block; `write` fills the encoder between its `begin` and `end`. */
  headers(stream: Http2Stream, endStream: boolean, write: (encoder: HpackEncoder) => void): void {
    const { frames, encoder } = this;
    const start = beginHeaders(frames);
    encoder.begin(frames);
    write(encoder);
    encoder.end();
    endHeaders(frames, start, stream.id, endStream, this.frameBytes);
    this.lastAt = start - FRAME_HEADER_BYTES;
    this.lastStream = stream.id;
    this.flushSoon();
    if (endStream) this.end(stream);
  }

  /** Body bytes, a view. False: the stream should stop until it is writable. */
  data(stream: Http2Stream, bytes: Buffer): boolean {
    if (stream.localEnded || this.stopped) return true;
    let at = 0;
    if (stream.queue.length === 0) {
      at = this.send(stream, bytes, 0, false);
      if (at === bytes.length) return true;
    }
    const { queue } = stream;
    const joined = at === 0 ? joinSmall(queue.at(-1), bytes) : null;
    if (joined === null) queue.push(Buffer.from(bytes.subarray(at)));
    else queue[queue.length - 1] = joined;
    stream.queuedBytes += bytes.length - at;
    this.out.queued(bytes.length - at);
    this.wait(stream);
    // Once told to stop it is told when to go on; nothing in between may forget that.
    if (stream.queuedBytes >= LIMITS.http2QueueBytes || !this.out.belowHighWater) stream.full = true;
    return !stream.full;
  }

  /** The end of our message, after what waits. */
  finish(stream: Http2Stream, trailers: HeaderList | null): void {
    if (stream.localEnded || stream.endQueued) return;
    stream.endQueued = true;
    stream.trailers = trailers;
    if (stream.queue.length === 0) this.sendEnd(stream);
  }

  /** Nothing more is sent on this stream. */
  forget(stream: Http2Stream): void {
    stream.queue.length = 0;
    this.out.queued(-stream.queuedBytes);
    stream.queuedBytes = 0;
    stream.localEnded = true;
  }

  /**
   * The peer has opened its window for a stream; null: for the connection. False: it is too large now. What that lets go
   * is sent when the pass ends, as one frame a stream: a frame for each update would be smaller and smaller where a
   * peer gives back every frame as it comes (silly windows, RFC 9293 section 3.8.6.2).
   */
  opened(stream: Http2Stream | null, increment: number): boolean {
    this.pumpDue = true;
    this.flushSoon();
    if (stream === null) {
      this.window += increment;
      return this.window <= WINDOW_MAX;
    }
    stream.sendWindow += increment;
    this.wait(stream);
    return stream.sendWindow <= WINDOW_MAX;
  }

  /** How many DATA frames were sent since the last time. */
  takeDataFrames(): number {
    const count = this.dataFrames;
    this.dataFrames = 0;
    return count;
  }

  /** Sends what waits, as far as windows and socket allow: a frame per stream and round. */
  pump(): void {
    const { waiting, out } = this;
    let idle = 0;
    while (waiting.length > 0 && idle < waiting.length && this.window > 0 && out.belowHighWater) {
      const stream = waiting.shift() as Http2Stream;
      const before = stream.queuedBytes;
      this.sendQueued(stream);
      idle = stream.queuedBytes === before ? idle + 1 : 0;
      if (stream.queue.length > 0 && !stream.closed) waiting.push(stream);
      else stream.waiting = false;
      if (stream.full && !stream.closed && stream.queuedBytes < LIMITS.http2QueueBytes / 2) {
        stream.full = false;
        stream.handler?.onWritable();
      }
    }
  }

  /** No more frames are made; what was made goes out. */
  stop(): void {
    this.write();
    this.stopped = true;
    this.waiting.length = 0;
  }

  /** Writes what was made; it happens by itself when the pass ends. */
  write(): void {
    if (this.stopped) return;
    this.flush();
    this.out.flush();
  }

  onPassEnd(): void {
    if (this.pumpDue) {
      this.pumpDue = false;
      this.pump();
    }
    this.scheduled = false;
    this.write();
  }

  private flush(): void {
    const { frames } = this;
    if (frames.length === 0 || this.stopped) return;
    this.out.put(frames.bytes, 0, frames.length);
    frames.length = 0;
    this.lastAt = -1;
  }

  private flushSoon(): void {
    if (this.frames.length > GATHERED_BYTES) this.flush();
    if (this.scheduled) return;
    this.scheduled = true;
    atPassEnd(this);
  }

  private wait(stream: Http2Stream): void {
    if (stream.waiting || stream.queue.length === 0 || stream.closed) return;
    stream.waiting = true;
    this.waiting.push(stream);
  }

  /** One frame of what waits in the stream. */
  private sendQueued(stream: Http2Stream): void {
    const first = stream.queue[0];
    if (first === undefined || stream.closed) return;
    const sent = this.send(stream, first, 0, true);
    stream.queuedBytes -= sent;
    this.out.queued(-sent);
    if (sent === first.length) stream.queue.shift();
    else stream.queue[0] = first.subarray(sent);
    if (stream.queue.length === 0 && stream.endQueued) this.sendEnd(stream);
  }

  /** Sends from `start` what may be sent, as DATA frames; returns where it stopped. */
  private send(stream: Http2Stream, bytes: Buffer, start: number, once: boolean): number {
    let at = start;
    while (at < bytes.length && this.out.belowHighWater) {
      const length = Math.min(bytes.length - at, this.frameBytes, this.window, stream.sendWindow);
      if (length <= 0) break;
      this.window -= length;
      stream.sendWindow -= length;
      // Not for what a small window cut off: it would pay for the updates that ask for byte after byte (CVE-2019-9511).
      if (length >= WORTH_BYTES || length === bytes.length - at) this.dataFrames++;
      this.frame(stream, bytes, at, at + length);
      at += length;
      if (once) break;
    }
    return at;
  }

  /** One DATA frame. */
  private frame(stream: Http2Stream, bytes: Buffer, start: number, end: number): void {
    const { frames } = this;
    const at = frames.length;
    writeDataHeader(frames, stream.id, end - start, false);
    if (end - start <= JOIN_BYTES) {
      const room = frames.reserve(end - start);
      frames.length += bytes.copy(room, frames.length, start, end);
      // Before `flushSoon`, which may hand the frame over and forget it.
      this.lastAt = at;
      this.lastStream = stream.id;
    } else {
      this.flush();
      this.out.put(bytes, start, end);
    }
    this.flushSoon();
  }

  private sendEnd(stream: Http2Stream): void {
    const { trailers } = stream;
    if (trailers === null) {
      if (this.lastAt >= 0 && this.lastStream === stream.id)
        this.frames.bytes[this.lastAt + FLAGS_AT] |= FLAG.endStream;
      else writeDataHeader(this.frames, stream.id, 0, true);
      this.lastAt = -1;
      this.flushSoon();
      this.end(stream);
    } else this.headers(stream, true, (encoder) => encoder.fields(trailers));
  }

  private end(stream: Http2Stream): void {
    stream.localEnded = true;
    this.onEnded(stream);
  }
}
