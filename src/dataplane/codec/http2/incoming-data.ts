/**
 * Body bytes that come in, and the windows that bound them (RFC 9113 section 5.2). The connection's window is given back
 * as bytes come, the stream's as long as its reader takes them: a reader that stops holds up its own stream and
 * nobody else's, and what it makes us keep is one stream window.
 */
import { LIMITS } from '../../../base/index.ts';
import { ERROR, type ErrorCode } from './codes.ts';
import { EARNED, type FloodGuard, PRICE } from './flood-guard.ts';
import type { Outgoing } from './outgoing.ts';
import type { Http2Stream } from './stream.ts';

/** What a session does when data breaks a rule. */
export interface DataRules {
  faultOf(stream: Http2Stream, code: ErrorCode, detail: string): void;
  blame(code: ErrorCode, detail: string): void;
}

export class IncomingData {
  private readonly out: Outgoing;
  private readonly guard: FloodGuard;
  private readonly rules: DataRules;
  private window: number = LIMITS.http2ConnectionWindow;
  /** Received, and not yet given back to the peer. */
  private owedBytes = 0;
  /** The frame that is being read: its size, what of it was no padding, and its stream, null where nobody wants it. */
  private frameBytes = 0;
  private bodyBytes = 0;
  private stream: Http2Stream | null = null;

  constructor(out: Outgoing, guard: FloodGuard, rules: DataRules) {
    this.out = out;
    this.guard = guard;
    this.rules = rules;
  }

  /** A frame begins; `stream` null: of no stream. False: the connection has to end. */
  begin(stream: Http2Stream | null, flowBytes: number): boolean {
    this.frameBytes = flowBytes;
    this.bodyBytes = 0;
    this.stream = null;
    this.window -= flowBytes;
    if (this.window < 0) {
      this.rules.blame(ERROR.flowControlError, 'more DATA than the connection window allows');
      return false;
    }
    if (stream === null) return true;
    if (stream.remoteEnded)
      this.rules.faultOf(stream, ERROR.streamClosed, 'DATA after the end of the stream');
    else if (!stream.headSeen) this.rules.faultOf(stream, ERROR.protocolError, 'DATA before a final head');
    else {
      stream.receiveWindow -= flowBytes;
      if (stream.receiveWindow >= 0) this.stream = stream;
      else this.rules.faultOf(stream, ERROR.flowControlError, 'more DATA than the stream window allows');
    }
    return true;
  }

  bytes(bytes: Buffer, start: number, end: number): void {
    const { stream } = this;
    this.bodyBytes += end - start;
    if (stream === null || stream.closed) return;
    stream.receivedBytes += end - start;
    if (stream.expectedBytes >= 0 && stream.receivedBytes > stream.expectedBytes)
      this.rules.faultOf(stream, ERROR.protocolError, 'more DATA than content-length says');
    else stream.handler?.onData(bytes.subarray(start, end));
  }

  /** The frame is complete. Its stream, if that is still there. */
  end(endStream: boolean): Http2Stream | null {
    const { stream, frameBytes } = this;
    this.stream = null;
    // Padding alone is nothing, too (CVE-2019-9518).
    if (this.bodyBytes === 0 && !endStream && !this.guard.pay(PRICE.emptyData)) return null;
    this.owedBytes += frameBytes;
    if (this.owedBytes >= LIMITS.http2ConnectionWindow / 2) {
      this.out.windowUpdate(0, this.owedBytes);
      this.window += this.owedBytes;
      this.owedBytes = 0;
    }
    if (stream === null || stream.closed) return null;
    if (frameBytes >= LARGE_BYTES) this.guard.earn(EARNED.dataReceived);
    stream.owedBytes += frameBytes;
    return stream;
  }

  /** Lets the peer send more on this stream, if its reader takes it. */
  giveBack(stream: Http2Stream): void {
    if (stream.closed || stream.remoteEnded || stream.paused) return;
    if (stream.owedBytes < LIMITS.http2StreamWindow / 2) return;
    this.out.windowUpdate(stream.id, stream.owedBytes);
    stream.receiveWindow += stream.owedBytes;
    stream.owedBytes = 0;
  }
}

/** A frame of this size is work, and no flood. */
const LARGE_BYTES = 1_024;
