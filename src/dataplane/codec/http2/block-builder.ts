/**
 * Puts the fields of a block together: their lines in one buffer, which all decoders of a worker use in turn, their
 * offsets in arrays. Keeps the limits: what is beyond them is counted and not kept.
 */
import { H } from '../../../message/index.ts';
import { HEADER_TABLE_DEFAULT } from './codes.ts';
import { copyBytes } from './decoder-table.ts';
import { HeaderBlock, type PseudoFields } from './header-block.ts';
import { EDGE_SPACE, NOT_IN_NAME } from './octets.ts';
import {
  PSEUDO,
  PSEUDO_NAMES,
  STATIC_IDS,
  STATIC_LINES,
  STATIC_NAME_LENGTHS,
  STATIC_STARTS,
  STATIC_VALUE_LENGTHS,
  STATIC_VALUES,
} from './static-table.ts';

export interface HeaderLimits {
  /** Sum of the fields' lengths, 32 added for each, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  readonly listBytes: number;
  /** Fields without pseudo-header fields; all crumbs of a cookie are one. */
  readonly fieldCount: number;
}

/**
 * What one block may take out of the dynamic table. A list that names each entry once stays below the table's size; one
 * byte that repeats a large entry over and over (HPACK bomb, CVE-2026-47774) would be sixty thousand bytes here.
 */
export const COPIED_BYTES_MAX = 2 * HEADER_TABLE_DEFAULT;
const FIRST_BYTES = 4 * 1024;
/** The four bytes that are no part of name or value, and what a decoder may write beyond its text. */
const SLACK = 16;

/** The buffer in which lines are made; nothing stays in it between two blocks. */
class Scratch {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);

  /** Makes room up to `length`. The caller has bounded it: a list's limit and twice a block. */
  reserve(length: number): void {
    if (length + SLACK <= this.bytes.length) return;
    let capacity = this.bytes.length;
    while (capacity < length + SLACK) capacity *= 2;
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(grown);
    this.bytes = grown;
  }

  copy(from: Buffer, start: number, to: number, length: number): void {
    this.reserve(to + length);
    copyBytes(from, start, this.bytes, to, length);
  }
}

export const scratch = new Scratch();

/** Of the block that is being read, like the scratch buffer; the block gets a copy of the right size. */
const spans: number[] = [];
const ids: number[] = [];

const PLACES = PSEUDO_NAMES.length;
const NONE: PseudoFields = {
  method: null,
  scheme: null,
  authority: null,
  path: null,
  status: null,
  protocol: null,
};

export class BlockBuilder {
  /** Places of fields that are never to be indexed. */
  private sensitive: number[] | null = null;
  /** Bytes of the scratch buffer that are taken. */
  length = 0;
  private readonly limits: HeaderLimits;
  /** Fields so far, in `spans` and `ids`. */
  count = 0;
  /** Where the first line that is no pseudo-header field begins. */
  private textStart = 0;
  private listBytes = 0;
  private copiedBytes = 0;
  private tooLarge = '';
  private fault = '';
  private cookies = 0;
  /** As the limit counts them. */
  private fields = 0;
  private pseudoCount = 0;
  /** Per pseudo-header field: a value from the static table, or offsets of one in the scratch buffer. */
  private readonly known: (string | null)[] = new Array(PLACES).fill(null);
  private readonly starts: number[] = new Array(PLACES).fill(-1);
  private readonly ends: number[] = new Array(PLACES).fill(-1);

  constructor(limits: HeaderLimits) {
    this.limits = limits;
  }

  begin(): void {
    this.count = 0;
    this.length = 0;
    this.textStart = 0;
    this.listBytes = 0;
    this.copiedBytes = 0;
    this.tooLarge = '';
    this.fault = '';
    this.cookies = 0;
    this.fields = 0;
    this.sensitive = null;
    if (this.pseudoCount > 0) {
      this.pseudoCount = 0;
      this.known.fill(null);
      this.starts.fill(-1);
    }
  }

  /** Adds an entry of the static table. */
  addStatic(index: number): void {
    const id = STATIC_IDS[index];
    const nameLength = STATIC_NAME_LENGTHS[index];
    const valueLength = STATIC_VALUE_LENGTHS[index];
    if (id < PSEUDO) this.addLine(STATIC_LINES, STATIC_STARTS[index], nameLength, valueLength, id, 0);
    else if (this.fits(nameLength, valueLength) && this.isPlaceFree(id))
      this.known[id - PSEUDO] = STATIC_VALUES[index] as string;
  }

  /** So many bytes of the next line come out of the dynamic table. False: the block is a bomb. */
  noteCopied(bytes: number): boolean {
    this.copiedBytes += bytes;
    return this.copiedBytes <= COPIED_BYTES_MAX;
  }

