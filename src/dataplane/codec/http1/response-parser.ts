/**
 * Answers from bytes, for one upstream connection that carries one request at a time. How the end of an answer
 * is known depends on the request (RFC 9112 section 6.3), so each one is announced by `expect`; bytes that
 * come when nothing is expected are refused, because they would be given to the next request.
 */
import { type Failure, type FailureKind, failure, LIMITS } from '../../../base/index.ts';
import { type BodyKind, HeaderList, type ResponseHead } from '../../../message/index.ts';
import { BodyReader } from './body-reader.ts';
import { ControlFields } from './control-fields.ts';
import { FieldScanner, MORE, REFUSED } from './field-scanner.ts';
import { SectionReader } from './section-reader.ts';
import { StatusLine } from './status-line.ts';

export interface ResponseSink {
  /** 1xx but not 101. */
  onInformational(head: ResponseHead): void;
  /** The final head; every field is there as received. `body: 'tunnel'`: after 101, or 2xx to CONNECT. */
  onHead(head: ResponseHead): void;
  /** Body bytes, never empty: a view of what `execute` was given. */
  onBody(chunk: Buffer): void;
  onEnd(trailers: HeaderList | null): void;
}

export interface ResponseParserOptions {
  /** Bytes of the field lines with the empty line; default LIMITS.headerBytes. */
  readonly headerBytes?: number;
  /** Number of fields; default LIMITS.headerCount. */
  readonly headerCount?: number;
}

const IDLE = 0;
const HEAD = 1;
const BODY = 2;
const DONE = 3;
const CLOSED = 4;
const FAILED = 5;

/** Answers on one upstream connection. Every refusal is `upstream-protocol` with a detail. */
export class ResponseParser {
  private readonly sink: ResponseSink;
  private readonly line = new StatusLine();
  private readonly section: SectionReader;
  private readonly controls = new ControlFields();
  private readonly body: BodyReader;
  private state = IDLE;
  private failed: Failure | null = null;
  private requestMethod = '';
  private upgradeAsked = false;
  private informational = 0;
  private bytesSeen = false;
  private persistent = false;

  constructor(sink: ResponseSink, options: ResponseParserOptions = {}) {
    this.sink = sink;
    const fields = new FieldScanner(options.headerCount ?? LIMITS.headerCount, false);
    this.section = new SectionReader(this.line, fields, {
      lineBytes: LIMITS.requestLineBytes,
      tooLongLine: 'headers-too-large',
      fieldBytes: options.headerBytes ?? LIMITS.headerBytes,
    });
    this.body = new BodyReader(sink);
  }

  /** A request with this method was sent; `upgrade`: it asked for a protocol, so that 101 may come. */
  expect(method: string, upgrade: boolean): void {
    if (this.state !== IDLE && this.state !== DONE) return;
    this.state = HEAD;
    this.requestMethod = method;
    this.upgradeAsked = upgrade;
    this.informational = 0;
    this.bytesSeen = false;
    this.persistent = false;
    this.section.begin();
  }

  /** The answer is complete. */
  get done(): boolean {
    return this.state === DONE;
  }

  get failure(): Failure | null {
    return this.failed;
  }

  /** Nothing is expected, or the answer is complete. */
  get idle(): boolean {
    return this.state === IDLE || this.state === DONE;
  }

  /** A byte of the answer has come. */
  get begun(): boolean {
    return this.bytesSeen;
  }

  /** After `done`: the connection may carry another request (RFC 9112 section 9.3). */
  get reusable(): boolean {
    return this.state === DONE && this.persistent;
  }

  /**
   * Parses `bytes[start, end)`. Returns how many bytes were consumed; fewer than given means that the endpoint sent more
   * than its answer. -1: refused, see `failure`. Bytes that come while nothing is expected are refused.
   */
  execute(bytes: Buffer, start: number, end: number): number {
    if (start < end && this.idle) return this.refuse('bad-request-line', 'an answer to no request');
    let at = start;
    while (at < end) {
      switch (this.state) {
        case HEAD: {
          this.bytesSeen = true;
          const stop = this.section.read(bytes, at, end);
          if (stop === MORE) return end - start;
          if (stop === REFUSED) return this.refuse(this.section.kind as FailureKind, this.section.detail);
          at = stop;
          if (!this.acceptHead()) return -1;
          break;
        }
        case BODY:
          at = this.body.read(bytes, at, end);
          if (at < 0) return this.refuse(this.body.kind as FailureKind, this.body.detail);
          if (this.body.ended && this.state === BODY) this.state = DONE;
          break;
        case CLOSED:
          return end - start;
        case FAILED:
          return -1;
        default:
          return at - start;
      }
    }
    return at - start;
  }

