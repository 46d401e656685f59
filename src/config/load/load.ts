/**
 * From the text of a configuration file to a draft, or to all its faults at once: syntax first, then the
 * shape by the schema, then the meaning of whatever has the right shape. Nothing stops at the first
 * fault but text that is no YAML at all, and nothing is half accepted.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { LIMITS } from '../../base/index.ts';
import type { ConfigDraft } from '../draft.ts';
import { checkLocalityNeeds, localityNeeds } from './check-balancer.ts';
import { checkL4Routes } from './check-l4-route.ts';
import { checkNode } from './check-node.ts';
import { checkRoutes } from './check-route.ts';
import { checkServices } from './check-service.ts';
import type { CheckContext, FaultSpec } from './context.ts';
import { type Fault, pathText } from './fault.ts';
import { type ConfigFields, configSchema } from './schema.ts';
import { type Shaped, type ShapeIssue, shape } from './shape.ts';
import { type Path, readSource, type SourceText } from './source-text.ts';
import { factsOf, RouteTargets } from './targets.ts';
import { toDraft } from './to-draft.ts';
import { unknownKeyWords } from './unknown-key.ts';

export interface LoadOptions {
  /** Directory that relative paths in the file start from. Default: that of the file. */
  readonly directory?: string;
  /** Workers when the file names none. Default: the processors this process may use. */
  readonly processors?: number;
  /** Whether a file is there and may be read. Default: asks the file system. */
  readonly fileReadable?: (path: string) => boolean;
}

export type LoadResult =
  | { readonly ok: true; readonly draft: ConfigDraft; readonly warnings: readonly Fault[] }
  /** Errors and warnings in the order of the file. */
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Checks a whole configuration and lists every fault of it at once. `file` is what faults call it. */
export function loadConfig(text: string | Uint8Array, file: string, options: LoadOptions = {}): LoadResult {
  const directory = resolve(options.directory ?? dirname(file));
  const source = readSource(text);
  const faults: Fault[] = source.complaints.map((complaint) => ({
    severity: 'error',
    file,
    line: complaint.line,
    column: complaint.column,
    path: '',
    expected: complaint.expected,
    found: complaint.found,
    cure: complaint.cure,
  }));
  if (source.data === undefined || source.data === null) {
    if (faults.length === 0) faults.push(emptyFile(file));
    return { ok: false, faults: bounded(inOrder(faults), file) };
  }
  const listenerNames = uniqueNames('listeners', source, file, faults);
  const serviceNames = uniqueNames('services', source, file, faults);
  for (const list of ['routes', 'tlsRoutes', 'tcpRoutes']) uniqueNames(list, source, file, faults);
  const shaped = shape(configSchema, source.data);
  const complained = new Set(faults.map(placeKey));
  for (const issue of shaped.issues) {
    const fault = shapeFault(issue, source, file);
    // What YAML misread (an unquoted wildcard, say) has been told in words that fit better.
    if (!complained.has(placeKey(fault))) faults.push(fault);
  }
  if (shaped.value !== null) {
    const resolvePath = (path: string) => resolve(directory, path);
    const context: CheckContext = {
      ...reporter(shaped, source, file, faults),
      listenerNames,
      serviceNames,
      resolvePath,
      readable: onceEach(options.fileReadable ?? fileReadable),
    };
    checkNode(shaped.value, context);
    const targets = new RouteTargets(shaped.value.listeners);
    for (const service of shaped.value.services) targets.add(factsOf(service));
    checkRoutes(shaped.value, targets, context);
    checkL4Routes(shaped.value, targets, context);
    checkServices(shaped.value, context);
    const node = shaped.value;
    node.services.forEach((service, i) => {
      const needs = localityNeeds(service, ['services', i]);
      if (needs !== null) checkLocalityNeeds(needs, node, context);
    });
    if (faults.every((fault) => fault.severity === 'warning')) {
      const draft = toDraft(shaped.value, resolvePath, processorsOf(options));
      return { ok: true, draft, warnings: inOrder(faults) };
    }
  }
  return { ok: false, faults: bounded(inOrder(faults), file) };
}

