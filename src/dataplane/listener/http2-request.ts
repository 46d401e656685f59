/**
 * One request on an HTTP/2 connection of a client: its stream translated to the model and back. The pseudo-header fields
 * become the head, an extended CONNECT (RFC 8441) a request for a protocol switch whose agreement is 200 and not 101.
 */
import {
  type Failure,
  type FailureKind,
  failure,
  joinSmall,
  LIMITS,
  Timer,
  type TimerOwner,
} from '../../base/index.ts';
import {
  type ConnectionFacts,
  type DownstreamHandler,
  type DownstreamStream,
  H,
  type HeaderList,
  isAuthority,
  listElements,
  type RequestHead,
  type ResponseHead,
} from '../../message/index.ts';
import { LISTENER_COUNTER } from '../../telemetry/index.ts';
import {
  ERROR,
  type HeaderBlock,
  HTTP1_FIELDS,
  type Http2Stream,
  type ResetCause,
  type StreamHandler,
} from '../codec/http2/index.ts';
import type { Http2Connection } from './http2-connection.ts';

export class Http2Request implements DownstreamStream, StreamHandler, TimerOwner {
  readonly facts: ConnectionFacts;
  private readonly connection: Http2Connection;
  private readonly stream: Http2Stream;
  private handler: DownstreamHandler | null = null;
  private method = '';
  private expectsContinue = false;
  /** The client asked for a protocol switch; it got it. */
  private tunnel = false;
  private tunnelled = false;
  private answerBegun = false;
  private answerEnded = false;
  private requestEnded = false;
  /** Of a request that has not begun. */
  private block: HeaderBlock | null = null;
  /** The answer has no body, whatever its fields say. */
  private bodiless = false;
  /** What came of a tunnel before it was agreed to. */
  private early: Buffer[] | null = null;
  /** Runs while the client has yet to take the end of an answer that the exchange has done with. */
  private flushTimer: Timer | null = null;
  private unsentBytes = 0;

  constructor(connection: Http2Connection, stream: Http2Stream) {
    this.connection = connection;
    this.stream = stream;
    this.facts = connection.link.facts;
  }

  /**
   * Takes the head. The request begins with what follows on its stream, or with the end of the read: one that is reset in
   * the same read (CVE-2023-44487, CVE-2025-8671) never does, and costs no endpoint anything.
   */
  receive(block: HeaderBlock, endStream: boolean): void {
    this.block = block;
    this.requestEnded = endStream;
  }

  /** Begins unless it has. */
  start(): void {
    const { block } = this;
    if (block === null) return;
    this.block = null;
    this.begin(block, this.requestEnded);
  }

  private begin(block: HeaderBlock, endStream: boolean): void {
    const headers = block.takeHeaders();
    const host = headers.get(H.host);
    const expect = headers.getAll(H.expect);
    const fault = headFault(block, headers, host, expect);
    if (host !== undefined) headers.delete(H.host);
    const head = this.requestHead(block, headers, host, endStream);
    head.expectContinue = expect !== undefined && !endStream;
    if (fault === null) this.accept(head, endStream);
    else {
      this.requestEnded = endStream;
      this.method = head.method;
      this.connection.context.conductor.refuse(failure(fault, block.tooLarge), this, head);
    }
  }

  /** Hands the request to the exchange. */
  accept(head: RequestHead, ended: boolean): void {
    const { conductor, config } = this.connection.context;
    this.requestEnded = ended;
    this.method = head.method;
    this.expectsContinue = head.expectContinue;
    const handler = conductor.accept(config, head, this);
    if (this.answerEnded || this.stream.closed) return;
    this.handler = handler;
    if (ended && head.body === 'length') handler.onEnd(null);
  }

  // What the exchange asks for.

  sendInformational(head: ResponseHead): void {
    if (this.answerBegun || head.status === 101) return;
    if (head.status === 100) {
      if (!this.expectsContinue || this.requestEnded) return;
      this.expectsContinue = false;
    }
    this.sendFields(head.status, head.headers, -1);
  }

  sendHead(head: ResponseHead): void {
    this.answerBegun = true;
    const { status } = head;
    this.tunnelled = head.body === 'tunnel';
    this.bodiless = this.method === 'HEAD' || status === 204 || status === 304;
    this.sendFields(this.tunnelled ? 200 : status, head.headers, this.lengthOf(head));
    if (!this.tunnel) return;
    this.stream.bothWays = this.tunnelled;
    if (this.tunnelled) this.connection.context.counters.add(LISTENER_COUNTER.downstreamCxUpgradesTotal, 1);
    if (this.tunnelled && this.early !== null) process.nextTick(() => this.deliverEarly());
  }

  sendBody(chunk: Buffer): boolean {
    return this.bodiless || this.connection.session.out.data(this.stream, chunk);
  }

  sendEnd(trailers: HeaderList | null): void {
    this.answerEnded = true;
    if (!this.tunnelled || this.requestEnded) this.handler = null;
    this.connection.session.out.finish(this.stream, trailers);
    if (this.handler === null) this.watchFlush();
  }

  abort(why: Failure): void {
    this.handler = null;
    // RFC 8441 section 5: what would be a TCP reset is CANCEL.
    const code = this.tunnelled || why.origin === 'downstream' ? ERROR.cancel : ERROR.internalError;
    this.connection.session.reset(this.stream, code);
  }

