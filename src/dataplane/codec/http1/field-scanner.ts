/**
 * One section of field lines (RFC 9112 section 5), headers or trailers, from bytes to offsets. One pass, byte
 * by byte, resumable at any byte: when the bytes run out the state is kept and the next call goes on where this
 * one stopped, so that a peer that sends a byte at a time costs no rescanning. Nothing is decoded here; the
 * caller slices the text once, when the section is complete.
 *
 * Offsets are relative to `base`, which the caller keeps the same for all calls of one section (it moves when the
 * bytes are moved, and the offsets stay). In a request a first line `Host` is left out of the spans: almost
 * every client sends it first, and it is the one field that is always written anew.
 */
import type { FailureKind } from '../../../base/index.ts';
import { H, nameIdOfBytes } from '../../../message/index.ts';
import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, showByte, TOKEN } from './bytes.ts';

/** `scan` answers this when the bytes ran out, and REFUSED when `kind` says why. */
export const MORE = -1;
export const REFUSED = -2;

const LINE = 0;
const NAME = 1;
const SPACE = 2;
const VALUE = 3;
const LINE_END = 4;
const SECTION_END = 5;

export class FieldScanner {
  /** As HeaderList takes them, relative to `textStart`. A new array for every section. */
  spans: number[] = [];
  ids: number[] = [];
  /** Where the text of the lines in `spans` starts: after a first line `Host`. */
  textStart = 0;
  /** Where that text ends: before the empty line. */
  textEnd = 0;
  /** Value of a first line `Host`; hostStart is -1 when the first line was another. */
  hostStart = -1;
  hostEnd = -1;
  kind: FailureKind | null = null;
  detail = '';
  private readonly countLimit: number;
  private readonly takesHost: boolean;
  private phase = LINE;
  private nameStart = 0;
  private nameEnd = 0;
  private valueStart = 0;
  private id = 0;

  /** `takesHost`: a first line `Host` is left out of the spans and reported apart. */
  constructor(countLimit: number, takesHost: boolean) {
    this.countLimit = countLimit;
    this.takesHost = takesHost;
  }

  /** Begins a section whose first line is at offset `start` from `base`. */
  begin(start: number): void {
    this.spans = [];
    this.ids = [];
    this.textStart = start;
    this.hostStart = -1;
    this.kind = null;
    this.detail = '';
    this.phase = LINE;
  }

