/**
 * Bytes to frames, however they are cut into reads. Payloads of DATA are handed on as they come, as ranges of the read
 * buffer; all others are handed over whole: from the read buffer when the whole frame lies in it, else gathered in
 * a buffer of at most one frame, or one header block. HEADERS and its CONTINUATION frames come out as one block, and
 * nothing may stand between them (RFC 9113 section 6.10). Everything else that needs memory of earlier frames, streams
 * and windows above all, is the sink's.
 */
import { ERROR, FLAG, FRAME, FRAME_HEADER_BYTES, PREFACE } from './codes.ts';
import { connectionError, type FrameError, headerError, KNOWN_TYPES, streamError } from './frame-rules.ts';
import type { FrameReaderOptions, FrameSink } from './frame-sink.ts';
import { OutBuffer } from './out-buffer.ts';
import { noSettings, readSettings, SETTING_BYTES } from './settings.ts';

const IN_PREFACE = 0;
const HEADER = 1;
const PAD_LENGTH = 2;
const DATA = 3;
const PADDING = 4;
const PAYLOAD = 5;
const SKIPPED = 6;
const STOPPED = 7;

export class FrameReader {
  /** Why `execute` returned -1; null when `stop` was called. */
  error: FrameError | null = null;
  private readonly sink: FrameSink;
  private readonly options: FrameReaderOptions;
  private phase: number;
  /** SETTINGS must be the first frame (RFC 9113 section 3.4). */
  private first = true;
  private prefaceRead = 0;
  private readonly header = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES);
  private headerRead = 0;
  // The frame that is being read.
  private length = 0;
  private type = 0;
  private flags = 0;
  private streamId = 0;
  /** Bytes of its payload still to come; of DATA without the padding. */
  private rest = 0;
  private padding = 0;
  private readonly payload = new OutBuffer();
  // The header block that is being read; stream 0: none.
  private blockStream = 0;
  /** Blocks that have begun. */
  private blockNumber = 0;
  private blockEnds = false;
  private blockFault: FrameError | null = null;
  private blockFrames = 0;
  private readonly block = new OutBuffer();
  private readonly settings = noSettings();

  constructor(sink: FrameSink, options: FrameReaderOptions) {
    this.sink = sink;
    this.options = options;
    this.phase = options.preface ? IN_PREFACE : HEADER;
  }

  /** False in the middle of a frame or header block: a connection that ends here was cut off. */
  get atBoundary(): boolean {
    return this.phase === HEADER && this.headerRead === 0 && this.blockStream === 0;
  }

  /** The number of the header block that has begun and not ended; 0: none. */
  get openBlock(): number {
    // CONTINUATION has a block stream already.
    const open = this.blockStream !== 0 || (this.phase === PAYLOAD && this.type === FRAME.headers);
    return open ? this.blockNumber : 0;
  }

  /** No further call to the sink; `execute` returns -1 from now on. */
  stop(): void {
    this.phase = STOPPED;
    this.payload.take();
    this.block.take();
  }

  /** Reads all of `bytes[start, end)`. Returns -1 when the connection has to end, else `end`. */
  execute(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.phase !== STOPPED) {
      switch (this.phase) {
        case HEADER:
          at = this.readHeader(bytes, at, end);
          break;
        case PAYLOAD:
          at = this.readPayload(bytes, at, end);
          break;
        case DATA:
          at = this.readData(bytes, at, end);
          break;
        case PAD_LENGTH:
          at = this.readPadLength(bytes, at);
          break;
        case PADDING:
        case SKIPPED:
          at = this.skip(at, end);
          break;
        default:
          at = this.readPreface(bytes, at, end);
      }
    }
    return this.phase === STOPPED ? -1 : end;
  }

  private readPreface(bytes: Buffer, from: number, end: number): number {
    let at = from;
    for (; at < end && this.prefaceRead < PREFACE.length; at++) {
      if (bytes[at] !== PREFACE[this.prefaceRead++])
        return this.refuse(connectionError(ERROR.protocolError, 'no HTTP/2 preface'));
    }
    if (this.prefaceRead === PREFACE.length) this.phase = HEADER;
    return at;
  }

  private readHeader(bytes: Buffer, from: number, end: number): number {
    if (this.headerRead === 0 && end - from >= FRAME_HEADER_BYTES) {
      this.beginFrame(bytes, from);
      return from + FRAME_HEADER_BYTES;
    }
    let at = from;
    while (at < end && this.headerRead < FRAME_HEADER_BYTES) this.header[this.headerRead++] = bytes[at++];
    if (this.headerRead === FRAME_HEADER_BYTES) {
      this.headerRead = 0;
      this.beginFrame(this.header, 0);
    }
    return at;
  }

  private beginFrame(bytes: Buffer, at: number): void {
    const length = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
    const type = bytes[at + 3];
    const flags = bytes[at + 4];
    const streamId =
      ((bytes[at + 5] & 0x7f) << 24) | (bytes[at + 6] << 16) | (bytes[at + 7] << 8) | bytes[at + 8];
    this.length = length;
    this.type = type;
    this.flags = flags;
    this.streamId = streamId;
    this.rest = length;
    this.padding = 0;
    const error = this.frameError();
    if (error !== null && error.scope === 'connection') {
      this.refuse(error);
      return;
    }
    this.first = false;
    if (error !== null || type >= KNOWN_TYPES) {
      this.phase = SKIPPED;
      if (error !== null) this.sink.onStreamError(streamId, error);
      else this.sink.onUnknown();
    } else if (type === FRAME.data) {
      this.phase = (flags & FLAG.padded) === 0 ? DATA : PAD_LENGTH;
      this.sink.onData(streamId, length, (flags & FLAG.endStream) !== 0);
    } else this.phase = PAYLOAD;
    if (type === FRAME.headers) this.blockNumber++;
    // No byte will come that would set an empty frame going.
    if (length > 0 || this.phase === STOPPED) return;
    if (this.phase === DATA) this.endData();
    else if (this.phase === PAYLOAD) this.endPayload(bytes, 0, 0);
    else this.phase = HEADER;
  }

  /** What the frame's header, and its place among the others, make wrong. */
  private frameError(): FrameError | null {
    const { type, length, flags, streamId } = this;
    if (this.first && (type !== FRAME.settings || (flags & FLAG.ack) !== 0))
      return connectionError(ERROR.protocolError, 'the first frame is not SETTINGS');
    if (length > this.options.frameBytes)
      return connectionError(ERROR.frameSizeError, `a frame of ${length} bytes`);
    const continues = type === FRAME.continuation;
    if (this.blockStream !== 0 && !(continues && streamId === this.blockStream))
      return connectionError(ERROR.protocolError, 'a frame inside a header block');
    if (type >= KNOWN_TYPES) return null;
    const error = headerError(type, length, streamId);
    if (error !== null) return error;
    if (continues && this.blockStream === 0)
      return connectionError(ERROR.protocolError, 'CONTINUATION without HEADERS');
    // We send SETTINGS_ENABLE_PUSH 0, and clients never push (section 8.4).
    if (type === FRAME.pushPromise) return connectionError(ERROR.protocolError, 'PUSH_PROMISE');
    if ((type === FRAME.data || type === FRAME.headers) && (flags & FLAG.padded) !== 0 && length === 0)
      return connectionError(ERROR.frameSizeError, 'no room for the padding length');
    if (type === FRAME.settings && length % SETTING_BYTES !== 0)
      return connectionError(ERROR.frameSizeError, `SETTINGS of ${length} bytes`);
    if (type === FRAME.settings && (flags & FLAG.ack) !== 0 && length > 0)
      return connectionError(ERROR.frameSizeError, 'acknowledged SETTINGS with a payload');
    return null;
  }

  private readPadLength(bytes: Buffer, at: number): number {
    this.padding = bytes[at];
    this.rest = this.length - 1 - this.padding;
    if (this.rest < 0) return this.refuse(connectionError(ERROR.protocolError, 'more padding than payload'));
    this.phase = DATA;
    if (this.rest === 0) this.endDataBytes();
    return at + 1;
  }

  private readData(bytes: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + this.rest);
    this.rest -= stop - at;
    this.sink.onDataBytes(this.streamId, bytes, at, stop);
    if (this.rest === 0 && this.phase !== STOPPED) this.endDataBytes();
    return stop;
  }

  private endDataBytes(): void {
    if (this.padding > 0) {
      this.rest = this.padding;
      this.phase = PADDING;
    } else this.endData();
  }

  private endData(): void {
    this.phase = HEADER;
    this.sink.onDataEnd(this.streamId, (this.flags & FLAG.endStream) !== 0);
  }

  private skip(at: number, end: number): number {
    const stop = Math.min(end, at + this.rest);
    this.rest -= stop - at;
    if (this.rest > 0) return stop;
    if (this.phase === PADDING) this.endData();
    else this.phase = HEADER;
    return stop;
  }

  private readPayload(bytes: Buffer, at: number, end: number): number {
    const { payload, length } = this;
    if (payload.length === 0 && end - at >= length) {
      this.endPayload(bytes, at, at + length);
      return at + length;
    }
    const stop = Math.min(end, at + this.rest);
    const held = payload.reserve(stop - at);
    payload.length += bytes.copy(held, payload.length, at, stop);
    this.rest -= stop - at;
    if (this.rest === 0) {
      const whole = payload.take();
      this.endPayload(whole, 0, length);
    }
    return stop;
  }

  private endPayload(bytes: Buffer, start: number, end: number): void {
    this.phase = HEADER;
    const { sink, streamId } = this;
    const ack = (this.flags & FLAG.ack) !== 0;
    switch (this.type) {
      case FRAME.headers:
        this.endHeaders(bytes, start, end);
        break;
      case FRAME.continuation:
        this.continueBlock(bytes, start, end);
        break;
      case FRAME.rstStream:
        sink.onRstStream(streamId, bytes.readUInt32BE(start));
        break;
      case FRAME.settings: {
        if (ack) {
          sink.onSettingsAck();
          break;
        }
        const error = readSettings(bytes, start, end, this.settings);
        if (error === null) sink.onSettings(this.settings);
        else this.refuse(error);
        break;
      }
      case FRAME.ping:
        sink.onPing(ack, bytes, start);
        break;
      case FRAME.goaway: {
        const debug = bytes.toString('latin1', start + 8, Math.min(end, start + 8 + DEBUG_SHOWN));
        sink.onGoaway(uint31(bytes, start), bytes.readUInt32BE(start + 4), debug);
        break;
      }
      case FRAME.windowUpdate:
        this.endWindowUpdate(uint31(bytes, start));
        break;
      default:
        sink.onPriority(streamId, uint31(bytes, start));
        break;
    }
  }

  private endWindowUpdate(increment: number): void {
    const { sink, streamId } = this;
    // Section 6.9.
    if (increment > 0) sink.onWindowUpdate(streamId, increment);
    else if (streamId === 0) this.refuse(connectionError(ERROR.protocolError, 'a window update of 0'));
    else sink.onStreamError(streamId, streamError(ERROR.protocolError, 'a window update of 0'));
  }

  private endHeaders(bytes: Buffer, from: number, to: number): void {
    const { flags, streamId } = this;
    let start = from;
    let end = to;
    if ((flags & FLAG.padded) !== 0) end -= bytes[start++];
    let fault: FrameError | null = null;
    if ((flags & FLAG.priority) !== 0) {
      // RFC 7540 section 5.3.1; RFC 9113 ignores priorities, and peers that send this are broken.
      if (start + 5 <= end && uint31(bytes, start) === streamId)
        fault = streamError(ERROR.protocolError, 'a stream that depends on itself');
      start += 5;
    }
    if (start > end) {
      // Section 6.2: padding that takes more than there is, and a priority that does not fit.
      const code =
        from + 5 > to && (flags & FLAG.priority) !== 0 ? ERROR.frameSizeError : ERROR.protocolError;
      this.refuse(connectionError(code, 'HEADERS too short for its padding or priority'));
      return;
    }
    const ends = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) {
      if (this.fitsBlock(end - start)) this.sink.onHeaders(streamId, ends, bytes, start, end, fault);
      return;
    }
    this.blockStream = streamId;
    this.blockEnds = ends;
    this.blockFault = fault;
    this.blockFrames = 0;
    this.gather(bytes, start, end);
  }

  private continueBlock(bytes: Buffer, start: number, end: number): void {
    // Empty ones cost their sender next to nothing.
    if (++this.blockFrames > this.options.continuations) {
      this.refuse(
        connectionError(ERROR.enhanceYourCalm, `more than ${this.options.continuations} CONTINUATION`),
      );
      return;
    }
    if (!this.gather(bytes, start, end) || (this.flags & FLAG.endHeaders) === 0) return;
    const { blockStream, blockFault } = this;
    const whole = this.block.take();
    this.blockStream = 0;
    this.blockFault = null;
    this.sink.onHeaders(blockStream, this.blockEnds, whole, 0, whole.length, blockFault);
  }

  private gather(bytes: Buffer, start: number, end: number): boolean {
    const { block } = this;
    if (!this.fitsBlock(block.length + end - start)) return false;
    const held = block.reserve(end - start);
    block.length += bytes.copy(held, block.length, start, end);
    return true;
  }

  /** Blocks are decoded or the connection ends: leaving one out would put the tables out of step. */
  private fitsBlock(length: number): boolean {
    if (length <= this.options.blockBytes) return true;
    const detail = `a header block of more than ${this.options.blockBytes} bytes`;
    this.refuse(connectionError(ERROR.enhanceYourCalm, detail));
    return false;
  }

  private refuse(error: FrameError): number {
    this.error = error;
    this.stop();
    return 0;
  }
}

function uint31(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) & 0x7fff_ffff;
}

/** How much of a GOAWAY's debug data is read. */
const DEBUG_SHOWN = 256;
