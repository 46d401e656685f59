/**
 * One request over an HTTP/2 connection to an endpoint, and its answer translated to the model: the status from its
 * pseudo-header field, trailers as they are, an agreed extended CONNECT (RFC 8441) as 101.
 */
import {
  atTurnEnd,
  type Failure,
  failure,
  LIMITS,
  Timer,
  type TimerOwner,
  type TurnTask,
} from '../../base/index.ts';
import {
  H,
  type HeaderList,
  type RequestHead,
  type ResponseHead,
  safeWord,
  type UpstreamHandler,
} from '../../message/index.ts';
import {
  ERROR,
  type HeaderBlock,
  HTTP1_FIELDS,
  type Http2Stream,
  type ResetCause,
  responseFault,
  type StreamHandler,
} from '../codec/http2/index.ts';
import type { AttemptStream } from './connection.ts';
import type { Http2UpstreamConnection } from './http2-connection.ts';
import { completeAnswer } from './websocket.ts';

export class Http2UpstreamStream implements AttemptStream, StreamHandler, TurnTask, TimerOwner {
  readonly endpointAddress: string;
  readonly endpointSlot: number;
  readonly reused: boolean;
  private readonly connection: Http2UpstreamConnection;
  private handler: UpstreamHandler | null = null;
  private stream: Http2Stream | null = null;
  private head: RequestHead | null = null;
  private informational = 0;
  private tunnelled = false;
  private answered = false;
  /** Runs while the endpoint has yet to take the end of a tunnel that is over. */
  private flushTimer: Timer | null = null;
  private unsentBytes = 0;

  constructor(connection: Http2UpstreamConnection) {
    const { link } = connection;
    this.connection = connection;
    this.endpointAddress = link.endpointAddress;
    this.endpointSlot = link.endpointSlot;
    this.reused = connection.served > 1;
  }

  get waitingBytes(): number {
    return this.stream?.queuedBytes ?? 0;
  }

  begin(handler: UpstreamHandler): void {
    this.handler = handler;
  }

  sendHead(head: RequestHead): void {
    this.head = head;
    // RFC 8441 section 3: only where the endpoint has said that it takes :protocol.
    if (head.body === 'tunnel' && !this.connection.session.peerConnects) atTurnEnd(this);
    else this.openStream(head);
  }

  sendBody(chunk: Buffer): boolean {
    return this.stream === null || this.connection.session.out.data(this.stream, chunk);
  }

  sendEnd(trailers: HeaderList | null): void {
    // A tunnel's request has no end of its own.
    if (this.stream === null || (this.head?.body === 'tunnel' && !this.tunnelled)) return;
    this.connection.session.out.finish(this.stream, trailers);
    if (this.tunnelled && this.stream.remoteEnded) this.watchFlush();
  }

  cancel(): void {
    this.handler = null;
    this.leave();
  }

  discard(): void {
    this.cancel();
  }

  pause(): void {
    if (this.stream !== null) this.connection.session.pause(this.stream);
  }

  resume(): void {
    if (this.stream !== null) this.connection.session.resume(this.stream);
  }

  /** The endpoint takes no tunnel. */
  onTurnEnd(): void {
    const { head, handler } = this;
    if (head === null || handler === null) return;
    this.handler = null;
    this.leave();
    handler.onFailed(
      failure(
        'upstream-protocol',
        `${this.endpointAddress} takes no extended CONNECT (RFC 8441) for ${head.upgrade}`,
      ),
    );
  }

  // What comes on the stream.

  onBlock(block: HeaderBlock, endStream: boolean): string {
    const why = block.tooLarge || responseFault(block);
    if (why !== '') return why;
    const { stream, handler } = this;
    if (stream === null || handler === null) return '';
    const head = this.responseHead(block, endStream);
    if (block.status < 200) {
      if (endStream) return 'an interim answer that ends the stream';
      if (++this.informational > LIMITS.informationalResponses) return 'too many interim answers';
      handler.onInformational(head);
      return '';
    }
    stream.headSeen = true;
    this.answered = true;
    if (!this.isBodiless(block.status)) stream.expectedBytes = block.contentLength;
    if (this.head?.body === 'tunnel' && block.status < 300) this.becomeTunnel(head);
    handler.onHead(head);
    return '';
  }

