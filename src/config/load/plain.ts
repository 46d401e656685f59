/**
 * From YAML nodes to plain data. The yaml library can do that, but its check for duplicate keys is
 * quadratic, its bound on aliases counts uses (so that a harmless anchor used by 500 services is refused)
 * and what it finds stops at the first fault. This walk lists duplicate keys, unknown anchors and tags,
 * odd keys and cycles all at once, shares what aliases share, and bounds the size they expand to.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml';
import { LIMITS } from '../../base/index.ts';

export interface YamlComplaint {
  /** Offset into the text. */
  readonly at: number;
  readonly expected: string;
  readonly found: string | null;
  readonly cure: string | null;
}

/** The document as objects, arrays and scalars; what a complaint is about is left out of it. */
export function plainData(document: Document.Parsed, complaints: YamlComplaint[]): unknown {
  try {
    return new Walk(complaints).value(document.contents, 1);
  } catch (error) {
    if (error instanceof TooLarge) return undefined;
    throw error;
  }
}

/** Thrown to stop a walk that has no end; the complaint is already made. */
class TooLarge extends Error {}

class Walk {
  private readonly complaints: YamlComplaint[];
  /** By name, the latest anchor so far: the walk goes in the order of the text, as anchors do. */
  private readonly anchors = new Map<string, Node>();
  /** What an anchored node became, and how many nodes it stands for. */
  private readonly anchored = new Map<Node, { readonly value: unknown; readonly nodes: number }>();
  private readonly open = new Set<Node>();
  private nodes = 0;

  constructor(complaints: YamlComplaint[]) {
    this.complaints = complaints;
  }

  value(node: unknown, depth: number): unknown {
    if (!isNode(node)) return null;
    this.grow(node, 1);
    if (depth > LIMITS.configDepth) {
      this.complain(node, `at most ${LIMITS.configDepth} levels of nesting`, 'more', 'check the indentation');
      throw new TooLarge();
    }
    if (isAlias(node)) return this.alias(node);
    const before = this.nodes;
    const anchor = 'anchor' in node ? node.anchor : undefined;
    if (anchor !== undefined) this.anchors.set(anchor, node);
    this.open.add(node);
    const value = this.content(node, depth);
    this.open.delete(node);
    if (anchor !== undefined) this.anchored.set(node, { value, nodes: this.nodes - before + 1 });
    return value;
  }

  private content(node: Node, depth: number): unknown {
    if (isScalar(node)) return node.value;
    if (isSeq(node)) return node.items.map((item) => this.value(item, depth + 1));
    return isMap(node) ? this.map(node, depth) : null;
  }

  private alias(node: Alias): unknown {
    const { source } = node;
    const target = this.anchors.get(source);
    if (target === undefined) {
      const wildcard = source.startsWith('.');
      const expected = wildcard ? 'a quoted wildcard' : 'an alias of an anchor (&name) that stands before it';
      const cure = wildcard ? '; without quotes YAML reads an alias' : ' if it is text, or define the anchor';
      this.complain(node, expected, `*${source}`, `quote it: "*${source}"${cure}`);
      return undefined;
    }
    const known = this.anchored.get(target);
    if (this.open.has(target) || known === undefined) {
      this.complain(node, 'an alias of something that does not contain it', `*${source}`, 'remove the cycle');
      return undefined;
    }
    this.grow(node, known.nodes);
    return known.value;
  }

  private map(node: YAMLMap, depth: number): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    const merged: Record<string, unknown>[] = [];
    for (const pair of node.items) {
      const key = this.key(pair, node);
      if (key === null) continue;
      const value = this.value(pair.value, depth + 1);
      if (key === '<<' && isPlainKey(pair)) merged.push(...mergeSources(value));
      else if (Object.hasOwn(out, key))
        this.complain(pair.key, 'each key once', `"${key}" again`, 'remove one of the two');
      else define(out, key, value);
    }
    // A key of the mapping itself wins over merged ones, and an earlier merge over a later one.
    for (const source of merged)
      for (const [key, value] of Object.entries(source))
        if (!Object.hasOwn(out, key)) define(out, key, value);
    return out;
  }

  private key(pair: Pair, parent: YAMLMap): string | null {
    const { key } = pair;
    if (isScalar(key) && key.value !== null) return String(key.value);
    this.complain(
      isNode(key) ? key : parent,
      'a plain key in front of the colon',
      'a mapping, a list or nothing',
      null,
    );
    return null;
  }

  private grow(node: Node, nodes: number): void {
    this.nodes += nodes;
    if (this.nodes <= LIMITS.configNodes) return;
    const expected = `at most ${LIMITS.configNodes} nodes, aliases expanded`;
    this.complain(
      node,
      expected,
      'more',
      'use fewer aliases of aliases, or split the services over several nodes',
    );
    throw new TooLarge();
  }

  private complain(node: unknown, expected: string, found: string | null, cure: string | null): void {
    const range = isNode(node) ? node.range : null;
    this.complaints.push({ at: range?.[0] ?? 0, expected, found, cure });
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'range' in value;
}

/** YAML 1.1's merge key; a quoted one is a key like any other. */
function isPlainKey(pair: Pair): boolean {
  return isScalar(pair.key) && pair.key.type === 'PLAIN';
}

function mergeSources(value: unknown): Record<string, unknown>[] {
  const sources = Array.isArray(value) ? value : [value];
  return sources.filter((source) => typeof source === 'object' && source !== null && !Array.isArray(source));
}

/** An own property whatever its name is: `__proto__` is one unknown key among others. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}
