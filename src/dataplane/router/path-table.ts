/**
 * The matches of one host name, in Gateway API's order: exact path, then regular expression by length
 * (Gateway API leaves its place open; a catch-all prefix would hide it otherwise), then longest
 * path prefix; among matches of the same path: method, number of header conditions, number of query
 * conditions, gRPC alone before everything, order of routes, of rules, of matches.
 *
 * Exact paths are a hash and prefixes a tree of path elements, so that a look-up costs the request's
 * length, not the number of rules: 1,000 prefixes cost what one does. A prefix matches whole elements
 * (`/foo` matches `/foo/` and `/foo/bar`, not `/foobar`). Regular expressions are tried in turn, each
 * after a look at the text that it must begin with.
 */
import { RE2JS } from 're2js';
import type { RequestHead } from '../../message/index.ts';
import { holds } from './conditions.ts';
import type { PreparedPath } from './normalize-path.ts';
import type { CompiledMatch, CompiledRoute } from './route.ts';
import type { CompiledRule } from './rule.ts';

export class PathTable<P> {
  private readonly exact: ReadonlyMap<string, readonly CompiledMatch<P>[]>;
  private readonly patterns: readonly PathPattern<P>[];
  private readonly root: Element<P> = newElement<P>(null);

  /** `routes` in the order of the file. */
  constructor(routes: readonly CompiledRoute<P>[]) {
    const exact = new Map<string, CompiledMatch<P>[]>();
    const patterns: PathPattern<P>[] = [];
    const elements = new Set<Element<P>>();
    for (const { matches } of routes) {
      for (const match of matches) {
        if (match.type === 'Exact') listIn(exact, match.path).push(match);
        else if (match.type === 'RegularExpression') patterns.push(compilePattern(match));
        else {
          const element = elementOf(this.root, match.path);
          element.matches.push(match);
          elements.add(element);
        }
      }
    }
    // Sorting is stable, so that matches which compare equal stay in the order of the file.
    for (const list of exact.values()) list.sort(byPrecedence);
    for (const element of elements) element.matches.sort(byPrecedence);
    patterns.sort((a, b) => b.match.path.length - a.match.path.length || byPrecedence(a.match, b.match));
    this.exact = exact;
    this.patterns = patterns;
  }

  find(head: RequestHead, path: PreparedPath): CompiledRule<P> | null {
    if (this.exact.size > 0) {
      const list = this.exact.get(path.path);
      if (list) {
        const rule = firstThatHolds(list, head, path);
        if (rule) return rule;
      }
    }
    if (this.patterns.length > 0) {
      const rule = this.findPattern(head, path);
      if (rule) return rule;
    }
    for (let element: Element<P> | null = deepest(this.root, path.path); element; element = element.parent) {
      if (element.matches.length === 0) continue;
      const rule = firstThatHolds(element.matches, head, path);
      if (rule) return rule;
    }
    return null;
  }

  private findPattern(head: RequestHead, path: PreparedPath): CompiledRule<P> | null {
    for (let i = 0; i < this.patterns.length; i++) {
      const { begin, pattern, match } = this.patterns[i] as PathPattern<P>;
      if (match.method !== null && match.method !== head.method) continue;
      if (!path.path.startsWith(begin) || !pattern.matches(path.path)) continue;
      if (match.conditions === null || holds(match.conditions, head, path)) return match.rule;
    }
    return null;
  }
}

/** One element of a path prefix; the root stands for `/`. */
interface Element<P> {
  children: Map<string, Element<P>> | null;
  readonly matches: CompiledMatch<P>[];
  readonly parent: Element<P> | null;
}

interface PathPattern<P> {
  readonly match: CompiledMatch<P>;
  readonly pattern: RE2JS;
  /** Every path that matches begins with this. */
  readonly begin: string;
}

function firstThatHolds<P>(
  list: readonly CompiledMatch<P>[],
  head: RequestHead,
  path: PreparedPath,
): CompiledRule<P> | null {
  for (let i = 0; i < list.length; i++) {
    const match = list[i] as CompiledMatch<P>;
    if (match.method !== null && match.method !== head.method) continue;
    if (match.conditions === null || holds(match.conditions, head, path)) return match.rule;
  }
  return null;
}

/** The last element of the longest prefix known; a target that is no path (`*`) gets the root. */
function deepest<P>(root: Element<P>, path: string): Element<P> {
  let element = root;
  if (path.charCodeAt(0) !== SLASH) return element;
  for (let start = 1; element.children; ) {
    const slash = path.indexOf('/', start);
    const child = element.children.get(slash < 0 ? path.slice(start) : path.slice(start, slash));
    if (!child) break;
    element = child;
    if (slash < 0) break;
    start = slash + 1;
  }
  return element;
}

function elementOf<P>(root: Element<P>, prefix: string): Element<P> {
  let element = root;
  if (prefix === '') return element;
  for (const name of prefix.slice(1).split('/')) {
    element.children ??= new Map();
    let child = element.children.get(name);
    if (!child) {
      child = newElement(element);
      element.children.set(name, child);
    }
    element = child;
  }
  return element;
}

function newElement<P>(parent: Element<P> | null): Element<P> {
  return { children: null, matches: [], parent };
}

function byPrecedence<P>(a: CompiledMatch<P>, b: CompiledMatch<P>): number {
  return (
    Number(b.method !== null) - Number(a.method !== null) ||
    (b.conditions?.headers.length ?? 0) - (a.conditions?.headers.length ?? 0) ||
    (b.conditions?.query.length ?? 0) - (a.conditions?.query.length ?? 0) ||
    Number(b.conditions?.grpc ?? false) - Number(a.conditions?.grpc ?? false)
  );
}

function compilePattern<P>(match: CompiledMatch<P>): PathPattern<P> {
  return { match, pattern: RE2JS.compile(match.path), begin: literalStart(match.path) };
}

/** The literal text every match of an RE2 expression starts with; empty when that isn't plain to see. */
export function literalStart(expression: string): string {
  if (expression.includes('|')) return '';
  const found = LITERAL_START.exec(expression) as RegExpExecArray;
  const literal = found[1] as string;
  const next = expression[found[0].length];
  const optional = next === '*' || next === '?' || next === '{';
  return optional ? literal.slice(0, -1) : literal;
}

const LITERAL_START = /^\^?([^\\.+*?()|[\]{}^$]*)/;
const SLASH = 0x2f;

function listIn<V>(map: Map<string, V[]>, key: string): V[] {
  const known = map.get(key);
  if (known) return known;
  const list: V[] = [];
  map.set(key, list);
  return list;
}
