/**
 * HPACK encoder (RFC 7541). Fields that come again go into the dynamic table, those that differ every time or are
 * secret don't (`field-name.ts`). Writes to a buffer of the caller's; a block once begun must be sent, in this order,
 * because the peer's table follows ours.
 */
import type { FieldSet, HeaderList } from '../../../message/index.ts';
import { HEADER_TABLE_DEFAULT } from './codes.ts';
import { EncodedFields } from './encoded-fields.ts';
import { EncoderTable } from './encoder-table.ts';
import {
  INDEXED,
  type NameFacts,
  NEVER_IF_SHORT,
  NEVER_INDEXED,
  NOT_INDEXED,
  nameFacts,
} from './field-name.ts';
import { OutBuffer } from './out-buffer.ts';
import { isSafe, safeText, writeInteger, writeString } from './string-literal.ts';

const METHOD = nameFacts(':method');
const SCHEME = nameFacts(':scheme');
const AUTHORITY = nameFacts(':authority');
const PATH = nameFacts(':path');
const STATUS = nameFacts(':status');
const PROTOCOL = nameFacts(':protocol');
/** A cookie below this length could be guessed by trying (nghttp2 has the same bound). */
const SHORT_COOKIE = 20;
const RECENT_NAMES = 32;
/** An integer with its prefix, and a bit to spare. */
const INTEGER_BYTES = 8;

export class HpackEncoder {
  private readonly table: EncoderTable;
  private readonly encoded = new EncodedFields();
  private readonly capacity: number;
  /** What the peer allows, as far as we use it, and the least it allowed since the last block. */
  private wanted: number;
  private lowest: number;
  private out: OutBuffer = NOWHERE;
  private except: FieldSet | undefined;
  private sensitive: readonly string[] | null = null;
  /** The names of the last list, by place: most lists have the same, and comparing is cheaper than looking up. */
  private readonly recent: NameFacts[] = [];
  private place = 0;
  private readonly visit: (name: string, value: string) => void;

  /** `capacity`: the largest table we keep, whatever the peer offers. */
  constructor(capacity: number = HEADER_TABLE_DEFAULT) {
    this.capacity = capacity;
    // RFC 9113 section 6.5.2: the peer's table has this size until one side says otherwise.
    this.table = new EncoderTable(Math.max(capacity, HEADER_TABLE_DEFAULT));
    this.table.resize(HEADER_TABLE_DEFAULT);
    this.wanted = Math.min(capacity, HEADER_TABLE_DEFAULT);
    this.lowest = this.wanted;
    this.visit = (name, value) => {
      const { recent } = this;
      const place = this.place++;
      let facts = recent[place];
      if (facts === undefined || facts.sent !== name) {
        facts = nameFacts(name);
        if (place < RECENT_NAMES) recent[place] = facts;
      }
      if (this.except !== undefined && this.except.marks[facts.id] === 1) return;
      const secret = this.sensitive?.includes(facts.name) === true;
      this.add(facts, value, secret ? NEVER_INDEXED : facts.policy);
    };
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; told to it at the start of the next block. */
  setPeerTableSize(bytes: number): void {
    this.wanted = Math.min(bytes, this.capacity);
    this.lowest = Math.min(this.lowest, this.wanted);
  }

  /** Begins a block. */
  begin(out: OutBuffer): void {
    this.out = out;
    const { table, wanted } = this;
    // RFC 7541 section 4.2: the lowest size comes first, because the peer has evicted down to it.
    if (this.lowest < table.limit) this.writeUpdate(this.lowest);
    if (wanted !== table.limit) this.writeUpdate(wanted);
    this.lowest = wanted;
  }

  /** The pseudo-header fields of a request; empty: left out. */
  request(method: string, scheme: string, authority: string, path: string, protocol: string): void {
    this.add(METHOD, method);
    if (protocol !== '') this.add(PROTOCOL, protocol);
    if (scheme !== '') this.add(SCHEME, scheme);
    if (authority !== '') this.add(AUTHORITY, authority);
    if (path !== '') this.add(PATH, path);
  }

  /** The pseudo-header field of an answer. */
  status(status: number): void {
    if (status === 200) {
      const bytes = this.out.reserve(1);
      bytes[this.out.length++] = 0x88;
    } else this.add(STATUS, String(status));
  }

  /** All fields of a list, names in lower case, without those whose name is in `except`. */
  fields(headers: HeaderList, except?: FieldSet): void {
    this.except = except;
    this.sensitive = headers.sensitive;
    this.place = 0;
    const { encoded, table, out } = this;
    if (!encoded.write(headers, except, table.version, out)) {
      const { version } = table;
      const start = out.length;
      headers.forEachReceived(this.visit);
      if (table.version === version) encoded.offer(headers, except, version, out.bytes, start, out.length);
    }
    this.place = headers.receivedIds.length;
    headers.forEachAdded(this.visit);
  }

  /** One field; its name in whatever case. */
  field(name: string, value: string): void {
    this.add(nameFacts(name), value);
  }

  /** Ends a block: nothing of it is held. */
  end(): void {
    this.out = NOWHERE;
    this.except = undefined;
    this.sensitive = null;
  }

  private add(name: NameFacts, value: string, wanted = name.policy): void {
    const { table } = this;
    const { staticValues } = name;
    let policy = wanted;
    // A secret that stands in the static table is none, but the peer is to keep it out of its own.
    for (let i = 0; policy !== NEVER_INDEXED && i < staticValues.length; i++) {
      if (staticValues[i] === value) {
        this.writeIndex(0x80, 0x7f, name.staticIndex + i);
        return;
      }
    }
    if (policy === NEVER_IF_SHORT) policy = value.length < SHORT_COOKIE ? NEVER_INDEXED : INDEXED;
    if (policy === INDEXED) {
      const index = table.find(name, value);
      if (index > 0) {
        this.writeIndex(0x80, 0x7f, index);
        return;
      }
      if (!table.takes(name, value)) policy = NOT_INDEXED;
      else if (!isSafe(value)) {
        // What the peer's table holds is what was sent.
        this.add(name, safeText(value));
        return;
      }
    }
    const index = name.staticIndex > 0 ? name.staticIndex : table.findName(name);
    if (policy === INDEXED) this.writeIndex(0x40, 0x3f, index);
    else this.writeIndex(policy === NEVER_INDEXED ? 0x10 : 0, 0x0f, index);
    if (index === 0) writeString(this.out, name.name);
    writeString(this.out, value);
    if (policy === INDEXED) table.add(name, value);
  }

  private writeIndex(first: number, prefix: number, index: number): void {
    const { out } = this;
    const bytes = out.reserve(INTEGER_BYTES);
    if (index < prefix) bytes[out.length++] = first | index;
    else out.length = writeInteger(bytes, out.length, first, prefix, index);
  }

  private writeUpdate(size: number): void {
    this.table.resize(size);
    this.writeIndex(0x20, 0x1f, size);
  }
}

/** Where nothing is written: between two blocks. */
const NOWHERE = new OutBuffer();