  onData(chunk: Buffer): void {
    this.handler?.onBody(chunk);
  }

  onEnd(trailers: HeaderList | null): void {
    const { handler, stream } = this;
    if (!this.tunnelled) this.handler = null;
    handler?.onEnd(trailers);
    if (this.tunnelled && stream?.endQueued === true) this.watchFlush();
    // RFC 9113 section 8.1: the rest of a request whose answer is complete is not sent.
    if (!this.tunnelled && stream?.localEnded === false) this.connection.session.reset(stream, ERROR.cancel);
  }

  onWritable(): void {
    this.handler?.onWritable();
  }

  onReset(cause: ResetCause, code: number, detail: string): void {
    const { handler } = this;
    this.handler = null;
    this.onClosed();
    handler?.onFailed(this.failureOf(cause, code, detail));
  }

  /** Its stream is gone. */
  onClosed(): void {
    if (this.flushTimer !== null) this.connection.wheel.cancel(this.flushTimer);
  }

  /** An endpoint whose window stays closed must not hold the stream and what waits in it for ever. */
  onTimer(): void {
    const stream = this.stream as Http2Stream;
    if (stream.queuedBytes < this.unsentBytes) this.watchFlush();
    else this.connection.session.reset(stream, ERROR.cancel);
  }

  private watchFlush(): void {
    const stream = this.stream as Http2Stream;
    const { config, wheel } = this.connection;
    if (stream.localEnded || config.idleTimeoutMs === 0) return;
    this.flushTimer ??= new Timer(this, 0);
    this.unsentBytes = stream.queuedBytes;
    wheel.arm(this.flushTimer, config.idleTimeoutMs);
  }

  private openStream(head: RequestHead): void {
    const { session, secure } = this.connection;
    const stream = session.open(false, (encoder) => {
      const tunnel = head.body === 'tunnel';
      encoder.request(
        tunnel ? 'CONNECT' : head.method,
        secure ? 'https' : 'http',
        safeWord(head.authority),
        safeWord(head.target),
        tunnel ? head.upgrade : '',
      );
      encoder.fields(head.headers, HTTP1_FIELDS);
      if (head.body === 'length') encoder.field('content-length', String(head.contentLength));
    });
    this.stream = stream;
    stream.handler = this;
  }

  private responseHead(block: HeaderBlock, endStream: boolean): ResponseHead {
    const { status, contentLength } = block;
    const headers = block.takeHeaders();
    return {
      status,
      reason: '',
      version: '2',
      headers,
      body: contentLength >= 0 ? 'length' : endStream ? 'none' : 'stream',
      contentLength,
    };
  }

  /** Content-Length tells of a body that is not sent (RFC 9110 section 8.6). */
  private isBodiless(status: number): boolean {
    return this.head?.method === 'HEAD' || status === 304;
  }

  private becomeTunnel(head: ResponseHead): void {
    const request = this.head as RequestHead;
    this.tunnelled = true;
    head.status = 101;
    head.body = 'tunnel';
    head.contentLength = -1;
    head.headers.set(H.upgrade, request.upgrade);
    completeAnswer(request, head.headers);
  }

  private failureOf(cause: ResetCause, code: number, detail: string): Failure {
    if (cause === 'unprocessed' || (cause === 'peer' && code === ERROR.refusedStream && !this.answered))
      return failure('refused-stream', detail);
    if (cause === 'fault') return failure('upstream-protocol', detail);
    if (this.answered) return failure('closed-mid-response', detail);
    return cause === 'connection' && detail === ''
      ? failure('closed-before-response')
      : failure('reset-before-response', detail);
  }

  private leave(): void {
    const { stream } = this;
    // None was opened: the connection has to be told that it is free.
    if (stream === null) this.connection.onStreamClosed();
    else {
      stream.handler = null;
      this.connection.session.reset(stream, ERROR.cancel);
    }
  }
}
