/** Numbers of HTTP/2 (RFC 9113 sections 6, 6.5.2 and 7; RFC 8441 section 3) by their names there. */

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = {
  /** DATA, HEADERS. */
  endStream: 0x1,
  /** SETTINGS, PING. */
  ack: 0x1,
  /** HEADERS, CONTINUATION. */
  endHeaders: 0x4,
  /** DATA, HEADERS. */
  padded: 0x8,
  /** HEADERS. */
  priority: 0x20,
} as const;

export const ERROR = {
  noError: 0x0,
  protocolError: 0x1,
  internalError: 0x2,
  flowControlError: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSizeError: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compressionError: 0x9,
  connectError: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
} as const;

export type ErrorCode = (typeof ERROR)[keyof typeof ERROR];

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

export const FRAME_HEADER_BYTES = 9;
/** The least that every peer takes, and what it takes until it says more (RFC 9113 section 6.5.2). */
export const FRAME_BYTES_DEFAULT = 16_384;
export const FRAME_BYTES_MAX = 2 ** 24 - 1;
export const WINDOW_MAX = 2 ** 31 - 1;
export const WINDOW_DEFAULT = 65_535;
export const HEADER_TABLE_DEFAULT = 4_096;

/** What a client sends first (RFC 9113 section 3.4). */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

const ERROR_NAMES: readonly string[] = Object.keys(ERROR).map((name) =>
  name.replace('11', '_1_1').replace(/[A-Z]/g, '_$&').toUpperCase(),
);

/** `PROTOCOL_ERROR`, for people; an unknown code in hexadecimal. */
export function errorName(code: number): string {
  return ERROR_NAMES[code] ?? `0x${code.toString(16)}`;
}