  /** Adds a line from elsewhere. */
  addLine(
    from: Buffer,
    start: number,
    nameLength: number,
    valueLength: number,
    id: number,
    facts: number,
  ): void {
    if (this.tooLarge !== '' || !this.fits(nameLength, valueLength)) return;
    scratch.copy(from, start, this.length, nameLength + valueLength + 4);
    this.take(nameLength, valueLength, id, facts);
  }

  /** Adds the line that stands in the scratch buffer at `length`. */
  addInPlace(nameLength: number, valueLength: number, id: number, facts: number): void {
    if (this.tooLarge === '' && this.fits(nameLength, valueLength))
      this.take(nameLength, valueLength, id, facts);
  }

  /** The line added last is never to be indexed. */
  noteSensitive(): void {
    this.sensitive ??= [];
    this.sensitive.push(this.count - 1);
  }

  finish(): HeaderBlock {
    const { length, textStart } = this;
    const all = length === 0 ? '' : scratch.bytes.toString('latin1', 0, length);
    const pseudo = this.pseudoCount === 0 ? NONE : this.pseudoFields(all);
    const { count } = this;
    const first = count === 0 ? length : textStart;
    const text = first === 0 ? all : all.slice(first);
    const block = new HeaderBlock(
      pseudo,
      text,
      spans.slice(0, 4 * count),
      ids.slice(0, count),
      this.tooLarge,
      this.fault,
    );
    block.pathRoom = this.limits.listBytes - this.listBytes + (pseudo.path?.length ?? 0);
    if (this.sensitive !== null) block.markSensitive(this.sensitive);
    if (this.cookies > 1) block.joinCookies();
    return block;
  }

  private take(nameLength: number, valueLength: number, id: number, facts: number): void {
    const start = this.length;
    const valueStart = start + nameLength + 2;
    if (facts !== 0) this.note(facts, start, nameLength);
    if (id >= PSEUDO) {
      if (!this.isPlaceFree(id)) return;
      this.starts[id - PSEUDO] = valueStart;
      this.ends[id - PSEUDO] = valueStart + valueLength;
      this.length = valueStart + valueLength + 2;
      return;
    }
    const { count, limits } = this;
    if (count === 0) this.textStart = start;
    // The crumbs of a cookie are one field in the end: browsers send many, and their bytes have a limit too.
    if (id !== H_COOKIE || this.cookies === 0) this.fields++;
    if (id === H_COOKIE) this.cookies++;
    if (this.fields > limits.fieldCount) {
      this.tooLarge = `more than ${limits.fieldCount} fields`;
      return;
    }
    const base = this.textStart;
    ids[count] = id;
    spans[4 * count] = start - base;
    spans[4 * count + 1] = start - base + nameLength;
    spans[4 * count + 2] = valueStart - base;
    spans[4 * count + 3] = valueStart - base + valueLength;
    this.count = count + 1;
    this.length = valueStart + valueLength + 2;
  }

  private fits(nameLength: number, valueLength: number): boolean {
    this.listBytes += nameLength + valueLength + 32;
    if (this.listBytes <= this.limits.listBytes) return true;
    this.tooLarge = `more than ${this.limits.listBytes} bytes`;
    return false;
  }

  /** RFC 9113 section 8.3: pseudo-header fields come first, and once each. */
  private isPlaceFree(id: number): boolean {
    const place = id - PSEUDO;
    let fault = '';
    if (this.count > 0) fault = `${PSEUDO_NAMES[place]} after a field`;
    else if (this.known[place] !== null || this.starts[place] >= 0) fault = `${PSEUDO_NAMES[place]} twice`;
    if (fault === '') {
      this.pseudoCount++;
      return true;
    }
    if (this.fault === '') this.fault = fault;
    return false;
  }

  private note(facts: number, start: number, nameLength: number): void {
    if (this.fault !== '') return;
    const shown = scratch.bytes.toString('latin1', start, start + Math.min(nameLength, SHOWN));
    if ((facts & NOT_IN_NAME) !== 0)
      this.fault = shown.startsWith(':')
        ? `unknown pseudo-header field "${shown}"`
        : `field name "${shown}" is empty, or not in lower case, or holds what no token does`;
    else if ((facts & EDGE_SPACE) !== 0) this.fault = `white space around the value of ${shown}`;
    else this.fault = `a control byte in the value of ${shown}`;
  }

  private pseudoFields(all: string): PseudoFields {
    return {
      method: this.valueAt(all, 0),
      scheme: this.valueAt(all, 1),
      authority: this.valueAt(all, 2),
      path: this.valueAt(all, 3),
      status: this.valueAt(all, 4),
      protocol: this.valueAt(all, 5),
    };
  }

  private valueAt(all: string, place: number): string | null {
    const start = this.starts[place];
    return start < 0 ? this.known[place] : all.slice(start, this.ends[place]);
  }
}

const H_COOKIE = H.cookie;
/** How much of a peer's text a fault repeats. */
const SHOWN = 32;
