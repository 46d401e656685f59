/**
 * What RFC 9113 section 6 says of each frame type's header: stream or connection, length. One table; what depends on
 * flags and payload is checked where the payload is read.
 */
import { ERROR, type ErrorCode, FRAME } from './codes.ts';

/** `stream`: only that stream ends (RST_STREAM); `connection`: all of it (GOAWAY). */
export interface FrameError {
  readonly code: ErrorCode;
  readonly scope: 'stream' | 'connection';
  readonly detail: string;
}

interface Shape {
  readonly name: string;
  /** Belongs to a stream, to the connection, or to either. */
  readonly on: 'stream' | 'connection' | 'either';
  readonly least: number;
  /** ANY: as long as a frame may be. */
  readonly most: number;
}

const ANY = Number.POSITIVE_INFINITY;
const shape = (name: string, on: Shape['on'], least: number, most: number): Shape => ({
  name,
  on,
  least,
  most,
});
/** In the order of their types: DATA is 0. */
const SHAPES: readonly Shape[] = [
  shape('DATA', 'stream', 0, ANY),
  shape('HEADERS', 'stream', 0, ANY),
  shape('PRIORITY', 'stream', 5, 5),
  shape('RST_STREAM', 'stream', 4, 4),
  shape('SETTINGS', 'connection', 0, ANY),
  shape('PUSH_PROMISE', 'stream', 4, ANY),
  shape('PING', 'connection', 8, 8),
  shape('GOAWAY', 'connection', 8, ANY),
  shape('WINDOW_UPDATE', 'either', 4, 4),
  shape('CONTINUATION', 'stream', 0, ANY),
];

/** Types below this are known; others are skipped (RFC 9113 section 4.1). */
export const KNOWN_TYPES = SHAPES.length;

/** What is wrong with a frame of a known type, as its header tells; null: nothing. */
export function headerError(type: number, length: number, streamId: number): FrameError | null {
  const { name, on, least, most } = SHAPES[type] as Shape;
  if (on === 'stream' && streamId === 0) return connectionError(ERROR.protocolError, `${name} on stream 0`);
  if (on === 'connection' && streamId !== 0)
    return connectionError(ERROR.protocolError, `${name} on stream ${streamId}`);
  if (length >= least && length <= most) return null;
  const detail = `${name} of ${length} bytes`;
  // Section 6.3: a PRIORITY that is too long or too short harms its stream only.
  return type === FRAME.priority
    ? streamError(ERROR.frameSizeError, detail)
    : connectionError(ERROR.frameSizeError, detail);
}

export function connectionError(code: ErrorCode, detail: string): FrameError {
  return { code, scope: 'connection', detail };
}

export function streamError(code: ErrorCode, detail: string): FrameError {
  return { code, scope: 'stream', detail };
}
