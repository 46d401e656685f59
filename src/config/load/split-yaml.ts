/**
 * Where the members of the long lists of a YAML text begin and end, by indentation: a line that is indented
 * as the first member is, and starts with `- `, starts another one (YAML 1.2 section 8.2.1). A scalar or
 * flow mapping over several lines is always indented deeper, or its member does not parse alone.
 */
import { isMemberList, type MemberList, type Slice } from './slice.ts';

/** Null: a text with directives or tabs for indentation, or with a list that is there twice. */
export function splitYaml(text: string): Map<MemberList, Slice[]> | null {
  const members = new Map<MemberList, Slice[]>();
  let list: { start: number; end: number }[] | null = null;
  /** Spaces in front of the dashes of the list; -1 until its first member. */
  let indent = -1;
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const next = newline < 0 ? text.length : newline + 1;
    const first = firstCharacter(text, at, next);
    const code = first < next ? text.charCodeAt(first) : HASH;
    const column = first - at;
    if (code === TAB || (code === PERCENT && column === 0)) return null;
    const blank = code === HASH;
    if (list !== null && !blank) {
      const dash = code === DASH && isSpace(text.charCodeAt(first + 1));
      if (dash && indent < 0) indent = column;
      if (dash && column === indent) list.push({ start: at, end: next });
      else if (column <= indent || indent < 0) {
        if (column > 0) return null;
        list = null;
      }
    }
    if (list === null && !blank && column === 0) {
      const key = LIST_KEY.exec(text.slice(at, next))?.[1];
      if (key !== undefined && isMemberList(key)) {
        if (members.has(key)) return null;
        list = [];
        indent = -1;
        members.set(key, list);
      }
    } else if (list !== null) {
      const member = list.at(-1);
      if (member !== undefined) member.end = next;
    }
    at = next;
  }
  for (const [name, slices] of members) if (slices.length === 0) members.delete(name);
  return members;
}

/** The first character of a line that is no space; `end` where there is none. */
function firstCharacter(text: string, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === SPACE) continue;
    return code === NEWLINE || code === RETURN ? end : at;
  }
  return end;
}

function isSpace(code: number): boolean {
  return code === SPACE || code === NEWLINE || code === RETURN;
}

const LIST_KEY = /^([a-z]+): *(?: #.*)?\r?\n?$/;
const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const HASH = 0x23;
const DASH = 0x2d;
const PERCENT = 0x25;
