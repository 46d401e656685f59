/**
 * Takes the text of a configuration apart into the members of its long lists and the rest, without parsing
 * any of it: a member whose text is the same as in the last good configuration need not be read again.
 * Parsing 5,000 services takes 1.5 s, finding where each begins 10 ms. What looks unusual is not split; whoever
 * parses the parts proves them (each member a whole value, the rest with empty lists in their places).
 */
import type { MemberList, Slice } from './slice.ts';
import { splitJson } from './split-json.ts';
import { splitYaml } from './split-yaml.ts';

export interface SplitText {
  readonly format: 'json' | 'yaml';
  readonly text: string;
  /** The text without the members. */
  readonly rest: string;
  /** Where the members of each list stand in the text, in its order; a list that is absent is in the rest. */
  readonly members: ReadonlyMap<MemberList, readonly Slice[]>;
  /** What was taken out, in the order of the text. */
  readonly cuts: readonly Slice[];
}

/** Null: the text is not of a kind that can be split. */
export function splitText(text: string): SplitText | null {
  const format = /^\s*\{/.test(text) ? 'json' : 'yaml';
  const members = format === 'json' ? splitJson(text) : splitYaml(text);
  if (members === null || members.size === 0) return null;
  const cuts = [...members.values()].map(cutOf).sort((a, b) => a.start - b.start);
  let rest = '';
  let from = 0;
  for (const { start, end } of cuts) {
    rest += text.slice(from, start);
    from = end;
  }
  return { format, text, rest: rest + text.slice(from), members, cuts };
}

/** Where in the text stands what is at `offset` of the rest. */
export function offsetInText(split: SplitText, offset: number): number {
  let at = offset;
  for (const { start, end } of split.cuts) if (at >= start) at += end - start;
  return at;
}

function cutOf(members: readonly Slice[]): Slice {
  return { start: members[0]?.start ?? 0, end: members.at(-1)?.end ?? 0 };
}
