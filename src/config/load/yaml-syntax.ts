/**
 * What the YAML parser complains of, in words that a person who writes configuration can act on. The
 * parser knows what token it did not expect; the line it stands in tells what was most likely meant.
 */
import type { YAMLError } from 'yaml';
import { LIMITS } from '../../base/index.ts';
import type { YamlComplaint } from './plain.ts';

interface Words {
  readonly expected: string;
  readonly found?: string;
  readonly cure: string | null;
}

const QUOTE_COLON = 'quote the value if it contains ": ", or put the inner mapping on lines of its own';
const INDENT = 'indent all keys of one mapping by the same number of spaces';

const WORDS: Readonly<Record<string, Words>> = {
  TAB_AS_INDENT: { expected: 'spaces for indentation', found: 'a tab', cure: 'replace the tab by spaces' },
  BAD_INDENT: { expected: 'the indentation of the lines above', cure: INDENT },
  BLOCK_AS_IMPLICIT_KEY: { expected: 'one mapping per line', found: 'a second colon', cure: QUOTE_COLON },
  MULTILINE_IMPLICIT_KEY: {
    expected: 'a key with a colon on one line',
    cure: 'is a colon missing, or a quote not closed?',
  },
  BAD_SCALAR_START: { expected: 'a value', cure: "quote it: @, ` and % can't start a plain value" },
  BAD_DQ_ESCAPE: {
    expected: 'a known escape',
    cure: 'in double quotes, write \\\\ for a backslash, or use single quotes',
  },
  BAD_ALIAS: { expected: 'an alias', cure: 'quote it if it is text' },
  MISSING_CHAR: { expected: 'a closing quote, bracket, comma or colon', cure: 'close what was opened' },
  UNEXPECTED_TOKEN: { expected: 'the end of the value', cure: 'quote the value, or check its brackets' },
  TAG_RESOLVE_FAILED: { expected: 'no tag', cure: 'remove it, or quote the value if it starts with "!"' },
  KEY_OVER_1024_CHARS: { expected: 'a key of at most 1024 characters', cure: 'is a quote not closed?' },
};

export const TOO_DEEP: YamlComplaint = {
  at: 0,
  expected: `at most ${LIMITS.configDepth} levels of nesting`,
  found: 'far more',
  cure: 'is a bracket not closed?',
};

/** One complaint per line: a parser that lost its way complains of everything that follows. */
export function syntaxComplaints(errors: readonly YAMLError[], text: string): YamlComplaint[] {
  // The parser takes its own stack overflow for an error in the text.
  if (errors.some((error) => /call stack size|stack overflow/i.test(error.message))) return [TOO_DEEP];
  const byLine = new Map<number, YamlComplaint>();
  for (const error of errors) {
    const start = text.lastIndexOf('\n', error.pos[0] - 1) + 1;
    if (byLine.has(start)) continue;
    const end = text.indexOf('\n', start);
    byLine.set(start, complaint(error, text.slice(start, end === -1 ? undefined : end)));
  }
  return [...byLine.values()];
}

function complaint(error: YAMLError, line: string): YamlComplaint {
  const words = WORDS[error.code] ?? { expected: 'valid YAML', cure: null };
  const message = error.message.replace(/\s+/g, ' ').replace(/[:.] *$/, '');
  const cure = trapIn(line) ?? (/without - indicator/.test(message) ? INDENT : words.cure);
  return { at: error.pos[0], expected: words.expected, found: words.found ?? `this: ${message}`, cure };
}

/** Plain values that look harmless and are not. */
function trapIn(line: string): string | null {
  const tab = /^ *\t/.test(line);
  if (tab) return 'replace the tab by spaces';
  const v6 = /[:\s](\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]:[0-9]+)/.exec(line);
  if (v6 !== null) return `quote the IPv6 address: "${v6[1]}"`;
  const wildcard = /[:\s[,](\*\.[A-Za-z0-9.-]+)/.exec(line);
  if (wildcard !== null) return `quote the wildcard: "${wildcard[1]}"`;
  const start = /: *([@`%][^\s,}\]]*)/.exec(line);
  if (start !== null) return `quote it: "${start[1]}"`;
  return null;
}
