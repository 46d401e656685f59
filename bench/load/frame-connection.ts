/**
 * An HTTP/2 connection of the gRPC load and its backend, which must both be cheaper than any proxy: frames by the codec's
 * reader and writers, one write for what one read brought forth. It owes the peer what a correct one does (settings, pings,
 * the connection's window given back) and leaves out the rest: what is under way is a few kilobytes and no
 * stream carries more than its window, so nobody's window is waited for.
 */
import type { Socket } from 'node:net';
import {
  ERROR,
  FRAME_BYTES_DEFAULT,
  FrameReader,
  type FrameSink,
  HpackEncoder,
  OutBuffer,
  SETTING,
  type SettingsValues,
  WINDOW_DEFAULT,
  writeDataHeader,
  writeGoaway,
  writePing,
  writePreface,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../src/dataplane/codec/http2/index.ts';
import { readInto } from '../../src/dataplane/transport/index.ts';

const STREAM_WINDOW = 2 ** 20;
const CONNECTION_WINDOW = 2 ** 30;
/** Given back in portions of this size. */
const PORTION = 2 ** 20;

export abstract class FrameConnection implements FrameSink {
  protected readonly out = new OutBuffer();
  protected readonly encoder = new HpackEncoder();
  /** When the last read was handed over: reading the clock for every message would cost as much as the message. */
  protected nowMs: number = performance.now();
  private readonly socket: Socket;
  private readonly reader: FrameReader;
  private owedBytes = 0;

  constructor(socket: Socket, role: 'client' | 'server') {
    this.socket = socket;
    this.reader = new FrameReader(this, {
      preface: role === 'server',
      frameBytes: FRAME_BYTES_DEFAULT,
      blockBytes: FRAME_BYTES_DEFAULT,
      continuations: 16,
    });
    if (role === 'client') writePreface(this.out);
    const streams = role === 'client' ? [SETTING.enablePush, 0] : [SETTING.maxConcurrentStreams, 1_024];
    writeSettings(this.out, [SETTING.initialWindowSize, STREAM_WINDOW, ...streams]);
    writeWindowUpdate(this.out, 0, CONNECTION_WINDOW - WINDOW_DEFAULT);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    readInto(socket, (length, bytes) => this.read(bytes as Buffer, length));
    this.flush();
  }

  abstract onHeaders(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void;
  /** Body bytes, a part of a frame or all of it. */
  abstract onDataBytes(streamId: number, bytes: Buffer, start: number, end: number): void;
  abstract onDataEnd(streamId: number, endStream: boolean): void;
  abstract onRstStream(streamId: number): void;

  onData(_streamId: number, flowBytes: number): void {
    this.owedBytes += flowBytes;
    if (this.owedBytes < PORTION) return;
    writeWindowUpdate(this.out, 0, this.owedBytes);
    this.owedBytes = 0;
  }

  onSettings(settings: SettingsValues): void {
    if (settings.headerTableSize >= 0) {
      this.encoder.setPeerTableSize(settings.headerTableSizeLowest);
      this.encoder.setPeerTableSize(settings.headerTableSize);
    }
    writeSettingsAck(this.out);
  }

  onPing(ack: boolean, bytes: Buffer, start: number): void {
    if (!ack) writePing(this.out, true, bytes, start);
  }

  onSettingsAck(): void {}
  onGoaway(): void {}
  onWindowUpdate(): void {}
  onPriority(): void {}
  onUnknown(): void {}

  onStreamError(streamId: number): void {
    this.onRstStream(streamId);
  }

  close(): void {
    this.socket.destroy();
  }

  protected data(streamId: number, bytes: Buffer, start: number, end: number, endStream: boolean): void {
    const { out } = this;
    writeDataHeader(out, streamId, end - start, endStream);
    const room = out.reserve(end - start);
    out.length += bytes.copy(room, out.length, start, end);
  }

  protected flush(): void {
    const { out, socket } = this;
    if (out.length > 0 && socket.writable) socket.write(Buffer.from(out.bytes.subarray(0, out.length)));
    out.length = 0;
  }

  private read(bytes: Buffer, length: number): void {
    this.nowMs = performance.now();
    const whole = this.reader.execute(bytes, 0, length) >= 0;
    if (!whole) writeGoaway(this.out, 0, ERROR.protocolError, this.reader.error?.detail ?? '');
    this.flush();
    if (!whole) this.socket.end();
  }
}
