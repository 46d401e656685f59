/**
 * Requests from bytes. Heads go through SectionReader, bodies through BodyReader; this file knows the order of
 * things and the rules of a request as a whole (RFC 9112 sections 2.2, 3.2, 6.3 and 9.3). A head of 411 bytes and 9
 * fields takes 0.6–0.7 µs on a core where touching each byte once takes 0.15: bench/micro/http1-head.ts.
 */
import { type Failure, type FailureKind, failure, LIMITS } from '../../../base/index.ts';
import { type BodyKind, H, HeaderList, isAuthority, type RequestHead } from '../../../message/index.ts';
import { BodyReader } from './body-reader.ts';
import { CR, LF, TLS_HANDSHAKE } from './bytes.ts';
import { ControlFields } from './control-fields.ts';
import { FieldScanner, MORE, REFUSED } from './field-scanner.ts';
import { RequestLine } from './request-line.ts';
import { SectionReader } from './section-reader.ts';
import { TargetForm } from './target.ts';

export interface RequestSink {
  /** A valid head. `Host` is in `head.authority` and not in `head.headers`; every other field is there as received. */
  onHead(head: RequestHead): void;
  /** Body bytes, never empty: a view of what `execute` was given. */
  onBody(chunk: Buffer): void;
  /** The message is complete. Not called for a head with body `tunnel` until the tunnel ends. */
  onEnd(trailers: HeaderList | null): void;
}

export interface RequestParserOptions {
  /** Scheme of the connection; it stands in every head, whatever an absolute-form target says. */
  readonly scheme: 'http' | 'https';
  /** Bytes of the request line with its CRLF; default LIMITS.requestLineBytes. */
  readonly requestLineBytes?: number;
  /** Bytes of the field lines with the empty line; default LIMITS.headerBytes. */
  readonly headerBytes?: number;
  /** Number of fields besides Host; default LIMITS.headerCount. */
  readonly headerCount?: number;
}

const START = 0;
const HEAD = 1;
const BODY = 2;
const DONE = 3;
const CLOSED = 4;
const FAILED = 5;
const NO_BYTES = Buffer.alloc(0);

/**
 * Requests of one connection, one after the other.
 *
 * A CONNECT request and one with a usable `Upgrade` carry `body: 'tunnel'`: `onHead` is called, `done` becomes
 * true and what follows stays with the caller. Then `tunnel()` if the answer was 2xx or 101, else the connection
 * is to be closed, which `keepAlive` says too: the client may already have sent bytes of the other protocol.
 */
export class RequestParser {
  private readonly sink: RequestSink;
  private readonly scheme: 'http' | 'https';
  private readonly line = new RequestLine();
  private readonly section: SectionReader;
  private readonly controls = new ControlFields();
  private readonly targetForm = new TargetForm();
  private readonly body: BodyReader;
  private state = START;
  private emptyLines = 0;
  private crSeen = false;
  private failed: Failure | null = null;
  private persistent = true;
  /** The last Host that was found valid; clients repeat it. */
  private knownHost = '';
  private knownHostBytes: Buffer = NO_BYTES;

  constructor(sink: RequestSink, options: RequestParserOptions) {
    this.sink = sink;
    this.scheme = options.scheme;
    const fields = new FieldScanner(options.headerCount ?? LIMITS.headerCount, true);
    this.section = new SectionReader(this.line, fields, {
      lineBytes: options.requestLineBytes ?? LIMITS.requestLineBytes,
      tooLongLine: 'uri-too-long',
      fieldBytes: options.headerBytes ?? LIMITS.headerBytes,
    });
    this.body = new BodyReader(sink);
  }

  /** The message is complete; `execute` consumes nothing until `next` or `tunnel`. */
  get done(): boolean {
    return this.state === DONE;
  }

  /** Why the input was refused; the connection can't be used any more. */
  get failure(): Failure | null {
    return this.failed;
  }