  /** No more callbacks: whatever comes is consumed and dropped. May be called from a callback. */
  close(): void {
    this.state = CLOSED;
    this.section.drop();
    this.body.drop();
  }

  /**
   * The endpoint ended its side. Ends a body that is delimited by the close, or a tunnel, properly (`onEnd`)
   * and returns null; else `closed-before-response` when no byte had come, `closed-mid-response` when some had.
   */
  finish(): Failure | null {
    if (this.state === HEAD)
      return this.bytesSeen
        ? failure('closed-mid-response', 'in the middle of a head')
        : failure('closed-before-response');
    if (this.state !== BODY) return null;
    if (!this.body.endsWithConnection) return failure('closed-mid-response', 'in the middle of a body');
    this.state = DONE;
    this.body.endRaw();
    return null;
  }

  /** Checks the scanned head as a whole and hands it over. */
  private acceptHead(): boolean {
    const { line, controls } = this;
    const { fields } = this.section;
    const text = this.section.takeText();
    const fieldText = text.slice(fields.textStart);
    if (!controls.read(fieldText, fields.spans, fields.ids, line.minor))
      return this.refuse(controls.kind as FailureKind, controls.detail) > 0;
    const { status } = line;
    if (status < 200 || status === 204) {
      // RFC 9110 section 8.6 and RFC 9112 section 6.1 forbid both; servers do send 204 with Content-Length: 0.
      if (controls.encoded) return this.refuse('bad-transfer-encoding', `with status ${status}`) > 0;
      if (controls.contentLength > 0) return this.refuse('bad-content-length', `with status ${status}`) > 0;
    }
    const body = this.bodyKind(status);
    if (body === null) return false;
    const head: ResponseHead = {
      status,
      reason: text.slice(line.reasonStart, line.reasonEnd),
      version: line.minor === 0 ? '1.0' : '1.1',
      headers: new HeaderList(fieldText, fields.spans, fields.ids),
      body,
      contentLength: body === 'length' ? controls.contentLength : -1,
    };
    if (status < 200 && status !== 101) return this.handOverInformational(head);
    this.persistent =
      body !== 'close' && body !== 'tunnel' && !controls.close && (line.minor > 0 || controls.keepAlive);
    this.handOver(head);
    return true;
  }

  /** RFC 9112 section 6.3; null: refused. */
  private bodyKind(status: number): BodyKind | null {
    const { controls } = this;
    if (status === 101) return this.tunnelKind();
    if (this.requestMethod === 'CONNECT' && status >= 200 && status < 300) return 'tunnel';
    if (this.requestMethod === 'HEAD' || status < 200 || status === 204 || status === 304) return 'none';
    if (controls.chunked) return 'stream';
    return controls.contentLength >= 0 ? 'length' : 'close';
  }

  /** RFC 9110 section 15.2.2: 101 answers an Upgrade and names the protocol. */
  private tunnelKind(): BodyKind | null {
    if (this.upgradeAsked && this.line.minor > 0 && this.controls.upgrade !== null) return 'tunnel';
    this.refuse('bad-upgrade', this.upgradeAsked ? '101 without Upgrade' : '101 that was not asked for');
    return null;
  }

  private handOverInformational(head: ResponseHead): boolean {
    if (++this.informational > LIMITS.informationalResponses)
      return this.refuse('bad-request-line', 'too many interim answers') > 0;
    this.section.begin();
    this.sink.onInformational(head);
    return true;
  }

  private handOver(head: ResponseHead): void {
    const { body } = head;
    if (body === 'none' || head.contentLength === 0) this.state = DONE;
    else {
      this.state = BODY;
      if (body === 'stream') this.body.beginChunked();
      else if (body === 'length') this.body.beginLength(head.contentLength);
      else this.body.beginRaw();
    }
    this.sink.onHead(head);
    if (this.state === DONE) this.sink.onEnd(null);
  }

  private refuse(kind: FailureKind, detail: string): number {
    this.failed = failure('upstream-protocol', detail === '' ? kind : `${kind}: ${detail}`);
    this.state = FAILED;
    this.section.drop();
    this.body.drop();
    return -1;
  }
}
