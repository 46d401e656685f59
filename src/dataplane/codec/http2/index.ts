/**
 * HTTP/2 on the wire without its state: header blocks (HpackDecoder, HpackEncoder, the rules of fields) and frames
 * (FrameReader, the writers). Pure: no socket, no timer, no clock, no stream. Errors come back as values that say
 * whether the stream or the connection ends.
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
export type { SettingsValues } from './settings.ts';