  /** Between messages: no byte of a next one has come. */
  get idle(): boolean {
    return this.state === START;
  }

  /** Bytes of a head have come, its end has not: the header timeout runs. */
  get inHead(): boolean {
    return this.state === HEAD;
  }

  /**
   * The client lets the connection live after this request (RFC 9112 section 9.3). Valid from `onHead` on; always
   * false for a request for a tunnel.
   */
  get keepAlive(): boolean {
    return this.persistent;
  }

  /**
   * Parses `bytes[start, end)`. Returns how many bytes were consumed, which is all of them unless the message
   * ended (`done`); the rest is a pipelined request and stays with the caller. -1: refused, see `failure`.
   * The bytes are not kept after the call, but body chunks are views of them.
   */
  execute(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      switch (this.state) {
        case START:
          at = this.readStart(bytes, at, end);
          if (at < 0) return -1;
          break;
        case HEAD: {
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
        case DONE:
          return at - start;
        case CLOSED:
          return end - start;
        default:
          return -1;
      }
    }
    return at - start;
  }

  /** `Upgrade: h2c` in the head that was handed over last. */
  get offersH2c(): boolean {
    return this.controls.offersH2c;
  }

  /** Makes ready for the next request; only when `done`. */
  next(): void {
    if (this.state !== DONE) return;
    this.state = START;
    this.emptyLines = 0;
    this.crSeen = false;
  }

  /** From now on all bytes are body: after an accepted Upgrade or CONNECT; only when `done`. */
  tunnel(): void {
    if (this.state !== DONE) return;
    this.state = BODY;
    this.body.beginRaw();
  }

  /** No more callbacks: whatever comes is consumed and dropped. May be called from a callback. */
  close(): void {
    this.state = CLOSED;
    this.section.drop();
    this.body.drop();
  }

  /** The peer ended its side: ends a tunnel (`onEnd`), else tells whether a message was cut off. */
  finish(): Failure | null {
    if (this.state === HEAD) return failure('downstream-gone', 'in the middle of a head');
    if (this.state !== BODY) return null;
    if (!this.body.endsWithConnection) return failure('downstream-gone', 'in the middle of a body');
    this.state = DONE;
    this.body.endRaw();
    return null;
  }

  /** Skips empty lines before a request line (RFC 9112 section 2.2) and begins the head at another byte. */
  private readStart(bytes: Buffer, from: number, end: number): number {
    let at = from;
    while (at < end) {
      const byte = bytes[at];
      if (this.crSeen) {
        if (byte !== LF) return this.refuse('bare-cr', 'CR without LF before the request line');
        if (++this.emptyLines > LIMITS.leadingEmptyLines)
          return this.refuse('bad-request-line', 'too many empty lines');
        this.crSeen = false;
      } else if (byte === CR) this.crSeen = true;
      else {
        if (byte === TLS_HANDSHAKE) return this.refuse('tls-on-plain-port', '');
        if (byte === LF) return this.refuse('bare-lf', 'before the request line');
        this.state = HEAD;
        this.section.begin();
        return at;
      }
      at++;
    }
    return at;
  }

