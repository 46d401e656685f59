/** The rules of the tree as functions from its sources to findings; none reads a file, so each can be shown one. */
import { posix } from 'node:path';
import { BANS, IO_MODULES, LINES_MAX, PURE_ROOMS, ROOMS, type Room, WORKER } from './layout.ts';
import { lineAt, type Source } from './source.ts';

export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export type Rule = (tree: ReadonlyMap<string, Source>) => Finding[];

/** Imports go down in rank, between rooms only by a door, and to a file that is there. */
export const ranks: Rule = (tree) =>
  eachImport(tree, (source, specifier) => {
    if (!specifier.startsWith('.')) return null;
    const target = resolve(source.path, specifier);
    if (!tree.has(target)) return `${specifier} is not there`;
    const from = roomOf(source.path);
    const to = roomOf(target);
    if (from === null) return `${source.path} is in no room: give it one in test/tidy/layout.ts`;
    if (to === null) return `${target} is in no room: give it one in test/tidy/layout.ts`;
    if (from === to) return null;
    if (to.rank >= from.rank) {
      return `${from.path} (rank ${from.rank}) imports ${to.path} (rank ${to.rank}): imports go to a lower rank`;
    }
    const doors = to.doors ?? [`${to.path}/index.ts`];
    return doors.includes(target)
      ? null
      : `${target} is not the door of its room: import ${doors.join(' or ')}`;
  });

/** dataplane/ and what belongs to it, controlplane/ and what belongs to it: never each other. */
export const sides: Rule = (tree) =>
  eachImport(tree, (source, specifier) => {
    if (!specifier.startsWith('.')) return null;
    const from = roomOf(source.path)?.side ?? 'both';
    const to = roomOf(resolve(source.path, specifier))?.side ?? 'both';
    if (from === 'both' || to === 'both' || from === to) return null;
    return `the ${from} side imports the ${to} side: they share snapshot, channel and ledger only`;
  });

/** Everything that the worker's entry loads, however far away. Types are erased and don't count. */
export const workerLoads: Rule = (tree) => {
  const findings: Finding[] = [];
  const via = new Map<string, string>([[WORKER.entry, '']]);
  for (const [path, chain] of via) {
    for (const { specifier, line, typeOnly } of tree.get(path)?.imports ?? []) {
      if (typeOnly) continue;
      const here = `${chain}${path}`;
      if (specifier.startsWith('.')) {
        const target = resolve(path, specifier);
        if (!via.has(target)) via.set(target, `${here} → `);
      } else if (WORKER.banned.some((name) => specifier === name || specifier.startsWith(withSlash(name)))) {
        findings.push({ rule: 'worker loads', path, line, message: `a worker loads ${specifier}: ${here}` });
      }
    }
  }
  return findings;
};

/** Decisions do no input and no output. */
export const pureImports: Rule = (tree) =>
  eachImport(tree, (source, specifier, typeOnly) => {
    if (typeOnly || !PURE_ROOMS.some((room) => source.path.startsWith(room))) return null;
    return IO_MODULES.test(specifier) ? `${specifier} in a room that only decides` : null;
  });

/** What `src/` imports comes with the published package. */
export function packages(dependencies: readonly string[]): Rule {
  return (tree) =>
    eachImport(tree, (_source, specifier, typeOnly) => {
      if (typeOnly || /^(?:\.|node:)/.test(specifier)) return null;
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
      return dependencies.includes(name) ? null : `${name} is not among the dependencies in package.json`;
    });
}

export const sizes: Rule = (tree) =>
  [...tree.values()].flatMap(({ path, text }) => {
    const lines = text.trimEnd().split('\n').length;
    if (lines <= LINES_MAX) return [];
    return [
      { rule: 'sizes', path, line: LINES_MAX, message: `${lines} lines; at most ${LINES_MAX}: split it` },
    ];
  });

/** A module opens by saying what it is. */
export const headers: Rule = (tree) =>
  [...tree.values()].flatMap(({ path, text }) => {
    if (!path.startsWith('src/')) return [];
    const opening = /^(?:#!.*\n)?(?:\/\*([\s\S]*?)\*\/|((?:\/\/.*\n)+))/.exec(text);
    const words = (opening?.[1] ?? opening?.[2] ?? '').match(/\w+/g)?.length ?? 0;
    if (words >= 4) return [];
    return [
      { rule: 'headers', path, line: 1, message: 'a module opens with a comment: what it is, and why so' },
    ];
  });

export const bans: Rule = (tree) =>
  [...tree.values()].flatMap((source) =>
    BANS.filter(
      ({ where, except = [] }) =>
        where.some((prefix) => source.path.startsWith(prefix)) &&
        !except.some((prefix) => source.path.startsWith(prefix)),
    ).flatMap(({ name, pattern, in: kind, why }) =>
      [...source[kind].matchAll(pattern)].map((match) => ({
        rule: name,
        path: source.path,
        line: lineAt(source.text, match.index),
        message: `${match[0].trim()}: ${why}`,
      })),
    ),
  );

export function roomOf(path: string): Room | null {
  let found: Room | null = null;
  for (const room of ROOMS) {
    const inside = path.startsWith(`${room.path}/`) || path === `${room.path}.ts`;
    if (inside && room.path.length > (found?.path.length ?? 0)) found = room;
  }
  return found;
}

function eachImport(
  tree: ReadonlyMap<string, Source>,
  check: (source: Source, specifier: string, typeOnly: boolean) => string | null,
): Finding[] {
  return [...tree.values()]
    .filter(({ path }) => path.startsWith('src/'))
    .flatMap((source) =>
      source.imports.flatMap(({ specifier, line, typeOnly }) => {
        const message = check(source, specifier, typeOnly);
        return message === null ? [] : [{ rule: 'imports', path: source.path, line, message }];
      }),
    );
}

function resolve(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier);
}

function withSlash(name: string): string {
  return name.endsWith('/') ? name : `${name}/`;
}
