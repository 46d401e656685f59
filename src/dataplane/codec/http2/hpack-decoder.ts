/**
 * HPACK decoder (RFC 7541). One pass from a block's bytes to what a HeaderList is made of: lines are put together in
 * one buffer, straight from the tables or the Huffman code, and become one string at the end.
 *
 * A fault of HPACK ends the connection: the tables of the two sides differ from then on. So does a bomb (CVE-2016-6581),
 * which nobody sends by mistake. A block over the limits does not: it is read to its end for the sake of the table,
 * fields beyond the limit cost about 10 ns each and no memory, and the block says that it is too large. Whether the fields make sense is `field-rules.ts`'s affair.
 */
import { nameIdOfBytes } from '../../../message/index.ts';
import { BlockBuilder, COPIED_BYTES_MAX, type HeaderLimits, scratch } from './block-builder.ts';
import { BlockCache } from './block-cache.ts';
import { ERROR, type ErrorCode } from './codes.ts';
import { DecoderTable } from './decoder-table.ts';
import { isPath, isRequest } from './field-rules.ts';
import type { HeaderBlock } from './header-block.ts';
import { decodedFacts, huffmanDecode } from './huffman.ts';
import { EDGE_SPACE, NOT_IN_NAME, NOT_IN_VALUE, OCTETS } from './octets.ts';
import {
  fieldIdOf,
  STATIC_COUNT,
  STATIC_IDS,
  STATIC_LINES,
  STATIC_NAME_LENGTHS,
  STATIC_STARTS,
} from './static-table.ts';

export class HpackDecoder {
  /** Why `decode` returned null. */
  error = '';
  /** What the connection ends with then. */
  code: ErrorCode = ERROR.compressionError;
  private readonly table: DecoderTable;
  private readonly block: BlockBuilder;
  private readonly cache = new BlockCache();
  /** SETTINGS_HEADER_TABLE_SIZE as the peer has acknowledged it. */
  private tableLimit: number;
  /**
   * Our setting went below the table's size: the next block must begin with an update to this at most (RFC 7541
   * section 4.2). -1: none is due.
   */
  private due = -1;
  private tableSize: number;
  /** Cursor in the block after a helper has read. */
  private at = 0;
  private facts = 0;

  constructor(limits: HeaderLimits, tableLimit: number) {
    this.tableLimit = tableLimit;
    this.tableSize = tableLimit;
    this.table = new DecoderTable(tableLimit);
    this.block = new BlockBuilder(limits);
  }

  /** Our SETTINGS_HEADER_TABLE_SIZE, once the peer has acknowledged it. */
  setTableLimit(bytes: number): void {
    this.tableLimit = bytes;
    if (bytes < this.tableSize && (this.due < 0 || bytes < this.due)) this.due = bytes;
    this.cache.clear();
  }

  /**
   * Decodes the whole block in `bytes[start, end)`. Null: COMPRESSION_ERROR for the connection, `error` says why; the
   * decoder is of no use after that.
   */
  decode(bytes: Buffer, start: number, end: number): HeaderBlock | null {
    if (this.error !== '') return null;
    if (this.due < 0) {
      const known = this.cache.find(bytes, start, end);
      if (known !== null && !this.cache.hasPath) return known;
      const made = known === null ? null : this.withPath(known, bytes);
      if (made !== null) return made;
      if (this.error !== '') return null;
    }
    const { block } = this;
    block.begin();
    let at = this.readUpdates(bytes, start, end);
    if (at < 0) return null;
    let changed = at > start;
    while (at < end) {
      const byte = bytes[at++];
      if (byte >= 0x80) {
        let index = byte & 0x7f;
        if (index === 0x7f) {
          index = this.readInteger(bytes, at, end, 0x7f);
          if (index < 0) return null;
          at = this.at;
        }
        if (index > STATIC_COUNT) {
          const { table } = this;
          if (!table.find(index - STATIC_COUNT - 1)) return this.fail(`no entry ${index}`);
          const { nameLength, valueLength } = table;
          if (!block.noteCopied(nameLength + valueLength)) return this.fail(this.bomb());
          block.addLine(table.lines, table.start, nameLength, valueLength, table.id, table.facts);
        } else if (index === 0) return this.fail('index 0');
        else block.addStatic(index);
      } else if (byte >= 0x40) {
        at = this.readLiteral(bytes, at, end, byte & 0x3f, 0x3f, true);
        if (at < 0) return null;
        changed = true;
      } else if (byte >= 0x20) return this.fail('a table size update after a field');
      else {
        // Never indexed (0x10) or only not now: this decoder indexes neither.
        const { count } = block;
        at = this.readLiteral(bytes, at, end, byte & 0x0f, 0x0f, false);
        if (at < 0) return null;
        if (byte >= 0x10 && block.count > count) block.noteSensitive();
      }
    }
    const made = block.finish();
    if (changed) this.cache.clear();
    else this.cache.offer(bytes, start, end, made);
    return made;
  }

  /** A block out of the cache with the path that stands in these bytes; null: it has to be decoded as a whole. */
  private withPath(known: HeaderBlock, bytes: Buffer): HeaderBlock | null {
    const { pathStart, pathEnd } = this.cache;
    if (!isRequest(known)) return null;
    this.at = pathStart;
    const stop = this.readString(bytes, pathEnd, 0);
    if (stop < 0 || stop > known.pathRoom || !isPath(scratch.bytes, 0, stop)) return null;
    return known.withPath(scratch.bytes.toString('latin1', 0, stop));
  }

