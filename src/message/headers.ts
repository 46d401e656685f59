/**
 * The fields of a message. A list received from a peer keeps the bytes as one latin1 string with the
 * offsets of its fields, and writing it out again copies runs of unchanged fields instead of building
 * them anew: most fields of most requests pass a proxy untouched, in their order and their case.
 * Changes are an overlay: fields struck out by position, and fields added at the end. The text and the
 * offsets are never changed, so a copy shares them.
 *
 * Values are latin1 strings (RFC 9110 section 5.5: field values are octets); nothing is decoded.
 */
import type { FieldSet } from './field-set.ts';
import { nameIdOf, nameOfId } from './names.ts';

/** A known id from `H`, or any other field name in lower case. */
export type FieldName = number | string;

const STRUCK = -1;

export class HeaderList {
  /** `name: value CRLF` lines as received. */
  private readonly text: string;
  /** Four offsets per field into `text`: start and end of the name, start and end of the value. */
  private readonly spans: readonly number[];
  /** Known id per field, 0 for other names, STRUCK for a deleted field. Copied before it is changed. */
  private ids: number[];
  private idsShared: boolean;
  private struck = 0;
  /** Added fields: name, value, name, value. */
  private added: string[] | null = null;

  /**
   * Takes what a codec found. `text` holds whole lines with their CRLF; line n begins where
   * line n - 1's CRLF ended, the first at 0, and the value's end may be followed by white space.
   */
  constructor(text: string, spans: readonly number[], ids: number[]) {
    this.text = text;
    this.spans = spans;
    this.ids = ids;
    this.idsShared = false;
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
    const copy = new HeaderList(this.text, this.spans, this.ids);
    copy.idsShared = true;
    this.idsShared = true;
    copy.struck = this.struck;
    if (this.added) copy.added = this.added.slice();
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
    return true;
  }

  /** Removes every field whose name is in `set`: one pass, whatever the size of the set. */
  deleteAll(set: FieldSet): void {
    for (let i = 0; i < this.ids.length; i++) if (set.hasId(this.ids[i])) this.strike(i);
    if (!this.added) return;
    for (let i = this.added.length - 2; i >= 0; i -= 2)
      if (set.hasName(this.added[i])) this.added.splice(i, 2);
  }

  /** Replaces every field of this name by one at the end of the list. */
  set(name: FieldName, value: string): void {
    this.delete(name);
    this.append(typeof name === 'number' ? nameOfId(name) : name, value);
  }

  /** Adds a field at the end. `name` is sent as it is written here. */
  append(name: string, value: string): void {
    if (this.added) this.added.push(name, value);
    else this.added = [name, value];
  }

  /** Calls `visit` for every field in order, with the name in the case it was received in. */
  forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.ids.length; i++)
      if (this.ids[i] !== STRUCK) visit(this.nameAt(i), this.valueAt(i));
    if (this.added) {
      for (let i = 0; i < this.added.length; i += 2)
        visit(this.added[i] as string, this.added[i + 1] as string);
    }
  }

  /**
   * The fields as HTTP/1.1 lines, each ended by CRLF, without the empty line that ends the section. Fields
   * whose name is in `except` are left out.
   */
  toText(except?: FieldSet): string {
    const { ids, spans } = this;
    const received = ids.length;
    let text = '';
    let from = 0;
    for (let i = 0; i < received; i++) {
      const id = ids[i];
      if (id !== STRUCK && !(except && except.marks[id] === 1)) continue;
      if (spans[4 * i] > from) text += this.text.slice(from, spans[4 * i]);
      from = i + 1 < received ? spans[4 * i + 4] : this.text.length;
    }
    if (from === 0) text = this.text;
    else if (from < this.text.length) text += this.text.slice(from);
    const added = this.added;
    if (added) {
      for (let i = 0; i < added.length; i += 2) {
        if (except?.hasName(added[i])) continue;
        text += `${added[i]}: ${safeValue(added[i + 1])}\r\n`;
      }
    }
    return text;
  }

  /** Position of the next field of this name at or after `from`: received fields first, then added ones. */
  private find(name: FieldName, from: number): number {
    const id = typeof name === 'number' ? name : nameIdOf(name);
    const received = this.ids.length;
    if (from < received) {
      if (id > 0) {
        const at = this.ids.indexOf(id, from);
        if (at >= 0) return at;
      } else {
        for (let i = from; i < received; i++) {
          if (this.ids[i] === 0 && this.isNamed(i, name as string)) return i;
        }
      }
    }
    if (!this.added) return -1;
    const lower = id > 0 ? nameOfId(id) : (name as string);
    for (let i = 2 * Math.max(0, from - received); i < this.added.length; i += 2) {
      const added = this.added[i];
      if (added.length === lower.length && added.toLowerCase() === lower) return received + i / 2;
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
function safeValue(value: string): string {
  return value.search(UNSAFE) < 0 ? value : value.replace(UNSAFE, ' ');
}
