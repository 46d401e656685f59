/**
 * The text of a configuration file: decoded, parsed, and asked where something stands. Places are looked
 * up in the YAML nodes by path, at the moment a fault needs one, so that a file without faults pays
 * nothing for them.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml';
import { LIMITS } from '../../base/index.ts';
import { plainData, type YamlComplaint } from './plain.ts';
import { syntaxComplaints, TOO_DEEP } from './yaml-syntax.ts';

export type Path = readonly (string | number)[];

export interface Place {
  readonly line: number;
  readonly column: number;
  /** What is written there, shortened; null when nothing is. */
  readonly found: string | null;
}

export interface SourceText {
  /** Plain data; undefined when the text is no YAML at all. */
  readonly data: unknown;
  readonly complaints: readonly (YamlComplaint & Pick<Place, 'line' | 'column'>)[];
  /** Of the value at `path`, or of the last thing on the way there that exists. */
  placeOf(path: Path): Place;
  /** Of the key itself. */
  placeOfKey(path: Path): Place;
}

/** `placeAt`: where an offset stands, for a text that is part of a longer one. */
export function readSource(
  input: string | Uint8Array,
  placeAt?: (offset: number) => Pick<Place, 'line' | 'column'>,
): SourceText {
  const decoded = decode(input);
  if (typeof decoded !== 'string') return failed([decoded]);
  const lines = new LineCounter();
  const complaints: YamlComplaint[] = [];
  let root: Node | null = null;
  let data: unknown;
  try {
    const documents = parseAllDocuments(decoded, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'silent',
    });
    const [first, second] = Array.isArray(documents) ? documents : [];
    complaints.push(...syntaxComplaints([...(first?.errors ?? []), ...(first?.warnings ?? [])], decoded));
    if (second !== undefined)
      complaints.push({
        at: second.range[0],
        expected: 'one document',
        found: 'a second one',
        cure: 'remove the "---" between them',
      });
    if (first !== undefined && complaints.length === 0) {
      root = first.contents;
      data = plainData(first, complaints);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    complaints.push(TOO_DEEP);
  }
  const at = placeAt ?? ((offset: number) => placeOfOffset(lines, offset));
  return {
    data,
    complaints: complaints.map((complaint) => ({ ...complaint, ...at(complaint.at) })),
    placeOf(path) {
      const { node, key, missing } = walk(root, path);
      const shown = node !== null && !isEmpty(node) ? node : (key ?? node);
      return { ...at(shown?.range?.[0] ?? 0), found: missing ? null : describe(node) };
    },
    placeOfKey(path) {
      const { node, key } = walk(root, path);
      return { ...at((key ?? node)?.range?.[0] ?? 0), found: describe(key ?? node) };
    },
  };
}

export function placeOfOffset(lines: LineCounter, offset: number): Pick<Place, 'line' | 'column'> {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** YAML is UTF-8 here; a byte order mark is skipped. */
export function decode(input: string | Uint8Array): string | YamlComplaint {
  const bytes = typeof input === 'string' ? input.length : input.byteLength;
  if (bytes > LIMITS.configFileBytes) {
    const expected = `a file of at most ${LIMITS.configFileBytes} bytes`;
    return { at: 0, expected, found: `${bytes} bytes`, cure: 'split the services over several nodes' };
  }
  if (typeof input === 'string') return input;
  if ((input[0] === 0xff && input[1] === 0xfe) || (input[0] === 0xfe && input[1] === 0xff))
    return { at: 0, expected: 'UTF-8', found: 'UTF-16', cure: 'save the file as UTF-8' };
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(input);
  } catch {
    const valid = new TextDecoder('utf-8').decode(input).indexOf('\ufffd');
    const line = new TextDecoder('utf-8').decode(input).slice(0, valid).split('\n').length;
    return { at: 0, expected: 'UTF-8', found: `other bytes in line ${line}`, cure: 'save the file as UTF-8' };
  }
}

function failed(complaints: readonly YamlComplaint[]): SourceText {
  const nowhere = { line: 1, column: 1, found: null };
  return {
    data: undefined,
    complaints: complaints.map((complaint) => ({ ...complaint, line: 1, column: 1 })),
    placeOf: () => nowhere,
    placeOfKey: () => nowhere,
  };
}

interface Step {
  readonly node: Node | null;
  /** The key in front of it, in a mapping. */
  readonly key: Node | null;
  readonly missing: boolean;
}

function walk(root: Node | null, path: Path): Step {
  let step: Step = { node: root, key: null, missing: root === null };
  for (const part of path) {
    const container = resolve(step.node, root);
    const next = isMap(container)
      ? inMap(container, part, root)
      : isSeq(container)
        ? inSeq(container, part)
        : null;
    // The place of something missing is that of what should hold it.
    if (next === null) return { node: step.node, key: step.key, missing: true };
    step = next;
  }
  return step;
}

function inSeq(seq: { items: unknown[] }, part: string | number): Step | null {
  const item = typeof part === 'number' ? seq.items[part] : undefined;
  return item === undefined ? null : { node: item as Node | null, key: null, missing: false };
}

function inMap(map: YAMLMap, part: string | number, root: Node | null): Step | null {
  for (const pair of map.items)
    if (keyOf(pair) === String(part))
      return { node: pair.value as Node | null, key: pair.key as Node, missing: false };
  for (const pair of map.items) {
    if (keyOf(pair) !== '<<') continue;
    const merged = resolve(pair.value as Node | null, root);
    const sources = isSeq(merged) ? merged.items.map((item) => resolve(item as Node, root)) : [merged];
    for (const source of sources) {
      const found = isMap(source) ? inMap(source, part, root) : null;
      if (found !== null) return found;
    }
  }
  return null;
}

function keyOf(pair: Pair): string | null {
  return isScalar(pair.key) ? String(pair.key.value) : null;
}

/** The anchored node behind an alias: the last one of that name before it, found by walking the tree. */
function resolve(node: Node | null, root: Node | null): Node | null {
  if (!isAlias(node)) return node;
  const limit = node.range?.[0] ?? 0;
  let found: Node | null = null;
  const visit = (at: unknown): void => {
    if (typeof at !== 'object' || at === null) return;
    const candidate = at as Node & { anchor?: string };
    if (candidate.anchor === node.source && (candidate.range?.[0] ?? 0) < limit) found = candidate;
    if (isMap(at)) for (const pair of at.items) visit(pair.value);
    else if (isSeq(at)) for (const item of at.items) visit(item);
  };
  visit(root);
  return found;
}

function isEmpty(node: Node): boolean {
  return isScalar(node) && node.value === null && (node.source ?? '') === '';
}

const SHOWN_MAX = 60;

function describe(node: Node | null): string | null {
  if (node === null) return 'nothing';
  if (isAlias(node)) return `*${node.source}`;
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node)) return null;
  if (node.value === null) return 'nothing';
  const shown =
    typeof node.value === 'string' ? JSON.stringify(node.value) : (node.source ?? String(node.value));
  return shown.length <= SHOWN_MAX ? shown : `${shown.slice(0, SHOWN_MAX)}…`;
}
