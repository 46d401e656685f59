/**
 * What a client speaks, told from its first bytes, however they are cut. HTTP/2 begins like no request of HTTP/1
 * (RFC 9113 section 3.4). Where nothing but HTTP can come, everything else is HTTP/1, whose codec says what is wrong
 * with it; where TCP can come too, HTTP/1 is what begins with a whole request line, version included, because
 * other protocols have words as well (`EHLO mail.shop`). TLS begins with a handshake record.
 */
import { LIMITS } from '../../base/index.ts';
import { PREFACE } from '../codec/http2/index.ts';
import type { Carried } from '../router/index.ts';
import { HelloReader } from '../transport/index.ts';

/** `tls`: a whole ClientHello that may be passed through. `other`: none of these. */
export type Spoken = 'http1' | 'http2' | 'tls' | 'other';

/** First byte of a TLS record that carries a handshake (RFC 8446 section 5.1). */
export const TLS_HANDSHAKE = 0x16;

const VERSION = Buffer.from('HTTP/1.', 'latin1');
const SPACE = 0x20;
const DELETE = 0x7f;

type Part = 'before' | 'method' | 'target' | 'version';

export class FirstBytes {
  private readonly carried: Carried;
  /** Null: HTTP is not looked for, or no longer. */
  private part: Part | null;
  private partBytes = 0;
  private prefaceBytes = 0;
  private isPreface: boolean;
  private hello: HelloReader | null = null;
  private total = 0;

  /** `http`: requests may come. */
  constructor(carried: Carried, http: boolean) {
    this.carried = carried;
    this.part = http ? 'before' : null;
    this.isPreface = http;
  }

  /** A ClientHello has begun, and is not complete. */
  get inHello(): boolean {
    return this.hello !== null;
  }

  /** Bytes have come. */
  get begun(): boolean {
    return this.total > 0;
  }

  /** Of what was found to be `tls`; empty: the client states none. */
  get serverName(): string {
    return this.hello?.serverName ?? '';
  }

  /** Takes the next bytes, `bytes[0, length)`; null: they don't tell yet. */
  push(bytes: Buffer, length: number): Spoken | null {
    if (this.total === 0 && this.carried.tls && bytes[0] === TLS_HANDSHAKE) this.hello = new HelloReader();
    this.total += length;
    const spoken =
      this.hello === null ? this.pushText(bytes, length) : this.pushHello(this.hello, bytes, length);
    return spoken === null && this.total > LIMITS.clientHelloBytes ? 'other' : spoken;
  }

  private pushHello(hello: HelloReader, bytes: Buffer, length: number): Spoken | null {
    const state = hello.push(bytes, 0, length);
    return state === 'more' ? null : state === 'whole' ? 'tls' : 'other';
  }

  private pushText(bytes: Buffer, length: number): Spoken | null {
    let at = 0;
    while (this.isPreface && at < length) {
      this.isPreface = bytes[at++] === PREFACE[this.prefaceBytes++];
      if (this.isPreface && this.prefaceBytes === PREFACE.length) return 'http2';
    }
    if (!this.carried.tcp) return this.isPreface ? null : this.part === null ? 'other' : 'http1';
    for (at = 0; at < length && this.part !== null; at++) {
      if (this.takeByte(bytes[at] as number)) return 'http1';
    }
    return this.isPreface || this.part !== null ? null : 'other';
  }

  /** One byte of what may be a request line (RFC 9112 section 3); true when it is one beyond doubt. */
  private takeByte(byte: number): boolean {
    switch (this.part) {
      case 'before': // Empty lines are skipped (RFC 9112 section 2.2).
        if ((byte === 0x0d || byte === 0x0a) && ++this.partBytes <= 2 * LIMITS.leadingEmptyLines) break;
        this.enter(isTokenByte(byte) ? 'method' : null);
        break;
      case 'method':
        if (byte === SPACE) this.enter('target');
        else if (!isTokenByte(byte)) this.part = null;
        break;
      case 'target':
        if (byte === SPACE) this.enter(this.partBytes > 0 ? 'version' : null);
        else if (byte < SPACE || byte === DELETE || ++this.partBytes > LIMITS.requestLineBytes)
          this.part = null;
        break;
      case 'version':
        if (byte !== VERSION[this.partBytes++]) this.part = null;
        else return this.partBytes === VERSION.length;
    }
    return false;
  }

  private enter(part: Part | null): void {
    this.part = part;
    this.partBytes = 0;
  }
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/;
const TOKENS = Uint8Array.from({ length: 256 }, (_, byte) => (TOKEN.test(String.fromCharCode(byte)) ? 1 : 0));

/** A byte of a method (RFC 9110 section 5.6.2). */
function isTokenByte(byte: number): boolean {
  return TOKENS[byte] === 1;
}
