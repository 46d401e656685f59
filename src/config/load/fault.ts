/**
 * What is wrong with a configuration, told so that it can be put right without a second look: where it
 * stands, what was expected there, what was found, and what most likely cures it.
 */

export interface Fault {
  /** An error refuses the whole file; a warning is accepted, and is probably not what was meant. */
  readonly severity: 'error' | 'warning';
  /** As it was given to `loadConfig`. */
  readonly file: string;
  /** From 1. For something missing, the place of what should hold it. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** `services[2].endpoints[0].address`; empty for the file itself. */
  readonly path: string;
  readonly expected: string;
  /** Null when nothing was there. */
  readonly found: string | null;
  /** Null where there is nothing to add to what was expected. */
  readonly cure: string | null;
}

/** `file:line:column: error: path: expected …, found …`, and the cure on a line of its own. */
export function formatFault(fault: Fault): string {
  const path = fault.path === '' ? '' : `${fault.path}: `;
  const cure = fault.cure === null ? '' : `\n    cure: ${fault.cure}`;
  const place = `${fault.file}:${fault.line}:${fault.column}`;
  const what =
    fault.found === null
      ? `missing; expected ${fault.expected}`
      : `expected ${fault.expected}, found ${fault.found}`;
  return `${place}: ${fault.severity}: ${path}${what}${cure}`;
}

/** `services[2].endpoints[0].address`; a key that is no plain word stands in brackets. */
export function pathText(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (!/^[A-Za-z_$][\w$]*$/.test(part)) text += `[${JSON.stringify(part)}]`;
    else text += text === '' ? part : `.${part}`;
  }
  return text;
}
