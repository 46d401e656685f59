/**
 * HTTP/2: header blocks (HPACK), frames, and the session that makes streams of them. No socket and no timer: a
 * session is fed what was read, and says what to write.
 */
export type { HeaderLimits } from './block-builder.ts';
export * from './codes.ts';
export { requestFault, responseFault, trailersFault } from './field-rules.ts';
export { FrameReader, type FrameReaderOptions, type FrameSink } from './frame-reader.ts';
export type { FrameError } from './frame-rules.ts';
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
export { OutBuffer } from './out-buffer.ts';
export type { FrameOut } from './outgoing.ts';
export { Http2Session, type SessionOptions, type SessionOwner } from './session.ts';
export type { SettingsValues } from './settings.ts';
export type { Http2Stream, StreamHandler } from './stream.ts';
