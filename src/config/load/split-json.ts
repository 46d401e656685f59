/** Where the members of the long lists of a JSON text begin and end: brackets are counted, strings skipped. */
import { isMemberList, type MemberList, type Slice } from './slice.ts';

/** Null: not the JSON of a configuration. Members are mappings; whether they are valid is for the parser. */
export function splitJson(text: string): Map<MemberList, Slice[]> | null {
  const members = new Map<MemberList, Slice[]>();
  let list: Slice[] | null = null;
  let key = '';
  let depth = 0;
  let start = 0;
  let end = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const close = endOfString(text, i);
        if (close < 0) return null;
        if (depth === 1) key = text.slice(i + 1, close);
        i = close;
        break;
      }
      case OPEN_BRACE:
        if (++depth === MEMBER_DEPTH) start = i;
        break;
      case OPEN_BRACKET:
        if (++depth !== LIST_DEPTH || !isMemberList(key)) break;
        if (members.has(key)) return null;
        list = [];
        members.set(key, list);
        end = i + 1;
        break;
      case CLOSE_BRACE:
        if (depth-- !== MEMBER_DEPTH || list === null) break;
        if (!(list.length === 0 ? BLANK : COMMA).test(text.slice(end, start))) return null;
        end = i + 1;
        list.push({ start, end });
        break;
      case CLOSE_BRACKET:
        if (depth-- !== LIST_DEPTH || list === null) break;
        if (!BLANK.test(text.slice(end, i))) return null;
        list = null;
        break;
      default:
    }
  }
  if (depth !== 0) return null;
  for (const [name, slices] of members) if (slices.length === 0) members.delete(name);
  return members;
}

/** Colons outside of strings: as many as there are keys, those that are there twice included. */
export function countKeys(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === COLON) count++;
    else if (code === QUOTE) {
      const close = endOfString(text, i);
      if (close < 0) return count;
      i = close;
    }
  }
  return count;
}

/** Of the closing quote; -1: there is none. */
function endOfString(text: string, open: number): number {
  for (let i = open + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i;
    if (code === BACKSLASH) i++;
  }
  return -1;
}

/** Brackets around a list of the root, and around a member of it. */
const LIST_DEPTH = 2;
const MEMBER_DEPTH = 3;
const BLANK = /^[ \t\r\n]*$/;
const COMMA = /^[ \t\r\n]*,[ \t\r\n]*$/;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
