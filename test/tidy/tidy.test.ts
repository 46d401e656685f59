/** The tree keeps its shape: import ranks, sides, sizes, banned calls, headers, links; and each rule can catch. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: source text under test
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brokenLinks } from './links.ts';
import {
  bans,
  type Finding,
  headers,
  packages,
  pureImports,
  type Rule,
  ranks,
  sides,
  sizes,
  workerLoads,
} from './rules.ts';
import { readSource, type Source } from './source.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MANIFEST = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
const DEPENDENCIES = Object.keys({ ...MANIFEST.dependencies, ...MANIFEST.optionalDependencies });

const RULES: Readonly<Record<string, Rule>> = {
  'imports go down in rank and through doors': ranks,
  'the data side and the control side never import each other': sides,
  'a worker loads no exporter, schema or command-line library': workerLoads,
  'rooms that only decide import nothing that does input or output': pureImports,
  'what is imported is among the dependencies': packages(DEPENDENCIES),
  'no file is over its size': sizes,
  'every module opens with what it is': headers,
  'no banned call': bans,
};

/** Per rule: a violation of each kind it knows, and what it must say of it. */
const CAUGHT: ReadonlyArray<readonly [rule: Rule, files: Record<string, string>, says: RegExp]> = [
  [ranks, { 'src/base/a.ts': "import '../config/index.ts';", 'src/config/index.ts': '' }, /lower rank/],
  [
    ranks,
    { 'src/ledger/a.ts': "import type { B } from '../message/index.ts';", 'src/message/index.ts': '' },
    /lower rank/,
  ],
  [ranks, { 'src/admin/a.ts': "export * from '../base/clock.ts';", 'src/base/clock.ts': '' }, /not the door/],
  [
    ranks,
    { 'src/admin/a.ts': "const b = await import('../base/clock.ts');", 'src/base/clock.ts': '' },
    /not the door/,
  ],
  [ranks, { 'src/base/a.ts': "import { b } from './b.ts';" }, /not there/],
  [ranks, { 'src/attic/a.ts': "import { b } from '../base/index.ts';", 'src/base/index.ts': '' }, /no room/],
  [
    sides,
    { 'src/dataplane/listener/a.ts': "import { s } from '../../supervisor.ts';", 'src/supervisor.ts': '' },
    /data side imports the control side/,
  ],
  [
    sides,
    { 'src/controlplane/health/a.ts': "import type { P } from '../../dataplane/policy/index.ts';" },
    /control side imports the data side/,
  ],
  [
    workerLoads,
    {
      'src/worker.ts': "import { a } from './telemetry/index.ts';",
      'src/telemetry/index.ts': "export { b } from './b.ts';",
      'src/telemetry/b.ts': "import { Span } from '@opentelemetry/api';",
    },
    /src\/worker\.ts → src\/telemetry\/index\.ts → src\/telemetry\/b\.ts/,
  ],
  [workerLoads, { 'src/worker.ts': "import { type Registry } from 'prom-client';" }, /loads prom-client/],
  [pureImports, { 'src/dataplane/router/a.ts': "import { connect } from 'node:net';" }, /node:net/],
  [
    pureImports,
    { 'src/dataplane/codec/http1/a.ts': "import { setTimeout } from 'node:timers/promises';" },
    /timers/,
  ],
  [packages(['zod']), { 'src/cli/a.ts': "import ts from 'typescript';\nimport 'zod/v4';" }, /typescript/],
  [sizes, { 'src/base/a.ts': 'let a;\n'.repeat(401) }, /401 lines/],
  [
    headers,
    { 'src/base/a.ts': 'export const a = 1;\n// too late, a comment that comes after' },
    /opens with/,
  ],
  [bans, { 'src/dataplane/policy/a.ts': 'setTimeout(f, 1);' }, /timer wheel/],
  [bans, { 'src/dataplane/upstream/a.ts': 'const now = Date.now();' }, /Clock/],
  [bans, { 'src/dataplane/balancer/a.ts': 'const r = Math.random();' }, /randomness/],
  [bans, { 'src/dataplane/router/a.ts': 'export async function f() {}' }, /answer at once/],
  [bans, { 'src/admin/a.ts': 'console.log(`${1}`);' }, /logger/],
  [bans, { 'src/admin/a.ts': 'const s = `${`}`} ${process.exit(1)}`;' }, /may end it/],
  [bans, { 'src/base/a.ts': 'let a: any;' }, /unknown/],
  [bans, { 'test/base/a.ts': 'const a = b as any;' }, /unknown/],
  [bans, { 'src/base/a.ts': '// @ts-ignore\nlet a = b;' }, /mend/],
  [bans, { 'test/base/a.ts': 'test.only(f);' }, /would not run/],
];

