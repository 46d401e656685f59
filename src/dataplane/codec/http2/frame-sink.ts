/** What a reader of frames is made with, and what it calls. */
import type { FrameError } from './frame-rules.ts';
import type { SettingsValues } from './settings.ts';

/** Ranges are valid until the call returns. */
export interface FrameSink {
  /** A DATA frame begins. `flowBytes` counts against the windows, padding included (RFC 9113 section 6.1). */
  onData(streamId: number, flowBytes: number, endStream: boolean): void;
  /** Payload of that frame, not empty. */
  onDataBytes(streamId: number, bytes: Buffer, start: number, end: number): void;
  onDataEnd(streamId: number, endStream: boolean): void;
  /** A whole header block. It must be decoded whatever becomes of the stream, `fault` included. */
  onHeaders(
    streamId: number,
    endStream: boolean,
    bytes: Buffer,
    start: number,
    end: number,
    fault: FrameError | null,
  ): void;
  onRstStream(streamId: number, code: number): void;
  /** The object is used again for the next frame. */
  onSettings(settings: SettingsValues): void;
  onSettingsAck(): void;
  onPing(ack: boolean, bytes: Buffer, start: number): void;
  onGoaway(lastStreamId: number, code: number, debug: string): void;
  onWindowUpdate(streamId: number, increment: number): void;
  /** PRIORITY is deprecated (RFC 9113 section 5.3.2); it is told because it costs. */
  onPriority(streamId: number, dependsOn: number): void;
  /** A frame of a type that nobody here knows, skipped (section 4.1). */
  onUnknown(): void;
  onStreamError(streamId: number, error: FrameError): void;
}

export interface FrameReaderOptions {
  /** A server reads the client's preface first. */
  readonly preface: boolean;
  /** Our SETTINGS_MAX_FRAME_SIZE. */
  readonly frameBytes: number;
  /** Bytes of one header block as sent, over all its frames. */
  readonly blockBytes: number;
  /** CONTINUATION frames of one header block. */
  readonly continuations: number;
}
