/**
 * The request line: method SP request-target SP HTTP-version CRLF (RFC 9112 section 3), with exactly one space in
 * each place. The section lets a recipient split on any white space; two hops that do it differently see two
 * targets, so this one does not. Every HTTP/1.x above 1.1 is read as 1.1 (RFC 9110 section 2.5).
 */
import type { FailureKind } from '../../../base/index.ts';
import { CR, LF, SP, showByte, TARGET, TOKEN } from './bytes.ts';
import { MORE, REFUSED } from './field-scanner.ts';
import type { StartLine } from './section-reader.ts';

const METHOD = 0;
const TARGET_PART = 1;
const VERSION = 2;

/** `HTTP/d.d CRLF`; 0 stands for a digit. */
export const VERSION_PATTERN: Uint8Array = Uint8Array.from([
  0x48,
  0x54,
  0x54,
  0x50,
  0x2f,
  0,
  0x2e,
  0,
  CR,
  LF,
]);

export class RequestLine implements StartLine {
  /** Offsets from base: the method is [0, methodEnd), the target [methodEnd + 1, targetEnd). */
  methodEnd = 0;
  targetEnd = 0;
  /** 0 or 1. */
  minor = 1;
  kind: FailureKind | null = null;
  detail = '';
  private phase = METHOD;

  begin(): void {
    this.phase = METHOD;
  }

  scan(bytes: Buffer, from: number, end: number, base: number): number {
    let at = from;
    if (this.phase === METHOD) {
      while (at < end && TOKEN[bytes[at]] === 1) at++;
      if (at === end) return MORE;
      if (bytes[at] !== SP || at === base) return this.refuseByte(bytes[at], 'method');
      this.methodEnd = at - base;
      this.phase = TARGET_PART;
      at++;
    }
    if (this.phase === TARGET_PART) {
      while (at < end && TARGET[bytes[at]] === 1) at++;
      if (at === end) return MORE;
      this.targetEnd = at - base;
      if (bytes[at] !== SP) return this.refuseByte(bytes[at], 'target');
      if (this.targetEnd === this.methodEnd + 1) return this.refuse('bad-request-line', 'empty target');
      this.phase = VERSION;
      at++;
    }
    return this.scanVersion(bytes, base + this.targetEnd + 1, end, base);
  }

  /** From the version's first byte every time: it is ten bytes long. */
  private scanVersion(bytes: Buffer, start: number, end: number, base: number): number {
    const known = Math.min(end - start, VERSION_PATTERN.length);
    for (let i = 0; i < known; i++) {
      const byte = bytes[start + i];
      const wanted = VERSION_PATTERN[i];
      if (wanted === 0 ? byte >= 0x30 && byte <= 0x39 : byte === wanted) continue;
      if (byte === LF) return this.refuse('bare-lf', 'the request line ends with LF alone');
      if (i === 9) return this.refuse('bare-cr', 'CR without LF in the request line');
      return this.refuse('bad-request-line', `${showByte(byte)} in the HTTP version`);
    }
    if (known < VERSION_PATTERN.length) return MORE;
    if (bytes[start + 5] !== 0x31) return this.refuseVersion(bytes, start, base);
    this.minor = bytes[start + 7] === 0x30 ? 0 : 1;
    return start + VERSION_PATTERN.length;
  }

  private refuseVersion(bytes: Buffer, start: number, base: number): number {
    const preface = bytes.toString('latin1', base, base + this.methodEnd) === 'PRI';
    return this.refuse(
      'version-not-supported',
      preface
        ? 'HTTP/2 with prior knowledge on an HTTP/1.1 port'
        : bytes.toString('latin1', start, start + 8),
    );
  }

  private refuseByte(byte: number, where: string): number {
    if (byte === LF) return this.refuse('bare-lf', 'in the request line');
    if (byte === CR) return this.refuse('bad-request-line', 'no HTTP version; HTTP/0.9 is not spoken');
    if (where === 'method') return this.refuse('bad-request-line', `${showByte(byte)} in the method`);
    return this.refuse('bad-target', byte === 0x23 ? 'a fragment (#)' : `${showByte(byte)} in the target`);
  }

  private refuse(kind: FailureKind, detail: string): number {
    this.kind = kind;
    this.detail = detail;
    return REFUSED;
  }
}