function reporter(
  shaped: Shaped<ConfigFields>,
  source: SourceText,
  file: string,
  faults: Fault[],
): Pick<CheckContext, 'fault' | 'faultIfWhole' | 'whole' | 'lineOf'> {
  const fault = (spec: FaultSpec): void => {
    const path = shaped.inFile(spec.path);
    const place = source.placeOf(path);
    faults.push({
      severity: spec.severity ?? 'error',
      file,
      line: place.line,
      column: place.column,
      path: pathText(path),
      expected: spec.expected,
      found: spec.found ?? place.found,
      cure: spec.cure ?? null,
    });
  };
  const whole = (path: Path): boolean => !shaped.cut(path, true) && !shaped.cut(path.slice(0, -1), false);
  return {
    fault,
    faultIfWhole(spec) {
      if (whole(spec.path)) fault(spec);
    },
    whole,
    lineOf: (path) => source.placeOf(shaped.inFile(path)).line,
  };
}

function shapeFault(issue: ShapeIssue, source: SourceText, file: string): Fault {
  const base = { severity: 'error', file, path: pathText(issue.path) } as const;
  if (issue.kind === 'unknown-key') {
    const { line, column } = source.placeOfKey(issue.path);
    const key = String(issue.path.at(-1));
    return { ...base, line, column, ...unknownKeyWords(configSchema, issue.path), found: `"${key}"` };
  }
  const { line, column, found } = source.placeOf(issue.path);
  const empty = issue.kind === 'type' && found === 'nothing';
  if (issue.path.length === 0)
    return {
      ...base,
      line,
      column,
      expected: issue.expected,
      found,
      cure: 'start with listeners:, routes: and services:',
    };
  const cure = issue.cure ?? (empty ? 'indent what belongs to it, or remove the key' : null);
  return {
    ...base,
    line,
    column,
    expected: issue.expected,
    found,
    cure: found === null ? (cure ?? 'add it') : cure,
  };
}

/** Every name in a list, also of members with faults of their own, so that no reference dangles for those. */
function uniqueNames(list: string, source: SourceText, file: string, faults: Fault[]): ReadonlySet<string> {
  const members: unknown = (source.data as Record<string, unknown>)[list];
  const first = new Map<string, number>();
  if (!Array.isArray(members)) return new Set();
  members.forEach((member: unknown, i) => {
    const name = typeof member === 'object' && member !== null && 'name' in member ? member.name : undefined;
    if (typeof name !== 'string') return;
    const earlier = first.get(name);
    if (earlier === undefined) {
      first.set(name, i);
      return;
    }
    const { line, column, found } = source.placeOf([list, i, 'name']);
    faults.push({
      severity: 'error',
      file,
      line,
      column,
      path: pathText([list, i, 'name']),
      expected: 'a name that is used once',
      found: `${found}, as in line ${source.placeOf([list, earlier, 'name']).line}`,
      cure: 'rename one of the two, or merge them',
    });
  });
  return new Set(first.keys());
}

function placeKey(fault: Fault): string {
  return `${fault.line}:${fault.column}`;
}

function emptyFile(file: string): Fault {
  return {
    severity: 'error',
    file,
    line: 1,
    column: 1,
    path: '',
    expected: 'a configuration',
    found: 'an empty file',
    cure: 'config/demo.yaml is one to start from',
  };
}

export function inOrder(faults: readonly Fault[]): Fault[] {
  return faults.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function bounded(faults: readonly Fault[], file: string): readonly Fault[] {
  if (faults.length <= LIMITS.configFaults) return faults;
  const more = faults.length - LIMITS.configFaults;
  const last = faults[LIMITS.configFaults] as Fault;
  const rest: Fault = {
    ...last,
    file,
    path: '',
    expected: 'fewer faults',
    found: `${more} more`,
    cure: 'mend those above first',
  };
  return [...faults.slice(0, LIMITS.configFaults), rest];
}

export function processorsOf({ processors }: LoadOptions): number {
  return Math.min(processors ?? availableParallelism(), LIMITS.workers);
}

/** Thousands of services may name the same certificate: a file is looked for once per load. */
export function onceEach(look: (path: string) => boolean): (path: string) => boolean {
  const seen = new Map<string, boolean>();
  return (path) => {
    const known = seen.get(path);
    if (known !== undefined) return known;
    const found = look(path);
    seen.set(path, found);
    return found;
  };
}

export function fileReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