  /** Table size updates at the start of a block: two at most, the lowest size and the last (RFC 7541 section 4.2). */
  private readUpdates(bytes: Buffer, start: number, end: number): number {
    let at = start;
    for (let updates = 0; at < end && (bytes[at] & 0xe0) === 0x20; updates++) {
      if (updates === 2) return this.refuse('more than two table size updates');
      let size = bytes[at++] & 0x1f;
      if (size === 0x1f) {
        size = this.readInteger(bytes, at, end, 0x1f);
        if (size < 0) return -1;
        at = this.at;
      }
      if (size > this.tableLimit) return this.refuse(`table size ${size} above ${this.tableLimit}`);
      this.tableSize = size;
      this.table.resize(size);
      if (size <= this.due) this.due = -1;
      else if (this.due >= 0) break;
    }
    // An empty block has no place for it: Go's encoder then says so in the next one.
    if (this.due >= 0 && start < end)
      return this.refuse('no table size update although the setting was lowered');
    return at;
  }

  /** A literal whose first byte has been read; `low` are its bits of the name's index. Returns where it ends, or -1. */
  private readLiteral(
    bytes: Buffer,
    from: number,
    end: number,
    low: number,
    prefix: number,
    indexing: boolean,
  ): number {
    const { block } = this;
    const start = block.length;
    this.at = from;
    let index = low;
    if (low === prefix) {
      index = this.readInteger(bytes, from, end, prefix);
      if (index < 0) return -1;
    }
    let nameLength: number;
    let id: number;
    let facts: number;
    if (index === 0) {
      const stop = this.readString(bytes, end, start);
      if (stop < 0) return -1;
      nameLength = stop - start;
      facts = this.facts & NOT_IN_NAME;
      id = nameIdOfBytes(scratch.bytes, start, stop);
      if (nameLength === 0) facts = NOT_IN_NAME;
      else if (scratch.bytes[start] === COLON) {
        id = fieldIdOf(scratch.bytes.toString('latin1', start, stop));
        if (id > 0) facts = 0;
      }
    } else if (index <= STATIC_COUNT) {
      nameLength = STATIC_NAME_LENGTHS[index];
      id = STATIC_IDS[index];
      facts = 0;
      scratch.copy(STATIC_LINES, STATIC_STARTS[index], start, nameLength);
    } else {
      const { table } = this;
      if (!table.find(index - STATIC_COUNT - 1)) return this.refuse(`no entry ${index}`);
      nameLength = table.nameLength;
      id = table.id;
      facts = table.facts & NOT_IN_NAME;
      if (!block.noteCopied(nameLength)) return this.refuse(this.bomb());
      scratch.copy(table.lines, table.start, start, nameLength);
    }
    const valueStart = start + nameLength + 2;
    const stop = this.readString(bytes, end, valueStart);
    if (stop < 0) return -1;
    const line = scratch.bytes;
    line[valueStart - 2] = COLON;
    line[valueStart - 1] = SP;
    line[stop] = CR;
    line[stop + 1] = LF;
    facts |= this.facts & NOT_IN_VALUE;
    if (stop > valueStart && (isSpace(line[valueStart]) || isSpace(line[stop - 1]))) facts |= EDGE_SPACE;
    const valueLength = stop - valueStart;
    if (indexing) this.table.add(line, start, nameLength, valueLength, id, facts);
    block.addInPlace(nameLength, valueLength, id, facts);
    return this.at;
  }

  /** Reads a string at the cursor to `to` in the scratch buffer, facts to `facts`. Returns where its text ends, or -1. */
  private readString(bytes: Buffer, end: number, to: number): number {
    let { at } = this;
    if (at >= end) return this.refuse('the block ends before a string');
    const first = bytes[at++];
    let length = first & 0x7f;
    if (length === 0x7f) {
      length = this.readInteger(bytes, at, end, 0x7f);
      if (length < 0) return -1;
      at = this.at;
    }
    if (length > end - at) return this.refuse('a string reaches beyond the block');
    this.at = at + length;
    scratch.reserve(to + 2 * length);
    const out = scratch.bytes;
    if (first >= 0x80) {
      const stop = huffmanDecode(bytes, at, at + length, out, to);
      this.facts = decodedFacts;
      return stop < 0 ? this.refuse('faulty Huffman code') : stop;
    }
    let facts = 0;
    for (let i = 0; i < length; i++) {
      const octet = bytes[at + i];
      out[to + i] = octet;
      facts |= OCTETS[octet];
    }
    this.facts = facts;
    return to + length;
  }

  /**
   * The rest of an integer (RFC 7541 section 5.1) whose prefix is all ones; -1 when it is cut off or too large. Four
   * bytes are enough for any length or index that could be right.
   */
  private readInteger(bytes: Buffer, from: number, end: number, prefix: number): number {
    let value = prefix;
    let at = from;
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= end) return this.refuse('the block ends in an integer');
      const byte = bytes[at++];
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at;
        return value;
      }
    }
    return this.refuse('an integer of more than 28 bits');
  }

  private bomb(): string {
    this.code = ERROR.enhanceYourCalm;
    return `more than ${COPIED_BYTES_MAX} bytes out of the dynamic table in one block`;
  }

  private refuse(error: string): number {
    this.error = error;
    this.cache.clear();
    return -1;
  }

  private fail(error: string): null {
    this.refuse(error);
    return null;
  }
}

function isSpace(octet: number): boolean {
  return octet === SP || octet === HTAB;
}

const HTAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const COLON = 0x3a;
