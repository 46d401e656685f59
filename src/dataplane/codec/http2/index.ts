/**
 * HTTP/2: header blocks (HPACK), frames, and the session that makes streams of them. No socket and no timer: a
 * session is fed what was read, and says what to write.
 */
export type { HeaderLimits } from './block-builder.ts';
export * from './codes.ts';
export { requestFault, responseFault, trailersFault } from './field-rules.ts';
export { FrameReader } from './frame-reader.ts';
export type { FrameError } from './frame-rules.ts';
export type { FrameReaderOptions, FrameSink } from './frame-sink.ts';
export {
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
export { HeaderBlock, type PseudoFields } from './header-block.ts';
export { HpackDecoder } from './hpack-decoder.ts';
export { HpackEncoder } from './hpack-encoder.ts';
export { HTTP1_FIELDS } from './http1-fields.ts';
export { OutBuffer } from './out-buffer.ts';
export type { FrameOut } from './outgoing.ts';
export { Http2Session } from './session.ts';
export type { SessionOptions, SessionOwner } from './session-owner.ts';
export { noSettings, readSettings, SETTING_BYTES, type SettingsValues } from './settings.ts';
export type { Http2Stream, ResetCause, StreamHandler } from './stream.ts';
