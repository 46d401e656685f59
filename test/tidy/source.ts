/**
 * Source text made ready for rules: comments, strings and regular expressions blanked out (places kept, so
 * that a finding has its line), and the imports listed. A scanner of a hundred lines rather than a
 * parser, because the questions are lexical and the compiler's own API is not stable.
 */

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type` and `export type`: erased before anything is loaded. */
  readonly typeOnly: boolean;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  /** `text` with everything blanked that is not code; quotes stay. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** Where a `/` starts a regular expression: after these, or at the start. */
const BEFORE_REGEX = /(?:^|[=(,:;!&|?{}[\]+\-*%<>~^]|\b(?:return|typeof|case|in|of|void|yield|await))$/;
const IMPORT = /\b(import|export)\s+(type\s)?(?:[\w$*{}\s,]+?\bfrom\s*)?(['"])|\bimport\s*\(\s*(['"])/g;

export function readSource(path: string, text: string): Source {
  const code = blank(text);
  return { path, text, code, imports: importsOf(text, code) };
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line += 1;
  return line;
}

function importsOf(text: string, code: string): Import[] {
  const imports: Import[] = [];
  for (const match of code.matchAll(IMPORT)) {
    const start = match.index + match[0].length;
    const end = code.indexOf(match[3] ?? match[4] ?? '', start);
    imports.push({
      specifier: text.slice(start, end),
      line: lineAt(text, match.index),
      typeOnly: match[2] !== undefined,
    });
  }
  return imports;
}

function blank(text: string): string {
  let out = '';
  let at = 0;
  /** Depths of braces at which a template's `${` ends, innermost last. */
  const templates: number[] = [];
  let depth = 0;
  const keep = (count: number): void => {
    out += text.slice(at, at + count);
    at += count;
  };
  const hide = (end: number): void => {
    out += text.slice(at, end).replace(/[^\n]/g, ' ');
    at = end;
  };
  const template = (): void => {
    const end = endOfTemplate(text, at);
    hide(end);
    if (text[at] === '`') keep(1);
    else if (at < text.length) {
      templates.push(depth);
      keep(2);
    }
  };
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const character = text[at] ?? '';
    if (two === '//') hide(after(text, '\n', at));
    else if (two === '/*') hide(after(text, '*/', at + 2));
    else if (character === "'" || character === '"') {
      keep(1);
      hide(endOfString(text, at, character));
      keep(1);
    } else if (character === '`') {
      keep(1);
      template();
    } else if (character === '/' && BEFORE_REGEX.test(out.trimEnd())) hide(endOfRegex(text, at + 1));
    else if (character === '}' && templates.at(-1) === depth) {
      templates.pop();
      keep(1);
      template();
    } else {
      if (character === '{') depth += 1;
      if (character === '}') depth -= 1;
      keep(1);
    }
  }
  return out;
}

function endOfString(text: string, from: number, quote: string): number {
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === quote || text[i] === '\n') return i;
  }
  return text.length;
}

/** The closing backtick, or the `$` of the next substitution. */
function endOfTemplate(text: string, from: number): number {
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '`' || (text[i] === '$' && text[i + 1] === '{')) return i;
  }
  return text.length;
}

function endOfRegex(text: string, from: number): number {
  let inClass = false;
  for (let i = from; i < text.length && text[i] !== '\n'; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '[') inClass = true;
    else if (text[i] === ']') inClass = false;
    else if (text[i] === '/' && !inClass) return i + 1;
  }
  // No regular expression after all: a division.
  return from;
}

/** Just after the next `mark`; the end of the text when there is none. */
function after(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found === -1 ? text.length : found + mark.length;
}
