/**
 * The fields of a message. A list received from a peer keeps the bytes as one latin1 string with the
 * offsets of its fields, and writing it out again copies runs of unchanged fields instead of building
 * them anew: most fields of most requests pass a proxy untouched, in their order and their case.
 * Changes are an overlay: fields struck out by position, and fields added at the end. The text and the
 * offsets are never changed, so a copy shares them.
 *
 * A proxy asks every message for some twenty fields that nearly none has. So each list keeps one bit per known
 * name: most questions are answered by it, and the rest search an array of integers.
 *
 * Values are latin1 strings (RFC 9110 section 5.5: field values are octets); nothing is decoded.
 */
import type { FieldSet } from './field-set.ts';
import { markOf, nameOfId, X_ENVOY } from './names.ts';

/** A known id from `H`, `X_ENVOY` for any field of that prefix, or any other field name in lower case. */
export type FieldName = number | string;

const STRUCK = -1;

export class HeaderList {
  /**
   * Lower-case names of fields whose value no intermediary may put into a compression table (RFC 7541 section 6.2.3,
   * "never indexed"); null: none.
   */
  sensitive: readonly string[] | null = null;
  /** Tells which list this one is a copy of, for those who keep what they made of it; 0: of none. */
  source = 0;
  /** `name: value CRLF` lines as received. */
  private readonly text: string;
  /** Four offsets per field into `text`: start and end of the name, start and end of the value. */
  private readonly spans: readonly number[];
  /** Known id per field, 0 or X_ENVOY for other names, STRUCK for a deleted field. Copied before it is changed. */
  private ids: number[];
  private idsShared: boolean;
  private struck = 0;
  /** Bit n of `low` is set where a field with id n may be in the list, of `high` where one with id 32 + n. */
  private low = 0;
  private high = 0;
  /** Added fields: name, value, name, value; values are clean. */
  private added: string[] | null = null;
  /** Known id of each added field. */
  private addedIds: number[] | null = null;

