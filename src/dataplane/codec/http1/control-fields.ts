/**
 * The fields that decide where a message ends and what becomes of its connection, read from a scanned head:
 * Content-Length, Transfer-Encoding, Connection, Host, Upgrade, Expect. Everything that two recipients could
 * read in two ways is refused (RFC 9112 sections 6.3 and 11.2), whether or not the RFC offers a repair.
 */
import type { FailureKind } from '../../../base/index.ts';
import { FieldSet, H, listElements } from '../../../message/index.ts';

const H_HOST = H.host;
const H_CONNECTION = H.connection;
const H_CONTENT_LENGTH = H['content-length'];
const H_TRANSFER_ENCODING = H['transfer-encoding'];
const H_UPGRADE = H.upgrade;
const H_EXPECT = H.expect;
const CONTROL = new FieldSet([
  H_HOST,
  H_CONNECTION,
  H_CONTENT_LENGTH,
  H_TRANSFER_ENCODING,
  H_UPGRADE,
  H_EXPECT,
]).marks;

/**
 * Fields that `Connection` must not name. Naming one makes the next hop remove it, which turns a message into
 * another one (framing, host) or takes out what a proxy before us has vouched for (identity, address).
 */
const NOT_PER_HOP: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'content-type',
  'content-encoding',
  'content-range',
  'expect',
  'authorization',
  'cookie',
  'set-cookie',
  'via',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-client-cert',
  'x-real-ip',
  'x-request-id',
]);

const TOKEN_TEXT = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const PROTOCOL = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;

export class ControlFields {
  /** -1: no Content-Length. */
  contentLength = -1;
  /** `Transfer-Encoding: chunked`. */
  chunked = false;
  /** A Transfer-Encoding was sent. */
  encoded = false;
  /** Options of `Connection`. */
  close = false;
  keepAlive = false;
  upgradeOption = false;
  hostCount = 0;
  host = '';
  /** Protocols of `Upgrade` without h2c, as sent; null: no such field. */
  upgrade: string | null = null;
  /** An expectation other than 100-continue, or the empty string. */
  strangeExpectation = '';
  expectsContinue = false;
  kind: FailureKind | null = null;
  detail = '';

  /** Reads the head's fields; false when one is refused. `minor` is that of HTTP/1.x. */
  read(text: string, spans: readonly number[], ids: readonly number[], minor: number): boolean {
    this.reset();
    let codings: string | null = null;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (CONTROL[id] !== 1) continue;
      const value = text.slice(spans[4 * i + 2], spans[4 * i + 3]);
      if (id === H_CONNECTION) {
        if (!this.readConnection(value)) return false;
      } else if (id === H_CONTENT_LENGTH) {
        if (!this.readLength(value)) return false;
      } else if (id === H_HOST) {
        this.hostCount++;
        this.host = value;
      } else if (id === H_TRANSFER_ENCODING) codings = codings === null ? value : `${codings},${value}`;
      else if (id === H_UPGRADE) this.upgrade = this.upgrade === null ? value : `${this.upgrade}, ${value}`;
      else this.readExpect(value);
    }
    return codings === null || this.readCodings(codings, minor);
  }

  /** The client offers to go on in HTTP/2 (RFC 7540 section 3.2; RFC 9113 has withdrawn it, clients have not). */
  get offersH2c(): boolean {
    return (
      this.upgrade !== null && this.upgradeOption && listElements(this.upgrade.toLowerCase()).includes('h2c')
    );
  }

  /** The protocols asked for by a request's Upgrade without h2c, or null when the field is malformed. */
  upgradeProtocols(): string | null {
    const kept: string[] = [];
    for (const protocol of listElements(this.upgrade ?? '')) {
      if (!PROTOCOL.test(protocol)) return null;
      // It is this proxy's to answer.
      if (protocol.toLowerCase() !== 'h2c') kept.push(protocol);
    }
    return kept.join(', ');
  }

  private reset(): void {
    this.contentLength = -1;
    this.chunked = false;
    this.encoded = false;
    this.close = false;
    this.keepAlive = false;
    this.upgradeOption = false;
    this.hostCount = 0;
    this.host = '';
    this.upgrade = null;
    this.strangeExpectation = '';
    this.expectsContinue = false;
    this.kind = null;
    this.detail = '';
  }

  private readLength(value: string): boolean {
    // RFC 9112 section 6.3 lets "5, 5" pass as 5; the next hop may not see it so.
    if (this.contentLength >= 0) return this.refuse('bad-content-length', 'more than one');
    const length = readDigits(value);
    if (length < 0) return this.refuse('bad-content-length', shown(value));
    this.contentLength = length;
    return true;
  }

  private readCodings(codings: string, minor: number): boolean {
    this.encoded = true;
    if (this.contentLength >= 0) return this.refuse('length-conflict', '');
    // RFC 9112 section 6.1: framing of an HTTP/1.0 message with Transfer-Encoding is faulty.
    if (minor === 0) return this.refuse('http10-transfer-encoding', '');
    if (codings === 'chunked' || codings.toLowerCase() === 'chunked') {
      this.chunked = true;
      return true;
    }
    // RFC 9112 section 6.3: 400 where the end can't be known, 501 where only the coding is unknown. An empty
    // element is legal and refused: who takes the first element for the coding sees a message without one.
    const list = listElements(codings.toLowerCase());
    if (list.length > 1 && list.indexOf('chunked') === list.length - 1)
      return this.refuse('unknown-transfer-encoding', shown(codings));
    return this.refuse('bad-transfer-encoding', shown(codings));
  }

  private readConnection(value: string): boolean {
    if (value === 'keep-alive') this.keepAlive = true;
    else if (value === 'close') this.close = true;
    else {
      for (const option of listElements(value.toLowerCase())) {
        if (option === 'close') this.close = true;
        else if (option === 'keep-alive') this.keepAlive = true;
        else if (option === 'upgrade') this.upgradeOption = true;
        else if (!TOKEN_TEXT.test(option) || NOT_PER_HOP.has(option))
          return this.refuse('bad-connection-header', shown(option));
      }
    }
    return true;
  }

  private readExpect(value: string): void {
    for (const expectation of listElements(value)) {
      if (expectation.toLowerCase() === '100-continue') this.expectsContinue = true;
      else this.strangeExpectation = shown(expectation);
    }
  }

  private refuse(kind: FailureKind, detail: string): boolean {
    this.kind = kind;
    this.detail = detail;
    return false;
  }
}

/** The number that one to sixteen digits mean, if it is exact; else -1. */
function readDigits(value: string): number {
  if (value.length === 0 || value.length > 16) return -1;
  let number = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number <= Number.MAX_SAFE_INTEGER ? number : -1;
}

/** A peer's text in a detail: enough to recognise it. */
function shown(value: string): string {
  return value.length > 48 ? `"${value.slice(0, 48)}"…` : `"${value}"`;
}