  /** Checks the scanned head as a whole and hands it over. */
  private acceptHead(): boolean {
    const { line, controls, targetForm } = this;
    const { fields } = this.section;
    const hostKnown =
      fields.hostStart >= 0 && this.section.isAt(this.knownHostBytes, fields.hostStart, fields.hostEnd);
    const usual = this.usualMethod();
    const text = this.section.takeText();
    const version = line.minor === 0 ? '1.0' : '1.1';
    const method = usual ?? text.slice(0, line.methodEnd);
    const fieldText = text.slice(fields.textStart);
    if (!controls.read(fieldText, fields.spans, fields.ids, line.minor))
      return this.refuse(controls.kind as FailureKind, controls.detail) > 0;
    if (!targetForm.read(method, text.slice(line.methodEnd + 1, line.targetEnd)))
      return this.refuse(targetForm.kind as FailureKind, targetForm.detail) > 0;

    const headers = new HeaderList(fieldText, fields.spans, fields.ids);
    const hosts = controls.hostCount + (fields.hostStart < 0 ? 0 : 1);
    let authority = targetForm.authority;
    if (hosts === 1) {
      const host = hostKnown
        ? this.knownHost
        : this.checkedHost(
            fields.hostStart < 0 ? controls.host : text.slice(fields.hostStart, fields.hostEnd),
          );
      if (host === null) return false;
      if (controls.hostCount > 0) headers.delete(H.host);
      if (authority === '') authority = host;
    } else if (hosts > 1) return this.refuse('bad-host', 'more than one Host') > 0;
    else if (line.minor > 0) return this.refuse('missing-host', '') > 0;

    if (controls.strangeExpectation !== '' && line.minor > 0)
      return this.refuse('expectation-failed', controls.strangeExpectation) > 0;

    const hasBody = controls.chunked || controls.contentLength > 0;
    const upgrade = this.usableUpgrade(method);
    if (upgrade === null) return this.refuse('bad-upgrade', 'malformed protocol list') > 0;
    const tunnel = upgrade !== '' || method === 'CONNECT';
    if (tunnel && hasBody) return this.refuse('bad-upgrade', 'with a request body') > 0;
    this.persistent = !tunnel && !controls.close && (line.minor > 0 || controls.keepAlive);
    const body: BodyKind = tunnel
      ? 'tunnel'
      : controls.chunked
        ? 'stream'
        : controls.contentLength >= 0
          ? 'length'
          : 'none';
    this.handOver({
      method,
      target: targetForm.target,
      authority,
      scheme: this.scheme,
      version,
      headers,
      body,
      contentLength: body === 'length' ? controls.contentLength : -1,
      // RFC 9110 section 10.1.1: ignored from an HTTP/1.0 client, and pointless without a body.
      expectContinue: hasBody && line.minor > 0 && controls.expectsContinue,
      upgrade,
    });
    return true;
  }

  /** The usual methods without making a string. */
  private usualMethod(): string | null {
    const { methodEnd } = this.line;
    if (this.section.isAt(GET, 0, methodEnd)) return 'GET';
    return this.section.isAt(POST, 0, methodEnd) ? 'POST' : null;
  }

  /** The host, or null when it is refused. It is remembered so that the next one need not be checked. */
  private checkedHost(host: string): string | null {
    if (!isAuthority(host)) {
      this.refuse('bad-host', `"${host.slice(0, 64)}"`);
      return null;
    }
    this.knownHostBytes = Buffer.from(host, 'latin1');
    // A string of its own, not a slice that keeps a whole head alive.
    this.knownHost = this.knownHostBytes.toString('latin1');
    return this.knownHost;
  }

  private handOver(head: RequestHead): void {
    if (head.body === 'stream') {
      this.state = BODY;
      this.body.beginChunked();
    } else if (head.contentLength > 0) {
      this.state = BODY;
      this.body.beginLength(head.contentLength);
    } else this.state = DONE;
    this.sink.onHead(head);
    if (this.state === DONE && head.body !== 'tunnel') this.sink.onEnd(null);
  }

  /** Empty: none, or one that is to be ignored (RFC 9110 section 7.8); null: malformed. */
  private usableUpgrade(method: string): string | null {
    const { controls } = this;
    if (controls.upgrade === null || !controls.upgradeOption) return '';
    if (this.line.minor === 0 || method === 'CONNECT') return '';
    return controls.upgradeProtocols();
  }

  private refuse(kind: FailureKind, detail: string): number {
    this.failed = failure(kind, detail);
    this.state = FAILED;
    this.section.drop();
    this.body.drop();
    return -1;
  }
}

const GET = Buffer.from('GET', 'latin1');
const POST = Buffer.from('POST', 'latin1');