  /**
   * Takes what a codec found. `text` holds whole lines with their CRLF; line n begins where
   * line n - 1's CRLF ended, the first at 0, and the value's end may be followed by white space. `original`: a list of
   * the same fields, none of which was added.
   */
  constructor(text: string, spans: readonly number[], ids: number[], original: HeaderList | null = null) {
    this.text = text;
    this.spans = spans;
    this.ids = ids;
    this.idsShared = original !== null;
    if (original !== null) {
      this.low = original.low;
      this.high = original.high;
      return;
    }
    let low = 0;
    let high = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (id < 32) low |= 1 << id;
      else high |= 1 << id;
    }
    this.low = low;
    this.high = high;
  }

  /** An empty list. */
  static empty(): HeaderList {
    return new HeaderList('', [], []);
  }

  /** A list of `name, value, name, value`; names as they are to be sent. */
  static of(...pairs: string[]): HeaderList {
    const list = HeaderList.empty();
    for (let i = 0; i + 1 < pairs.length; i += 2) list.append(pairs[i] as string, pairs[i + 1] as string);
    return list;
  }

  /** A copy that can be changed without changing this list. Text and offsets are shared. */
  clone(): HeaderList {
    const copy = new HeaderList(this.text, this.spans, this.ids, this);
    this.idsShared = true;
    copy.struck = this.struck;
    copy.sensitive = this.sensitive;
    copy.source = this.source;
    if (this.added !== null && this.addedIds !== null) {
      copy.added = this.added.slice();
      copy.addedIds = this.addedIds.slice();
    }
    return copy;
  }

  /** Number of fields. */
  get size(): number {
    return this.ids.length - this.struck + (this.added ? this.added.length / 2 : 0);
  }

  has(name: FieldName): boolean {
    return this.find(name, 0) >= 0;
  }

  /** The first value of the field, or undefined. */
  get(name: FieldName): string | undefined {
    const at = this.find(name, 0);
    return at < 0 ? undefined : this.valueAt(at);
  }

  /** All values joined by a comma (RFC 9110 section 5.3), or undefined. Not for Set-Cookie. */
  getAll(name: FieldName): string | undefined {
    let at = this.find(name, 0);
    if (at < 0) return undefined;
    let all = this.valueAt(at);
    for (at = this.find(name, at + 1); at >= 0; at = this.find(name, at + 1)) all += `, ${this.valueAt(at)}`;
    return all;
  }

  /** How many fields have this name. */
  count(name: FieldName): number {
    let count = 0;
    for (let at = this.find(name, 0); at >= 0; at = this.find(name, at + 1)) count++;
    return count;
  }

  /** Removes every field of this name; false when there was none. */
  delete(name: FieldName): boolean {
    let at = this.find(name, 0);
    if (at < 0) return false;
    for (; at >= 0; at = this.find(name, at)) this.strike(at);
    if (typeof name === 'number') this.forget(name);
    return true;
  }

  /** Removes every field whose name is in `set`: one pass, whatever the size of the set. */
  deleteAll(set: FieldSet): void {
    if ((set.low & this.low) === 0 && (set.high & this.high) === 0) return;
    for (let i = 0; i < this.ids.length; i++) if (set.hasId(this.ids[i])) this.strike(i);
    const { addedIds } = this;
    if (addedIds !== null) {
      for (let i = addedIds.length - 1; i >= 0; i--)
        if (set.hasId(addedIds[i])) this.strike(this.ids.length + i);
    }
    this.low &= ~set.low;
    this.high &= ~set.high;
  }

  /** Replaces every field of this name by one at the end of the list. */
  set(name: FieldName, value: string): void {
    this.delete(name);
    if (typeof name === 'number') this.add(nameOfId(name), cleaned(value), name);
    else this.append(name, value);
  }

  /** Adds a field at the end. `name` is sent as it is written here; what `value` may not hold becomes a space. */
  append(name: string, value: string): void {
    this.add(name, cleaned(value), markOf(name.toLowerCase()));
  }

  /**
   * As `set` and `append`, for a value that needs no look because of what it is made of: text of this program,
   * numbers, hexadecimal digits, and what a codec has read from a field, a target or an authority.
   */
  setClean(id: number, value: string): void {
    this.delete(id);
    this.add(nameOfId(id), value, id);
  }

  appendClean(id: number, value: string): void {
    this.add(nameOfId(id), value, id);
  }

  /** Calls `visit` for every field in order, with the name in the case it was received in. */
  forEach(visit: (name: string, value: string) => void): void {
    this.forEachReceived(visit);
    this.forEachAdded(visit);
  }

  /** The first part of `forEach`: what came with the message and was not deleted. */
  forEachReceived(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.ids.length; i++)
      if (this.ids[i] !== STRUCK) visit(this.nameAt(i), this.valueAt(i));
  }

  /** The second part of `forEach`. */
  forEachAdded(visit: (name: string, value: string) => void): void {
    const { added } = this;
    if (added === null) return;
    for (let i = 0; i < added.length; i += 2) visit(added[i] as string, added[i + 1] as string);
  }

  /**
   * Known id of each field that came with the message, -1 for a deleted one. Lists of one `source` with the same ids
   * have the same received fields.
   */
  get receivedIds(): readonly number[] {
    return this.ids;
  }

  /**
   * The fields as HTTP/1.1 lines, each ended by CRLF, without the empty line that ends the section. Fields
   * whose name is in `except` are left out.
   */
  toText(except?: FieldSet): string {
    const { added, addedIds } = this;
    let text = this.receivedText(except);
    if (added === null || addedIds === null) return text;
    for (let i = 0; i < addedIds.length; i++) {
      if (except === undefined || !except.hasId(addedIds[i]))
        text += `${added[2 * i]}: ${added[2 * i + 1]}\r\n`;
    }
    return text;
  }

  private receivedText(except: FieldSet | undefined): string {
    const { ids, spans } = this;
    const untouched =
      except === undefined || ((except.low & this.low) === 0 && (except.high & this.high) === 0);
    if (untouched && this.struck === 0) return this.text;
    const received = ids.length;
    let text = '';
    let from = 0;
    for (let i = 0; i < received; i++) {
      const id = ids[i];
      if (id !== STRUCK && (untouched || !except.hasId(id))) continue;
      if (spans[4 * i] > from) text += this.text.slice(from, spans[4 * i]);
      from = i + 1 < received ? spans[4 * i + 4] : this.text.length;
    }
    if (from === 0) return this.text;
    return from < this.text.length ? text + this.text.slice(from) : text;
  }

  private add(name: string, value: string, id: number): void {
    if (id < 32) this.low |= 1 << id;
    else this.high |= 1 << id;
    if (this.added !== null && this.addedIds !== null) {
      this.added.push(name, value);
      this.addedIds.push(id);
    } else {
      this.added = [name, value];
      this.addedIds = [id];
    }
  }

  /** No field has this id any more. */
  private forget(id: number): void {
    if (id < 32) this.low &= ~(1 << id);
    else this.high &= ~(1 << id);
  }

  /** Position of the next field of this name at or after `from`: received fields first, then added ones. */
  private find(name: FieldName, from: number): number {
    const id = typeof name === 'number' ? name : markOf(name);
    if (((id < 32 ? this.low : this.high) & (1 << id)) === 0) return -1;
    if (typeof name !== 'number' && (id === 0 || id === X_ENVOY)) return this.findNamed(name, id, from);
    const received = this.ids.length;
    if (from < received) {
      const at = this.ids.indexOf(id, from);
      if (at >= 0) return at;
    }
    if (this.addedIds === null) return -1;
    const at = this.addedIds.indexOf(id, Math.max(0, from - received));
    return at < 0 ? -1 : received + at;
  }

  /** `find` for a name that is not a known one. */
  private findNamed(lower: string, id: number, from: number): number {
    const received = this.ids.length;
    for (let i = from; i < received; i++) if (this.ids[i] === id && this.isNamed(i, lower)) return i;
    const { added, addedIds } = this;
    if (added === null || addedIds === null) return -1;
    for (let i = Math.max(0, from - received); i < addedIds.length; i++) {
      const name = added[2 * i] as string;
      if (addedIds[i] === id && name.length === lower.length && name.toLowerCase() === lower)
        return received + i;
    }
    return -1;
  }

  private isNamed(at: number, lower: string): boolean {
    const start = this.spans[4 * at] as number;
    const end = this.spans[4 * at + 1] as number;
    return end - start === lower.length && this.text.slice(start, end).toLowerCase() === lower;
  }

  private nameAt(at: number): string {
    return at < this.ids.length
      ? this.text.slice(this.spans[4 * at], this.spans[4 * at + 1])
      : ((this.added as string[])[2 * (at - this.ids.length)] as string);
  }

  private valueAt(at: number): string {
    return at < this.ids.length
      ? this.text.slice(this.spans[4 * at + 2], this.spans[4 * at + 3])
      : ((this.added as string[])[2 * (at - this.ids.length) + 1] as string);
  }

  private strike(at: number): void {
    if (at >= this.ids.length) {
      (this.added as string[]).splice(2 * (at - this.ids.length), 2);
      (this.addedIds as number[]).splice(at - this.ids.length, 1);
      return;
    }
    if (this.idsShared) {
      this.ids = this.ids.slice();
      this.idsShared = false;
    }
    this.ids[at] = STRUCK;
    this.struck++;
  }
}

/** Anything but HTAB, SP, VCHAR and obs-text (RFC 9110 section 5.5). */
const UNSAFE = /[^\t\x20-\x7e\x80-\xff]/g;

/**
 * An added value may hold what a peer chose (a path that was decoded, say). CR, LF and NUL are replaced by a
 * space as RFC 9110 section 5.5 asks, and so is everything above U+00FF: written as latin1, U+010A is a LF.
 */
function cleaned(value: string): string {
  return value.search(UNSAFE) < 0 ? value : value.replace(UNSAFE, ' ');
}
