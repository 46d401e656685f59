/**
 * Frames to bytes (RFC 9113 section 6), into a buffer that the caller sends. Of DATA only the header is written: the
 * payload goes out from where it lies. PRIORITY (deprecated) and PUSH_PROMISE are never sent by a proxy.
 */
import { FLAG, FRAME, FRAME_HEADER_BYTES, PREFACE } from './codes.ts';
import type { OutBuffer } from './out-buffer.ts';

export function writePreface(out: OutBuffer): void {
  const bytes = out.reserve(PREFACE.length);
  out.length += PREFACE.copy(bytes, out.length);
}

/** The caller appends or sends `length` bytes of payload. */
export function writeDataHeader(out: OutBuffer, streamId: number, length: number, endStream: boolean): void {
  writeHeader(out, FRAME.data, endStream ? FLAG.endStream : 0, streamId, length);
}

/** Begins HEADERS; the caller writes the header block, then calls `endHeaders` with what this returned. */
export function beginHeaders(out: OutBuffer): number {
  out.reserve(FRAME_HEADER_BYTES);
  out.length += FRAME_HEADER_BYTES;
  return out.length;
}

/** Ends the HEADERS whose block began at `start`; what is over `frameBytes` goes into CONTINUATION frames. */
export function endHeaders(
  out: OutBuffer,
  start: number,
  streamId: number,
  endStream: boolean,
  frameBytes: number,
): void {
  const length = out.length - start;
  const flags = endStream ? FLAG.endStream : 0;
  if (length <= frameBytes) {
    putHeader(
      out.bytes,
      start - FRAME_HEADER_BYTES,
      FRAME.headers,
      flags | FLAG.endHeaders,
      streamId,
      length,
    );
    return;
  }
  const more = Math.ceil(length / frameBytes) - 1;
  const bytes = out.reserve(more * FRAME_HEADER_BYTES);
  // From the last: each piece moves up to make room for the frame headers before it.
  for (let piece = more; piece > 0; piece--) {
    const from = start + piece * frameBytes;
    const size = Math.min(frameBytes, start + length - from);
    const to = from + piece * FRAME_HEADER_BYTES;
    bytes.copyWithin(to, from, from + size);
    const last = piece === more ? FLAG.endHeaders : 0;
    putHeader(bytes, to - FRAME_HEADER_BYTES, FRAME.continuation, last, streamId, size);
  }
  putHeader(bytes, start - FRAME_HEADER_BYTES, FRAME.headers, flags, streamId, frameBytes);
  out.length += more * FRAME_HEADER_BYTES;
}

export function writeRstStream(out: OutBuffer, streamId: number, code: number): void {
  writeHeader(out, FRAME.rstStream, 0, streamId, 4);
  putUint32(out, code);
}

/** `settings`: id, value, id, value. */
export function writeSettings(out: OutBuffer, settings: readonly number[]): void {
  writeHeader(out, FRAME.settings, 0, 0, settings.length * 3);
  for (let i = 0; i + 1 < settings.length; i += 2) {
    const bytes = out.reserve(6);
    out.length = bytes.writeUInt16BE(settings[i] as number, out.length);
    putUint32(out, settings[i + 1] as number);
  }
}

export function writeSettingsAck(out: OutBuffer): void {
  writeHeader(out, FRAME.settings, FLAG.ack, 0, 0);
}

/** `payload[start, start + 8)` is opaque; an answer repeats it. */
export function writePing(out: OutBuffer, ack: boolean, payload: Buffer, start: number): void {
  writeHeader(out, FRAME.ping, ack ? FLAG.ack : 0, 0, 8);
  const bytes = out.reserve(8);
  out.length += payload.copy(bytes, out.length, start, start + 8);
}

/** `debug`: latin1 text for people at the other end. */
export function writeGoaway(out: OutBuffer, lastStreamId: number, code: number, debug: string): void {
  writeHeader(out, FRAME.goaway, 0, 0, 8 + debug.length);
  putUint32(out, lastStreamId);
  putUint32(out, code);
  const bytes = out.reserve(debug.length);
  out.length += bytes.write(debug, out.length, 'latin1');
}

/** `streamId` 0: the connection's window. */
export function writeWindowUpdate(out: OutBuffer, streamId: number, increment: number): void {
  writeHeader(out, FRAME.windowUpdate, 0, streamId, 4);
  putUint32(out, increment);
}

function writeHeader(out: OutBuffer, type: number, flags: number, streamId: number, length: number): void {
  putHeader(out.reserve(FRAME_HEADER_BYTES), out.length, type, flags, streamId, length);
  out.length += FRAME_HEADER_BYTES;
}

function putHeader(
  bytes: Buffer,
  at: number,
  type: number,
  flags: number,
  streamId: number,
  length: number,
): void {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes[at + 5] = streamId >>> 24;
  bytes[at + 6] = streamId >>> 16;
  bytes[at + 7] = streamId >>> 8;
  bytes[at + 8] = streamId;
}

function putUint32(out: OutBuffer, value: number): void {
  const bytes = out.reserve(4);
  out.length = bytes.writeUInt32BE(value, out.length);
}
