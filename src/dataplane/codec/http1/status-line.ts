/**
 * The status line: HTTP-version SP status-code SP [ reason-phrase ] CRLF (RFC 9112 section 4). The space after
 * the code is obligatory for senders, but servers leave it out together with the reason, and nothing hangs on
 * it, so that it may be missing.
 */
import type { FailureKind } from '../../../base/index.ts';
import { CR, FIELD_VALUE, LF, SP, showByte, TLS_ALERT, TLS_HANDSHAKE } from './bytes.ts';
import { MORE, REFUSED } from './field-scanner.ts';
import { VERSION_PATTERN } from './request-line.ts';
import type { StartLine } from './section-reader.ts';

const CODE = 0;
const REASON = 1;
const END = 2;
/** `HTTP/d.d SP ddd`. */
const PREFIX_BYTES = 12;

export class StatusLine implements StartLine {
  /** 0 or 1. */
  minor = 1;
  status = 0;
  /** Offsets from base; equal when there is no reason. */
  reasonStart = 0;
  reasonEnd = 0;
  kind: FailureKind | null = null;
  detail = '';
  private phase = CODE;

  begin(): void {
    this.phase = CODE;
  }

  scan(bytes: Buffer, from: number, end: number, base: number): number {
    let at = from;
    if (this.phase === CODE) {
      const found = this.scanCode(bytes, base, end);
      if (found < 0) return found;
      at = found;
      this.phase = REASON;
    }
    if (this.phase === REASON) {
      while (at < end && FIELD_VALUE[bytes[at]] === 1) at++;
      if (at === end) return MORE;
      if (bytes[at] === LF) return this.refuse('bare-lf', 'the status line ends with LF alone');
      if (bytes[at] !== CR) return this.refuse('control-byte', `${showByte(bytes[at])} in the reason phrase`);
      this.reasonEnd = at - base;
      this.phase = END;
      at++;
    }
    if (at === end) return MORE;
    if (bytes[at] !== LF) return this.refuse('bare-cr', 'CR without LF in the status line');
    return at + 1;
  }

  /** From the first byte every time: the code's end is the 13th. Returns where the reason begins. */
  private scanCode(bytes: Buffer, base: number, end: number): number {
    const known = Math.min(end - base, PREFIX_BYTES);
    for (let i = 0; i < known; i++) {
      const byte = bytes[base + i];
      const wanted = i < 8 ? VERSION_PATTERN[i] : i === 8 ? SP : 0;
      if (wanted === 0 ? byte >= 0x30 && byte <= 0x39 : byte === wanted) continue;
      if (i < 5) return this.refuse('bad-request-line', notHttp(bytes[base]));
      return this.refuse('bad-request-line', `${showByte(byte)} in the status line`);
    }
    if (end - base <= PREFIX_BYTES) return MORE;
    if (bytes[base + 5] !== 0x31)
      return this.refuse('version-not-supported', bytes.toString('latin1', base, base + 8));
    this.minor = bytes[base + 7] === 0x30 ? 0 : 1;
    this.status = (bytes[base + 9] - 0x30) * 100 + (bytes[base + 10] - 0x30) * 10 + (bytes[base + 11] - 0x30);
    if (this.status < 100) return this.refuse('bad-request-line', `status ${this.status}`);
    const next = bytes[base + PREFIX_BYTES];
    const reason = next === SP ? PREFIX_BYTES + 1 : PREFIX_BYTES;
    if (next !== SP && next !== CR && next !== LF)
      return this.refuse('bad-request-line', `${showByte(next)} after the status code`);
    this.reasonStart = reason;
    return base + reason;
  }

  private refuse(kind: FailureKind, detail: string): number {
    this.kind = kind;
    this.detail = detail;
    return REFUSED;
  }
}

/** What the first byte of an answer that is not HTTP tells. */
function notHttp(first: number): string {
  if (first === TLS_ALERT || first === TLS_HANDSHAKE)
    return 'the endpoint speaks TLS; give the service a tls section';
  if (first === 0) return 'the endpoint seems to speak HTTP/2; set protocol: http2 on the service';
  return 'the answer does not begin with HTTP/';
}
