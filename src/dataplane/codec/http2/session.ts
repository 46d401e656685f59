/**
 * One HTTP/2 connection, of either side, without its socket: which streams there are, what each frame means in the
 * state its stream is in (RFC 9113 section 5.1), windows, settings, and who is to blame. Requests and answers are
 * the owner's: it is handed header blocks and body bytes, and sends through the same object.
 *
 * A fault of one stream ends that stream (RST_STREAM), a fault of the connection all of it (GOAWAY): `execute`
 * then returns -1, and the owner closes the socket once what was written has gone out.
 */
import { LIMITS } from '../../../base/index.ts';
import type { HeaderList } from '../../../message/index.ts';
import { ERROR, type ErrorCode, errorName, FRAME_BYTES_DEFAULT, HEADER_TABLE_DEFAULT } from './codes.ts';
import { requestFault, trailersFault } from './field-rules.ts';
import { FloodGuard, PRICE, type Price, RAPID_MS } from './flood-guard.ts';
import { FrameReader } from './frame-reader.ts';
import type { FrameError } from './frame-rules.ts';
import type { FrameSink } from './frame-sink.ts';
import type { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { HpackEncoder } from './hpack-encoder.ts';
import { type DataRules, IncomingData } from './incoming-data.ts';
import { type FrameOut, Outgoing } from './outgoing.ts';
import type { SessionOptions, SessionOwner } from './session-owner.ts';
import { ourSettings, type SettingsValues } from './settings.ts';
import type { Http2Stream, ResetCause } from './stream.ts';
import { ENDED, StreamTable } from './stream-table.ts';

export class Http2Session implements FrameSink, DataRules {
  /** Why the connection had to end; null while it need not. */
  error: FrameError | null = null;
  /** SETTINGS_MAX_CONCURRENT_STREAMS of the peer. */
  peerMaxStreams: number = LIMITS.http2StreamsBeforeSettings;
  /** The peer takes extended CONNECT (RFC 8441). */
  peerConnects = false;
  readonly streams: StreamTable;
  readonly out: Outgoing;
  private readonly options: SessionOptions;
  private readonly owner: SessionOwner;
  private readonly reader: FrameReader;
  private readonly decoder: HpackDecoder;
  private readonly guard: FloodGuard;
  private readonly incoming: IncomingData;
  private settingsPending = 1;
  /** Streams of the peer's above this one are not looked at: what our GOAWAY told it. */
  private lastServed = 2 ** 31 - 1;

  constructor(options: SessionOptions, owner: SessionOwner, out: FrameOut) {
    this.options = options;
    this.owner = owner;
    const isServer = options.role === 'server';
    this.streams = new StreamTable(options.role);
    this.out = new Outgoing(out, (stream) => this.onSent(stream));
    const cutOff = (): void => this.blame(ERROR.enhanceYourCalm, 'too many frames that do nothing');
    this.guard = new FloodGuard(options.clock, this.out, cutOff);
    this.incoming = new IncomingData(this.out, this.guard, this);
    this.decoder = new HpackDecoder(
      { listBytes: options.headerBytes, fieldCount: LIMITS.headerCount },
      HEADER_TABLE_DEFAULT,
    );
    this.reader = new FrameReader(this, {
      preface: isServer,
      frameBytes: FRAME_BYTES_DEFAULT,
      blockBytes: options.headerBytes,
      continuations: LIMITS.http2Continuations,
    });
    this.out.open(
      ourSettings(options.role, options.maxStreams, options.headerBytes),
      LIMITS.http2ConnectionWindow,
      !isServer,
    );
  }

  /** Our SETTINGS have not been acknowledged yet. */
  get settling(): boolean {
    return this.settingsPending > 0;
  }

  /** May a client open another stream? */
  get canOpen(): boolean {
    return this.error === null && this.streams.open.size < this.peerMaxStreams && this.streams.hasIds;
  }

  /** Reads `bytes[start, end)`. -1: the connection has to end, see `error`. */
  execute(bytes: Buffer, start: number, end: number): number {
    if (this.error !== null) return -1;
    if (this.reader.execute(bytes, start, end) >= 0) return end;
    if (this.error === null && this.reader.error !== null) this.fail(this.reader.error);
    return -1;
  }

  /** A client opens a stream; only while `canOpen`. */
  open(endStream: boolean, write: (encoder: HpackEncoder) => void): Http2Stream {
    const stream = this.streams.next(this.out.initialWindow, LIMITS.http2StreamWindow);
    this.out.headers(stream, endStream, write);
    return stream;
  }

  /** A server takes the request that asked for HTTP/2 by `Upgrade` as stream 1, with the settings it came with. */
  adopt(settings: SettingsValues): Http2Stream {
    this.takeSettings(settings);
    this.streams.lastPeerId = 1;
    const stream = this.streams.add(1, this.out.initialWindow, LIMITS.http2StreamWindow);
    stream.headSeen = true;
    stream.remoteEnded = true;
    return stream;
  }

  /** Ends a stream from our side. Harmless on one that is gone. */
  reset(stream: Http2Stream, code: ErrorCode): void {
    if (stream.closed) return;
    this.out.reset(stream.id, code);
    this.streams.remember(stream.id, ENDED.resetByUs);
    this.close(stream);
  }

  pause(stream: Http2Stream): void {
    stream.paused = true;
  }

  resume(stream: Http2Stream): void {
    stream.paused = false;
    this.incoming.giveBack(stream);
  }

  /** No new streams of the peer's; `soon`: it is asked to open none, and those on their way are still served. */
  goaway(code: ErrorCode, debug: string, soon = false): void {
    // RFC 9113 section 6.8: the last stream told never rises.
    if (!soon) this.lastServed = Math.min(this.lastServed, this.streams.lastPeerId);
    this.out.goaway(this.lastServed, code, debug);
  }

  /** Ends the connection for this reason; what was written before still goes out. */
  fail(error: FrameError): void {
    if (this.error !== null) return;
    this.error = error;
    this.reader.stop();
    this.goaway(error.code, `${errorName(error.code)}: ${error.detail}`.slice(0, 128));
    this.endAll('fault', error.code, error.detail);
  }

  /** The connection is over: every stream is told. */
  end(detail: string): void {
    this.reader.stop();
    this.endAll('connection', ERROR.noError, detail);
  }

  /** The header block that we are in the middle of, by its number: the peer owes the rest. 0: none. */
  get openBlock(): number {
    return this.reader.openBlock;
  }

  // What the reader finds.

  onHeaders(
    streamId: number,
    endStream: boolean,
    bytes: Buffer,
    start: number,
    end: number,
    fault: FrameError | null,
  ): void {
    const block = this.decoder.decode(bytes, start, end);
    if (block === null) {
      this.blame(this.decoder.code, this.decoder.error);
      return;
    }
    const stream = this.streams.open.get(streamId);
    if (stream !== null) this.onNextBlock(stream, block, endStream, fault);
    else if (this.streams.isPeers(streamId) && streamId > this.streams.lastPeerId)
      this.onNewStream(streamId, block, endStream, fault);
    else this.onFrameOfNone(streamId, 'HEADERS');
  }

  onData(streamId: number, flowBytes: number): void {
    const stream = this.streams.open.get(streamId);
    if (this.incoming.begin(stream, flowBytes) && stream === null) this.onFrameOfNone(streamId, 'DATA');
  }

  onDataBytes(_streamId: number, bytes: Buffer, start: number, end: number): void {
    this.incoming.bytes(bytes, start, end);
  }

  onDataEnd(_streamId: number, endStream: boolean): void {
    const stream = this.incoming.end(endStream);
    if (stream === null) return;
    if (endStream) this.endRemote(stream, null);
    else this.incoming.giveBack(stream);
  }

  onRstStream(streamId: number, code: number): void {
    const stream = this.streams.open.get(streamId);
    if (stream === null) {
      if (this.streams.isIdle(streamId)) this.blame(ERROR.protocolError, 'RST_STREAM of an idle stream');
      else this.guard.pay(this.options.role === 'server' ? PRICE.reset : PRICE.lateReset);
      return;
    }
    this.streams.remember(streamId, ENDED.resetByPeer);
    this.drop(stream, 'peer', code, `reset by the peer: ${errorName(code)}`);
    const { role, clock } = this.options;
    if (role === 'server' && clock.nowMs() - stream.openedMs < RAPID_MS) this.guard.pay(PRICE.reset);
  }

  onSettings(settings: SettingsValues): void {
    if (!this.guard.pay(PRICE.settings)) return;
    this.takeSettings(settings);
    if (this.error !== null) return;
    this.out.settingsAck();
    this.owner.onSettings();
  }

  onSettingsAck(): void {
    if (this.settingsPending > 0) this.settingsPending--;
    else this.guard.pay(PRICE.settings);
  }

  onPing(ack: boolean, bytes: Buffer, start: number): void {
    if (ack) this.owner.onPong();
    else if (this.guard.pay(PRICE.ping)) this.out.ping(true, bytes, start);
  }

  onGoaway(lastStreamId: number, code: number, debug: string): void {
    if (!this.guard.pay(PRICE.goaway)) return;
    this.owner.onGoaway(lastStreamId, code, debug);
    for (const stream of this.streams.open.list())
      if (stream.id > lastStreamId && !this.streams.isPeers(stream.id))
        this.drop(stream, 'unprocessed', code, `not looked at before GOAWAY: ${errorName(code)}`);
  }

  onWindowUpdate(streamId: number, increment: number): void {
    if (!this.guard.pay(PRICE.windowUpdate)) return;
    const stream = streamId === 0 ? null : this.streams.open.get(streamId);
    if (stream === null && streamId !== 0) {
      if (this.streams.isIdle(streamId)) this.blame(ERROR.protocolError, 'WINDOW_UPDATE of an idle stream');
      return;
    }
    if (this.out.opened(stream, increment)) return;
    if (stream === null) this.blame(ERROR.flowControlError, 'the connection window is larger than 2^31-1');
    else this.faultOf(stream, ERROR.flowControlError, 'the stream window is larger than 2^31-1');
  }

  onPriority(streamId: number, dependsOn: number): void {
    if (!this.guard.pay(PRICE.priority) || dependsOn !== streamId) return;
    this.onStreamError(streamId, {
      code: ERROR.protocolError,
      scope: 'stream',
      detail: 'a stream that depends on itself',
    });
  }

  onUnknown(): void {
    this.guard.pay(PRICE.unknown);
  }

  onStreamError(streamId: number, error: FrameError): void {
    const stream = this.streams.open.get(streamId);
    if (stream !== null) this.faultOf(stream, error.code, error.detail);
    else if (this.guard.pay(PRICE.fault)) this.out.reset(streamId, error.code);
  }

  /** The peer opens a stream. */
  private onNewStream(
    streamId: number,
    block: HeaderBlock,
    endStream: boolean,
    fault: FrameError | null,
  ): void {
    if (this.options.role === 'client') {
      this.blame(ERROR.protocolError, 'a stream of the server');
      return;
    }
    this.streams.lastPeerId = streamId;
    // It was on its way when our GOAWAY was sent, and may be tried elsewhere.
    if (streamId > this.lastServed)
      this.refuse(streamId, ERROR.refusedStream, PRICE.refused, 'a stream after GOAWAY');
    else if (fault !== null) this.refuse(streamId, fault.code, PRICE.fault, fault.detail);
    else if (this.streams.open.size >= this.options.maxStreams)
      this.refuse(
        streamId,
        ERROR.refusedStream,
        PRICE.refused,
        `more than ${this.options.maxStreams} streams`,
      );
    else {
      const stream = this.streams.add(streamId, this.out.initialWindow, LIMITS.http2StreamWindow);
      stream.headSeen = true;
      stream.openedMs = this.options.clock.nowMs();
      stream.remoteEnded = endStream;
      const why = block.tooLarge === '' ? requestFault(block) : '';
      stream.expectedBytes = block.contentLength;
      if (why !== '') this.faultOf(stream, ERROR.protocolError, why);
      else if (endStream && block.contentLength > 0)
        this.faultOf(stream, ERROR.protocolError, 'content-length without DATA');
      else if (block.tooLarge === '' || this.guard.pay(PRICE.tooLarge))
        this.owner.onStream(stream, block, endStream);
    }
  }

  /** An answer's head or trailers. */
  private onNextBlock(
    stream: Http2Stream,
    block: HeaderBlock,
    endStream: boolean,
    fault: FrameError | null,
  ): void {
    if (fault !== null) this.faultOf(stream, fault.code, fault.detail);
    else if (stream.remoteEnded)
      this.faultOf(stream, ERROR.streamClosed, 'HEADERS after the end of the stream');
    else if (!stream.headSeen) {
      const why = stream.handler?.onBlock(block, endStream) ?? '';
      if (why !== '') this.faultOf(stream, ERROR.protocolError, why);
      else if (endStream && !stream.closed) this.endRemote(stream, null);
    } else {
      const why = endStream ? block.tooLarge || trailersFault(block) : 'a second head';
      if (why !== '') this.faultOf(stream, ERROR.protocolError, why);
      else this.endRemote(stream, block.count === 0 ? null : block.takeHeaders());
    }
  }

  /** A frame for a stream that is not open. */
  private onFrameOfNone(streamId: number, what: string): void {
    const fault = this.streams.faultOfNone(streamId, what);
    if (fault === null) {
      if (what === 'HEADERS') this.guard.pay(PRICE.lateBlock);
    } else if (fault.scope === 'connection') this.fail(fault);
    else this.refuse(streamId, fault.code, PRICE.fault, fault.detail);
  }

  private endRemote(stream: Http2Stream, trailers: HeaderList | null): void {
    if (stream.expectedBytes >= 0 && stream.receivedBytes !== stream.expectedBytes) {
      this.faultOf(stream, ERROR.protocolError, 'less DATA than content-length says');
      return;
    }
    stream.remoteEnded = true;
    stream.handler?.onEnd(trailers);
    this.closeIfComplete(stream);
  }

  private takeSettings(settings: SettingsValues): void {
    if (settings.maxConcurrentStreams >= 0) this.peerMaxStreams = settings.maxConcurrentStreams;
    if (settings.enableConnectProtocol === 1) this.peerConnects = true;
    if (!this.out.applySettings(settings, this.streams.open.list()))
      this.blame(ERROR.flowControlError, 'SETTINGS make a window larger than 2^31-1');
  }

  /** Our side of the stream has ended. */
  private onSent(stream: Http2Stream): void {
    // RFC 9113 section 8.1: a complete answer makes the rest of the request pointless.
    if (this.options.role === 'server' && !stream.remoteEnded && !stream.bothWays)
      this.reset(stream, ERROR.noError);
    else this.closeIfComplete(stream);
  }

  private closeIfComplete(stream: Http2Stream): void {
    if (!stream.localEnded || !stream.remoteEnded || stream.closed) return;
    this.streams.remember(stream.id, ENDED.complete);
    this.guard.earnStream();
    this.close(stream);
  }

  private close(stream: Http2Stream): void {
    this.streams.remove(stream);
    this.out.forget(stream);
    this.owner.onStreamClosed(stream);
  }

  private drop(stream: Http2Stream, cause: ResetCause, code: number, detail: string): void {
    const { handler } = stream;
    stream.handler = null;
    this.close(stream);
    handler?.onReset(cause, code, detail);
  }

  private endAll(cause: ResetCause, code: number, detail: string): void {
    this.out.stop();
    for (const stream of this.streams.open.list()) this.drop(stream, cause, code, detail);
  }

  /** @internal */
  faultOf(stream: Http2Stream, code: ErrorCode, detail: string): void {
    if (stream.closed) return;
    const known = stream.handler !== null;
    this.streams.remember(stream.id, ENDED.resetByUs);
    this.out.reset(stream.id, code);
    this.drop(stream, 'fault', code, detail);
    this.owner.onStreamFault(code, detail, known);
    if (this.options.role === 'server') this.guard.pay(PRICE.fault);
  }

  /** Resets a stream that was never one. */
  private refuse(streamId: number, code: ErrorCode, price: Price, detail: string): void {
    if (!this.guard.pay(price)) return;
    this.streams.remember(streamId, ENDED.resetByUs);
    this.out.reset(streamId, code);
    this.owner.onStreamFault(code, detail, false);
  }

  /** @internal */
  blame(code: ErrorCode, detail: string): void {
    this.fail({ code, scope: 'connection', detail });
  }
}