/** What no rule may take for a violation. */
const FINE: Record<string, string> = {
  'src/worker.ts': "/** The data plane of one thread. */\nimport type { Span } from '@opentelemetry/api';",
  'src/base/index.ts': "/** The door of the base room. */\nexport { a } from './a.ts';",
  'src/base/a.ts':
    '/** Nothing but a number, to be imported. */\nexport const a = 1 / 2 / 3;\nconst anyHost = { any: 1 };',
  'src/dataplane/router/a.ts': [
    '// Mentions of setTimeout() in a comment, and Date.now() here,',
    '// are no calls.',
    "import { a } from '../../base/index.ts';",
    "const b = 'setTimeout(f)' + `Date.now() ${a} Math.random()` + /console.log(\\/[/`]'/.source;",
    'socket.setTimeout(5);',
  ].join('\n'),
};

test('the scanner finds imports of every form, and none in strings and comments', () => {
  const { imports } = readSource(
    'src/a.ts',
    [
      "import a, { type B } from './1.ts';",
      "import type { C } from './2.ts';",
      "export * as d from './3.ts';",
      "import {\n  e,\n} from './4.ts';",
      "import './5.ts';",
      "const f = await import('./6.ts');",
      "// import './no.ts';",
      "const g = \"import './no.ts'\" + `import './no.ts' ${1}`;",
      "export const h = 'x', from = './no.ts';",
      "export type { I } from './7.ts';",
    ].join('\n'),
  );
  assert.deepEqual(
    imports.map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? ' type' : ''}`),
    ['./1.ts', './2.ts type', './3.ts', './4.ts', './5.ts', './6.ts', './7.ts type'],
  );
  assert.equal(imports[4]?.line, 7);
});

for (const [name, rule] of Object.entries(RULES)) {
  test(name, () => assert.deepEqual(shown(rule(tree())), []));
}

test('relative links in the documents lead somewhere', () => {
  const pages = new Map(
    globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT }).map((path) => [
      path,
      readFileSync(ROOT + path, 'utf8'),
    ]),
  );
  assert.deepEqual(shown(brokenLinks(pages, (path) => existsSync(ROOT + path))), []);
});

test('each rule catches a violation of each kind', () => {
  for (const [rule, files, says] of CAUGHT) {
    const findings = rule(seeded(files));
    assert.equal(findings.length, 1, `${JSON.stringify(files)} → ${shown(findings).join('; ') || 'nothing'}`);
    assert.match(findings[0]?.message ?? '', says);
  }
  const pages = new Map([['docs/A.md', '# One two\n[a](B.md) [b](#one-two) [c](#three) [d](https://x/y)']]);
  assert.match(
    shown(brokenLinks(pages, () => false)).join('\n'),
    /B\.md: no such file\n.*#three: no such heading/,
  );
});

test('no rule takes fine code for a violation', () => {
  for (const rule of Object.values(RULES)) assert.deepEqual(shown(rule(seeded(FINE))), []);
});

function tree(): Map<string, Source> {
  const paths = globSync(['src/**/*.ts', 'test/**/*.ts'], { cwd: ROOT });
  assert.ok(paths.length > 0);
  return new Map(paths.map((path) => [path, readSource(path, readFileSync(ROOT + path, 'utf8'))]));
}

function seeded(files: Record<string, string>): Map<string, Source> {
  return new Map(Object.entries(files).map(([path, text]) => [path, readSource(path, text)]));
}

function shown(findings: readonly Finding[]): string[] {
  return findings.map(({ path, line, rule, message }) => `${path}:${line}: ${rule}: ${message}`);
}
