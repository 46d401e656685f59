/**
 * Reads a head (start line and field lines) or a trailer section, however it is cut into reads. A section that
 * lies whole in one read is scanned where it is and never copied; otherwise its beginning is kept in a bounded
 * buffer and scanning goes on there. Both limits are enforced before a byte beyond them is looked at.
 */
import type { FailureKind } from '../../../base/index.ts';
import { type FieldScanner, MORE, REFUSED } from './field-scanner.ts';
import { HeadBuffer } from './head-buffer.ts';

/** A scanner of start lines: request line or status line. Resumable like FieldScanner, and like it `base`-relative. */
export interface StartLine {
  readonly kind: FailureKind | null;
  readonly detail: string;
  begin(): void;
  /** Returns the position after the line, MORE or REFUSED. */
  scan(bytes: Buffer, from: number, end: number, base: number): number;
}

export interface SectionLimits {
  readonly lineBytes: number;
  readonly tooLongLine: FailureKind;
  readonly fieldBytes: number;
}

export class SectionReader {
  readonly fields: FieldScanner;
  kind: FailureKind | null = null;
  detail = '';
  private readonly line: StartLine | null;
  private readonly limits: SectionLimits;
  private readonly held = new HeadBuffer();
  private inLine = false;
  private fieldsStart = 0;
  private source: Buffer | null = null;
  private base = 0;

  constructor(line: StartLine | null, fields: FieldScanner, limits: SectionLimits) {
    this.line = line;
    this.fields = fields;
    this.limits = limits;
  }

  begin(): void {
    this.fieldsStart = 0;
    if (this.line === null) this.fields.begin(0);
    else {
      this.inLine = true;
      this.line.begin();
    }
  }

  /** Returns the position after the section, or MORE when all bytes were taken, or REFUSED. */
  read(bytes: Buffer, start: number, end: number): number {
    const { held } = this;
    const before = held.length;
    if (before === 0) {
      const stop = this.scan(bytes, start, end, start);
      if (stop === MORE) held.append(bytes, start, end);
      else if (stop >= 0) this.keepSource(bytes, start);
      return stop;
    }
    const room = this.limits.lineBytes + this.limits.fieldBytes - before;
    held.append(bytes, start, Math.min(end, start + room));
    const stop = this.scan(held.bytes, before, held.length, 0);
    if (stop < 0) return stop;
    this.keepSource(held.bytes, 0);
    held.clear();
    return start + stop - before;
  }

  /** Whether `word`, which is not empty, stands at offsets [start, end) of the section; before `takeText`. */
  isAt(word: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (word.length !== length || length === 0) return false;
    const source = this.source as Buffer;
    const from = this.base + start;
    for (let i = 0; i < length; i++) if (source[from + i] !== word[i]) return false;
    return true;
  }

  /** The whole section as latin1 text, start line included, without the empty line; once, after `read` ended. */
  takeText(): string {
    const source = this.source as Buffer;
    this.source = null;
    return source.toString('latin1', this.base, this.base + this.fields.textEnd);
  }

  /** Gives back what is held of an unfinished section. */
  drop(): void {
    this.held.clear();
    this.source = null;
  }

  private keepSource(bytes: Buffer, base: number): void {
    this.source = bytes;
    this.base = base;
  }

  private scan(bytes: Buffer, start: number, end: number, base: number): number {
    let from = start;
    const { line, limits, fields } = this;
    if (line !== null && this.inLine) {
      const limit = base + limits.lineBytes;
      const stop = line.scan(bytes, from, Math.min(end, limit), base);
      if (stop === REFUSED) return this.refuse(line.kind as FailureKind, line.detail);
      if (stop === MORE)
        return end < limit ? MORE : this.refuse(limits.tooLongLine, `more than ${limits.lineBytes} bytes`);
      this.inLine = false;
      this.fieldsStart = stop - base;
      fields.begin(this.fieldsStart);
      from = stop;
    }
    const limit = base + this.fieldsStart + limits.fieldBytes;
    const stop = fields.scan(bytes, from, Math.min(end, limit), base);
    if (stop === REFUSED) return this.refuse(fields.kind as FailureKind, fields.detail);
    if (stop === MORE && end >= limit)
      return this.refuse('headers-too-large', `more than ${limits.fieldBytes} bytes`);
    return stop;
  }

  private refuse(kind: FailureKind, detail: string): number {
    this.kind = kind;
    this.detail = detail;
    return REFUSED;
  }
}
