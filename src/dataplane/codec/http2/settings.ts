/**
 * The payload of SETTINGS (RFC 9113 section 6.5). A frame may name a setting any number of times; what counts is the
 * last, so that a peer can't make us walk over all streams a thousand times with one frame. The one exception is the
 * header table: its lowest size counts too (RFC 7541 section 4.2).
 */
import { LIMITS } from '../../../base/index.ts';
import { ERROR, FRAME_BYTES_DEFAULT, FRAME_BYTES_MAX, SETTING, WINDOW_MAX } from './codes.ts';
import { connectionError, type FrameError } from './frame-rules.ts';

/** -1: not in the frame. */
export interface SettingsValues {
  headerTableSize: number;
  /** The lowest of them, when it was there more than once. */
  headerTableSizeLowest: number;
  enablePush: number;
  maxConcurrentStreams: number;
  initialWindowSize: number;
  maxFrameSize: number;
  maxHeaderListSize: number;
  enableConnectProtocol: number;
}

export const SETTING_BYTES = 6;

/** Reads `bytes[start, end)`, whole settings, into `to`; returns what is wrong with one. */
export function readSettings(
  bytes: Buffer,
  start: number,
  end: number,
  to: SettingsValues,
): FrameError | null {
  clear(to);
  for (let at = start; at < end; at += SETTING_BYTES) {
    const id = bytes.readUInt16BE(at);
    const value = bytes.readUInt32BE(at + 2);
    switch (id) {
      case SETTING.headerTableSize:
        to.headerTableSizeLowest = to.headerTableSize < 0 ? value : Math.min(to.headerTableSizeLowest, value);
        to.headerTableSize = value;
        break;
      case SETTING.enablePush:
        if (value > 1) return bad('ENABLE_PUSH', value);
        to.enablePush = value;
        break;
      case SETTING.maxConcurrentStreams:
        to.maxConcurrentStreams = value;
        break;
      case SETTING.initialWindowSize:
        if (value > WINDOW_MAX)
          return connectionError(ERROR.flowControlError, `SETTINGS_INITIAL_WINDOW_SIZE ${value}`);
        to.initialWindowSize = value;
        break;
      case SETTING.maxFrameSize:
        if (value < FRAME_BYTES_DEFAULT || value > FRAME_BYTES_MAX) return bad('MAX_FRAME_SIZE', value);
        to.maxFrameSize = value;
        break;
      case SETTING.maxHeaderListSize:
        to.maxHeaderListSize = value;
        break;
      case SETTING.enableConnectProtocol:
        if (value > 1) return bad('ENABLE_CONNECT_PROTOCOL', value);
        to.enableConnectProtocol = value;
        break;
      default:
        // RFC 9113 section 6.5.2: unknown ones are ignored.
        break;
    }
  }
  return null;
}

export function noSettings(): SettingsValues {
  return {
    headerTableSize: -1,
    headerTableSizeLowest: -1,
    enablePush: -1,
    maxConcurrentStreams: -1,
    initialWindowSize: -1,
    maxFrameSize: -1,
    maxHeaderListSize: -1,
    enableConnectProtocol: -1,
  };
}

function clear(values: SettingsValues): void {
  values.headerTableSize = -1;
  values.headerTableSizeLowest = -1;
  values.enablePush = -1;
  values.maxConcurrentStreams = -1;
  values.initialWindowSize = -1;
  values.maxFrameSize = -1;
  values.maxHeaderListSize = -1;
  values.enableConnectProtocol = -1;
}

function bad(name: string, value: number): FrameError {
  return connectionError(ERROR.protocolError, `SETTINGS_${name} ${value}`);
}

/** What we tell the peer, as `writeSettings` takes it. `maxStreams`: streams that a client may have open at once. */
export function ourSettings(role: 'server' | 'client', maxStreams: number, headerBytes: number): number[] {
  const settings = [
    SETTING.initialWindowSize,
    LIMITS.http2StreamWindow,
    SETTING.maxHeaderListSize,
    headerBytes,
  ];
  if (role === 'client') settings.push(SETTING.enablePush, 0);
  else settings.push(SETTING.maxConcurrentStreams, maxStreams, SETTING.enableConnectProtocol, 1);
  return settings;
}