  /** Scans `bytes[at, end)`. Returns where the section ended (after its empty line), MORE or REFUSED. */
  scan(bytes: Buffer, from: number, end: number, base: number): number {
    let at = from;
    let phase = this.phase;
    let nameStart = this.nameStart;
    let nameEnd = this.nameEnd;
    let valueStart = this.valueStart;
    let id = this.id;
    for (;;) {
      if (phase === LINE) {
        at = this.scanLines(bytes, at, end, base);
        if (at === end) break;
        if (bytes[at] === CR) {
          this.textEnd = at - base;
          at++;
          phase = SECTION_END;
        } else {
          nameStart = at - base;
          phase = NAME;
        }
      }
      if (phase === NAME) {
        while (at < end && TOKEN[bytes[at]] === 1) at++;
        if (at === end) break;
        nameEnd = at - base;
        if (bytes[at] !== COLON || nameEnd === nameStart) return this.refuseName(bytes, base + nameStart, at);
        id = nameIdOfBytes(bytes, base + nameStart, at);
        at++;
        phase = SPACE;
      }
      if (phase === SPACE) {
        while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
        if (at === end) break;
        valueStart = at - base;
        phase = VALUE;
      }
      if (phase === VALUE) {
        while (at < end && FIELD_VALUE[bytes[at]] === 1) at++;
        if (at === end) break;
        if (bytes[at] !== CR) return this.refuseValue(bytes, base + nameStart, base + nameEnd, at);
        at++;
        phase = LINE_END;
      }
      if (phase === LINE_END) {
        if (at === end) break;
        if (bytes[at] !== LF) return this.refuse('bare-cr', 'CR without LF in a field line');
        let valueEnd = at - 1;
        const least = base + valueStart;
        while (valueEnd > least && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;
        at++;
        if (!this.add(id, nameStart, nameEnd, valueStart, valueEnd - base, at - base)) return REFUSED;
        phase = LINE;
      }
      if (phase === SECTION_END) {
        if (at === end) break;
        if (bytes[at] === LF) return at + 1;
        return this.refuse('bare-cr', 'CR without LF where the section should end');
      }
    }
    this.phase = phase;
    this.nameStart = nameStart;
    this.nameEnd = nameEnd;
    this.valueStart = valueStart;
    this.id = id;
    return MORE;
  }

  /**
   * The usual case apart, which halves the time: whole lines without faults. Returns the start of the first line
   * that is something else, and the state machine takes it from there.
   */
  private scanLines(bytes: Buffer, from: number, end: number, base: number): number {
    const { spans, ids } = this;
    let text = base + this.textStart;
    let at = from;
    for (;;) {
      const start = at;
      while (at < end && TOKEN[bytes[at]] === 1) at++;
      const nameEnd = at++;
      if (at >= end || nameEnd === start || bytes[nameEnd] !== COLON) return start;
      while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
      const valueStart = at;
      for (; at < end; at++) {
        // FIELD_VALUE as comparisons: here one of them decides nearly every time, and is faster than a load.
        const byte = bytes[at];
        if ((byte - 0x20) >>> 0 >= 0x5f && byte < 0x80 && byte !== HTAB) break;
      }
      let valueEnd = at++;
      if (at >= end || bytes[valueEnd] !== CR || bytes[at] !== LF) return start;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB))
        valueEnd--;
      const id = nameIdOfBytes(bytes, start, nameEnd);
      // A field too many is the state machine's business.
      if (ids.length >= this.countLimit) return start;
      at++;
      if (id === H_HOST && ids.length === 0 && this.takesHost && this.hostStart < 0) {
        this.takeHost(valueStart - base, valueEnd - base, at - base);
        text = at;
      } else {
        ids.push(id);
        spans.push(start - text, nameEnd - text, valueStart - text, valueEnd - text);
      }
    }
  }

  /** Takes a field whose line ends at `after`; false when it is one too many. All offsets are from base. */
  private add(
    id: number,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    after: number,
  ): boolean {
    const { spans, ids } = this;
    if (id === H_HOST && ids.length === 0 && this.takesHost && this.hostStart < 0) {
      this.takeHost(valueStart, valueEnd, after);
      return true;
    }
    if (ids.length >= this.countLimit) {
      this.refuse('headers-too-large', `more than ${this.countLimit} fields`);
      return false;
    }
    const { textStart } = this;
    spans.push(nameStart - textStart, nameEnd - textStart, valueStart - textStart, valueEnd - textStart);
    ids.push(id);
    return true;
  }

  private takeHost(valueStart: number, valueEnd: number, after: number): void {
    this.hostStart = valueStart;
    this.hostEnd = valueEnd;
    this.textStart = after;
  }

  private refuse(kind: FailureKind, detail: string): number {
    this.kind = kind;
    this.detail = detail;
    return REFUSED;
  }

  /** Says what is wrong with a line whose name starts at `start` and breaks at `at`. */
  private refuseName(bytes: Buffer, start: number, at: number): number {
    const byte = bytes[at];
    const name = bytes.toString('latin1', start, Math.min(at, start + SHOWN));
    if (byte === LF) return this.refuse('bare-lf', at === start ? 'empty line' : `after ${name}`);
    if (byte === SP || byte === HTAB) {
      // RFC 9112 section 2.2 (before the first field) and 5.2 (folding), 5.1 (before the colon).
      if (at === start) return this.refuse('obs-fold', 'a field line begins with white space');
      return this.refuse('space-before-colon', `after ${name}`);
    }
    if (byte === COLON) return this.refuse('bad-header', 'empty field name');
    if (byte === CR) return this.refuse('bad-header', `no colon after ${name}`);
    const kind = byte < SP || byte === 0x7f ? 'control-byte' : 'bad-header';
    return this.refuse(kind, `${showByte(byte)} in the field name after "${name}"`);
  }

  private refuseValue(bytes: Buffer, nameStart: number, nameEnd: number, at: number): number {
    const name = bytes.toString('latin1', nameStart, Math.min(nameEnd, nameStart + SHOWN));
    if (bytes[at] === LF) return this.refuse('bare-lf', `in the line of ${name}`);
    return this.refuse('control-byte', `${showByte(bytes[at])} in the value of ${name}`);
  }
}

const H_HOST = H.host;
/** How much of a peer's text a detail repeats. */
const SHOWN = 32;
