/**
 * Checks data against the schema, and lists every fault of shape. What is wrong is then cut out until the
 * rest is valid, so that the checks of meaning (references, contradictions) run over it at once and
 * nobody fixes a file in rounds. Paths always are those of the file: lists remember what was cut.
 */
import type { z } from 'zod';
import type { Path } from './source-text.ts';

/** An issue of zod with its path, unions resolved to the alternative that was meant. */
export interface ShapeIssue {
  readonly path: Path;
  readonly kind: 'unknown-key' | 'type' | 'leaf';
  readonly expected: string;
  readonly cure: string | null;
}

export interface Shaped<T> {
  /** Null: nothing valid is left. */
  readonly value: T | null;
  readonly issues: readonly ShapeIssue[];
  /** A path in `value` as it is in the file. */
  inFile(path: Path): Path;
  /** Whether something was cut out of the mapping or list at `path` (of `value`); `deep`: or below it. */
  cut(path: Path, deep: boolean): boolean;
}

type Container = Record<string, unknown> | unknown[];

/** Each round cuts at least one thing, and mostly all; a missing key moves the cut one level up. */
const ROUNDS_MAX = 64;

/** `data` is modified. */
export function shape<T>(schema: z.ZodType<T>, data: unknown): Shaped<T> {
  const cuts = new Cuts();
  let issues: ShapeIssue[] | null = null;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = schema.safeParse(data);
    if (result.success) return shaped(result.data, issues ?? [], data, cuts);
    const found = result.error.issues.flatMap((issue) => flatten(issue, []));
    issues ??= found.filter((issue, i) => found.findIndex((other) => same(other, issue)) === i);
    if (!cuts.apply(data, found)) break;
  }
  return shaped<T>(null, issues ?? [], data, cuts);
}

function shaped<T>(value: T | null, issues: readonly ShapeIssue[], data: unknown, cuts: Cuts): Shaped<T> {
  return {
    value,
    issues,
    inFile: (path) => cuts.inFile(data, path),
    cut: (path, deep) => cuts.touched(data, path, deep),
  };
}

class Cuts {
  private readonly containers = new Set<object>();
  /** Of a list that was cut: the index in the file of each element left. */
  private readonly indexes = new WeakMap<object, number[]>();

  /** False when the data as a whole would have to go. */
  apply(data: unknown, issues: readonly ShapeIssue[]): boolean {
    const doomed = new Map<Container, Set<string | number>>();
    for (const { path } of issues) {
      const target = this.target(data, path);
      if (target === null) return false;
      const keys = doomed.get(target.container) ?? new Set();
      doomed.set(target.container, keys.add(target.key));
    }
    for (const [container, keys] of doomed) this.remove(container, keys);
    return true;
  }

  inFile(data: unknown, path: Path): Path {
    let at = data;
    return path.map((part) => {
      const index = Array.isArray(at) && typeof part === 'number' ? this.indexes.get(at)?.[part] : undefined;
      at = member(at, part);
      return index ?? part;
    });
  }

  touched(data: unknown, path: Path, deep: boolean): boolean {
    const at = path.reduce<unknown>(member, data);
    if (typeof at !== 'object' || at === null) return false;
    if (this.containers.has(at)) return true;
    return deep && Object.keys(at).some((key) => this.touched(at, [key], deep));
  }

  /** What to cut for an issue: the value itself or, where it is missing, what should hold it. */
  private target(data: unknown, path: Path): { container: Container; key: string | number } | null {
    let at = data;
    let target: { container: Container; key: string | number } | null = null;
    for (const part of path) {
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) break;
      target = { container: at as Container, key: part };
      at = member(at, part);
    }
    return target;
  }

  private remove(container: Container, keys: ReadonlySet<string | number>): void {
    this.containers.add(container);
    if (!Array.isArray(container)) {
      for (const key of keys) delete container[key];
      return;
    }
    const indexes = this.indexes.get(container) ?? container.map((_, i) => i);
    const left = container.map((_, i) => i).filter((i) => !keys.has(i));
    this.indexes.set(
      container,
      left.map((i) => indexes[i] as number),
    );
    container.splice(0, container.length, ...left.map((i) => container[i]));
  }
}

function member(at: unknown, part: string | number): unknown {
  return typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[part] : undefined;
}

type Issue = z.core.$ZodIssue;

function flatten(issue: Issue, prefix: Path): ShapeIssue[] {
  const path = [...prefix, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], kind: 'unknown-key', expected: '', cure: null }));
  if (issue.code === 'invalid_union') return flattenUnion(issue.errors, path);
  const params = issue.code === 'custom' ? issue.params : undefined;
  if (params !== undefined)
    return [
      { path, kind: 'leaf', expected: String(params.expected), cure: (params.cure ?? null) as string | null },
    ];
  const expected =
    issue.code === 'invalid_type' ? (TYPE_WORDS[issue.expected] ?? issue.expected) : issue.message;
  return [{ path, kind: 'type', expected, cure: null }];
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a mapping (key: value)',
  array: 'a list ("- " in front of each member, or [ … ])',
};

/** The alternative that got furthest was meant; if none took the value at all, any of them would do. */
function flattenUnion(alternatives: readonly (readonly Issue[])[], path: Path): ShapeIssue[] {
  const meant = alternatives.find((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'),
  );
  if (meant !== undefined) return meant.flatMap((issue) => flatten(issue, path));
  const all = alternatives.flatMap((issues) => issues.flatMap((issue) => flatten(issue, path)));
  const cure = all.find((issue) => issue.cure !== null)?.cure ?? null;
  return [{ path, kind: 'leaf', expected: all.map((issue) => issue.expected).join(', or '), cure }];
}

function same(a: ShapeIssue, b: ShapeIssue): boolean {
  return (
    a.kind === b.kind && a.path.length === b.path.length && a.path.every((part, i) => part === b.path[i])
  );
}
