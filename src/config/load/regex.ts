/**
 * Whether the linear-time engine can run a regular expression. A backtracking one stalled a worker for
 * 4.4 s on 28 characters, so what re2js refuses is refused here, with a way around it.
 */
import { RE2JS } from 're2js';
import { LIMITS } from '../../base/index.ts';

export interface RegexFault {
  readonly expected: string;
  readonly cure: string;
}

export function regexFault(pattern: string): RegexFault | null {
  let size: number;
  try {
    size = RE2JS.compile(pattern).programSize();
  } catch (error) {
    return explain(pattern, error instanceof Error ? error.message : String(error));
  }
  if (size <= LIMITS.regexInstructions) return null;
  return {
    expected: `a regular expression of at most ${LIMITS.regexInstructions} instructions; this one has ${size}`,
    cure: 'lower its repeat counts, or split it into several matches',
  };
}

const RE2 = 'a regular expression in RE2 syntax, which runs in linear time';

function explain(pattern: string, message: string): RegexFault {
  if (/\(\?<?[=!]/.test(pattern))
    return {
      expected: `${RE2}, without lookahead and lookbehind`,
      cure: 'write the cases as several matches; precedence picks the more specific rule',
    };
  if (/\\[1-9]|\\k</.test(pattern))
    return { expected: `${RE2}, without backreferences`, cure: 'spell out the alternatives: (a|b)' };
  if (/\(\?>|[*+?}]\+/.test(pattern))
    return {
      expected: `${RE2}, without atomic groups and possessive quantifiers`,
      cure: 'leave them out: nothing backtracks here',
    };
  if (/invalid repeat count/.test(message))
    return {
      expected: `${RE2}, with repeat counts of at most 1000 in all`,
      cure: 'use * or +, and bound the length elsewhere',
    };
  if (/nested repetition/.test(message) && /^\*|\/\*/.test(pattern))
    return { expected: RE2, cure: '"*" repeats what stands before it; "anything" is .*' };
  return {
    expected: `${RE2} (${message.replace(/^error parsing regexp: /, '')})`,
    cure: 'https://github.com/google/re2/wiki/Syntax lists what there is',
  };
}