  /** Ends a tunnel that would not end by itself. */
  cutTunnel(): void {
    const { handler } = this;
    if (!this.tunnelled || handler === null) return;
    const why = failure('shutting-down');
    this.abort(why);
    handler.onAborted(why);
  }

  pause(): void {
    this.connection.session.pause(this.stream);
  }

  resume(): void {
    this.connection.session.resume(this.stream);
  }

  /** What is wrong with one stream says nothing about the others. */
  closeAfter(): void {}

  // What comes on the stream.

  onBlock(): string {
    return '';
  }

  onData(chunk: Buffer): void {
    if (this.block !== null) this.start();
    if (this.early !== null || (this.tunnel && !this.answerBegun)) {
      this.early ??= [];
      const joined = joinSmall(this.early.at(-1), chunk);
      if (joined === null) this.early.push(Buffer.from(chunk));
      else this.early[this.early.length - 1] = joined;
      this.pause();
    } else this.handler?.onBody(chunk);
  }

  onEnd(trailers: HeaderList | null): void {
    if (this.block !== null) this.start();
    this.requestEnded = true;
    if (this.early !== null) return;
    const { handler } = this;
    if (this.answerEnded) this.handler = null;
    handler?.onEnd(trailers);
    if (this.answerEnded) this.watchFlush();
  }

  onWritable(): void {
    this.handler?.onWritable();
  }

  onReset(cause: ResetCause, _code: number, detail: string): void {
    const { handler, block } = this;
    this.handler = null;
    this.block = null;
    this.onClosed();
    const why = this.connection.reasonOf(cause, detail);
    handler?.onAborted(why);
    // Of a fault there is to be a record; whoever takes back what has not begun is only counted.
    if (block !== null && cause === 'fault')
      this.connection.context.conductor.connectionFailed(this.facts, why);
  }

  /** Its stream is gone. */
  onClosed(): void {
    if (this.flushTimer !== null) this.connection.context.wheel.cancel(this.flushTimer);
  }

  /** A client whose window stays closed must not hold the stream and what waits in it for ever. */
  onTimer(): void {
    const { stream, unsentBytes } = this;
    if (stream.queuedBytes < unsentBytes) this.watchFlush();
    else this.connection.onUnsent(stream);
  }

  private watchFlush(): void {
    const { stream } = this;
    const { config, wheel } = this.connection.context;
    if (stream.localEnded || config.idleTimeoutMs === 0) return;
    this.flushTimer ??= new Timer(this, 0);
    this.unsentBytes = stream.queuedBytes;
    wheel.arm(this.flushTimer, config.idleTimeoutMs);
  }

  private deliverEarly(): void {
    const early = this.early ?? [];
    this.early = null;
    this.resume();
    for (const chunk of early) this.handler?.onBody(chunk);
    if (this.requestEnded) this.onEnd(null);
  }

  private requestHead(
    block: HeaderBlock,
    headers: HeaderList,
    host: string | undefined,
    endStream: boolean,
  ): RequestHead {
    const { method, path, authority, protocol } = block.pseudo;
    const named = authority ?? host ?? '';
    this.tunnel = protocol !== null;
    const length = block.contentLength;
    return {
      method: this.tunnel ? 'GET' : (method ?? ''),
      target: path ?? named,
      authority: named,
      scheme: this.facts.tls === null ? 'http' : 'https',
      version: '2',
      headers,
      body: this.tunnel ? 'tunnel' : length >= 0 ? 'length' : endStream ? 'none' : 'stream',
      contentLength: this.tunnel ? -1 : length,
      expectContinue: false,
      upgrade: protocol ?? '',
    };
  }

  /** Content-Length to be told; -1: none. To HEAD and with 304 it is that of a body which is not sent (RFC 9110 section 8.6). */
  private lengthOf({ status, body, contentLength, headers }: ResponseHead): number {
    if (status === 204) return -1;
    if (body === 'length') return contentLength;
    return this.bodiless ? Number(headers.get(H['content-length']) ?? -1) : -1;
  }

  /** `length`: Content-Length to be told; -1: none. */
  private sendFields(status: number, headers: HeaderList, length: number): void {
    this.connection.session.out.headers(this.stream, false, (encoder) => {
      encoder.status(status);
      encoder.fields(headers, HTTP1_FIELDS);
      if (length >= 0) encoder.field('content-length', String(length));
    });
  }
}

/** Why a head is refused; null: it is not. */
function headFault(
  block: HeaderBlock,
  headers: HeaderList,
  host: string | undefined,
  expect: string | undefined,
): FailureKind | null {
  if (block.tooLarge !== '') return 'headers-too-large';
  const { path, authority } = block.pseudo;
  // RFC 9113 section 8.3.1.
  const named = authority ?? host ?? '';
  if (host !== undefined) {
    const differs = host !== named && host.toLowerCase() !== named.toLowerCase();
    if (differs || headers.count(H.host) > 1) return 'bad-host';
  }
  if (named === '') return 'missing-host';
  if (!isAuthority(named)) return 'bad-host';
  if ((path ?? named).length > LIMITS.requestLineBytes) return 'uri-too-long';
  const unmet =
    expect !== undefined && listElements(expect.toLowerCase()).some((one) => one !== '100-continue');
  return unmet ? 'expectation-failed' : null;
}
