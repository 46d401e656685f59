import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { ConfigLoader, type LoadOptions, type LoadResult, loadConfig } from '../../src/config/load/index.ts';
import { randomConfig, randomOf } from './kit.ts';

const OPTIONS: LoadOptions = { directory: '/etc/outboard', processors: 4, fileReadable: () => true };
const SEEDS = 5;

type Random = (below: number) => number;

function loaderOf(options: LoadOptions = OPTIONS): ConfigLoader {
  return new ConfigLoader('c.yaml', options);
}

/** In one of the ways in which people and programs write it. */
function textOf(config: unknown, random: Random): string {
  switch (random(5)) {
    case 0:
      return JSON.stringify(config);
    case 1:
      return `\n${JSON.stringify(config, null, 2)}\n`;
    case 2:
      return stringify(config, { indentSeq: false });
    case 3:
      return `# comment\n---\n${stringify(config, { indent: 4, collectionStyle: 'any' })}`.replaceAll(
        '\n',
        '\r\n',
      );
    default:
      return stringify(config).replaceAll(/^( +)- name/gm, '\n$1# about this one\n$1- name');
  }
}

/** A slip of the hand: something is missing, twice, or elsewhere. */
function damaged(text: string, random: Random): string {
  const lines = text.split('\n');
  const at = random(lines.length);
  const line = lines[at] as string;
  const character = random(line.length + 1);
  switch (random(5)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.splice(at, 0, line);
      break;
    case 2:
      lines[at] = ` ${line}`;
      break;
    case 3:
      lines[at] = line.slice(0, character) + line.slice(character + 1);
      break;
    default:
      lines[at] = line.slice(0, character) + ('{}[]":,-&*#\t'[random(12)] as string) + line.slice(character);
  }
  return lines.join('\n');
}

function changed(config: Record<string, unknown>, random: Random): Record<string, unknown> {
  const { routes, services } = randomConfig(random) as Record<string, unknown[]>;
  switch (random(4)) {
    case 0:
      return { ...config, routes: [...(config.routes as unknown[]), ...(routes ?? [])] };
    case 1:
      return { ...config, services: [...(config.services as unknown[])].reverse() };
    case 2:
      return { ...config, services };
    default:
      return { ...config, admin: { address: '0.0.0.0:1' }, routes: (config.routes as unknown[]).slice(1) };
  }
}

function assertSame(loader: ConfigLoader, text: string, where: string, options = OPTIONS): LoadResult {
  const result = loader.load(text);
  assert.deepEqual(result, loadConfig(text, 'c.yaml', options), `${where}\n${text}`);
  return result;
}

test('loads what loadConfig loads, and finds what it finds, in the same places', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = randomOf(seed);
    const loader = loaderOf();
    let config = randomConfig(random);
    for (let step = 0; step < 6; step++) {
      const where = `seed ${seed}, step ${step}`;
      const text = textOf(config, random);
      assertSame(loader, text, where);
      assertSame(loader, damaged(text, random), `${where}, damaged`);
      config = changed(config, random);
    }
  }
});

const service = (name: string, more = '') =>
  `  - name: ${name}\n    endpoints: [{ address: "10.0.0.1:80" }]\n${more}`;
const route = (name: string, to: string, more = '') =>
  `  - name: ${name}\n    rules:\n      - backendRefs: [{ name: ${to} }]\n${more}`;
const whole = (routes: string, services: string, head = '') =>
  `${head}listeners:\n  - { name: web, address: ":80" }\nroutes:\n${routes}services:\n${services}`;

test('what did not change is the same object, wherever it moved to', () => {
  const r = (name: string, to: string) => ({ name, rules: [{ backendRefs: [{ name: to }] }] });
  const s = (name: string, port: number) => ({ name, endpoints: [{ address: `10.0.0.1:${port}` }] });
  for (const write of [JSON.stringify, stringify]) {
    const loader = loaderOf();
    const load = (routes: unknown, services: unknown) => {
      const result = loader.load(write({ listeners: [{ name: 'web', address: ':80' }], routes, services }));
      assert.ok(result.ok);
      return result.draft;
    };
    const first = load([r('r1', 'a'), r('r2', 'b')], [s('a', 1), s('b', 1)]);
    const second = load([r('r0', 'c'), r('r2', 'b'), r('r1', 'a')], [s('b', 2), s('a', 1), s('c', 1)]);
    assert.equal(second.routes[1], first.routes[1]);
    assert.equal(second.routes[2], first.routes[0]);
    assert.equal(second.services[1], first.services[0]);
    assert.notEqual(second.services[0], first.services[1]);
    assert.equal(second.services[0]?.endpoints[0]?.port, 2);
  }
});

test('an unchanged member is checked again against what it refers to', () => {
  const loader = loaderOf();
  const a = service('a');
  const b = service('b');
  const retries = '        retry: { attempts: 9 }\n';
  assert.ok(assertSame(loader, whole(route('r', 'b', retries), a + b), 'good').ok);
  assert.ok(!assertSame(loader, whole(route('r', 'b', retries), a), 'its service is gone').ok);
  const off = assertSame(
    loader,
    whole(route('r', 'b', retries), a + service('b', '    retryBudget: off\n')),
    'budget off',
  );
  assert.equal(off.ok && off.warnings.length, 1);
  const parent = route('r', 'a', '    parentRefs: [{ sectionName: web }]\n');
  assert.ok(assertSame(loader, whole(parent, a), 'names a listener').ok);
  assert.ok(!assertSame(loader, whole(parent, a).replace('name: web', 'name: other'), 'which is gone').ok);
});

test('the files of an unchanged service are looked for with every load', () => {
  let there = true;
  const options = { ...OPTIONS, fileReadable: () => there };
  const loader = loaderOf(options);
  const text = whole(route('r', 'a'), service('a', '    tls: { sni: a.shop, caFile: ca.pem }\n'));
  const first = assertSame(loader, text, 'there', options);
  const second = assertSame(loader, `# more\n${text}`, 'there', options);
  assert.ok(first.ok && second.ok);
  assert.equal(second.draft.services[0], first.draft.services[0]);
  there = false;
  assert.ok(!assertSame(loader, text, 'gone', options).ok);
});

test('a warning is told with every load, in its place', () => {
  const loader = loaderOf();
  const warned = service('b', '    circuitBreaker: { maxRetries: 7 }\n');
  for (const before of ['', service('x'), service('x') + service('y')]) {
    const result = assertSame(
      loader,
      whole(route('r', 'b'), before + warned, 'admin: { address: "0.0.0.0:1" }\n'),
      before,
    );
    assert.equal(result.ok && result.warnings.length, 2);
  }
});

const good = whole(route('r', 'a'), service('a'));
const json = JSON.stringify({
  listeners: [{ name: 'web', address: ':80' }],
  routes: [{ name: 'r', rules: [{ backendRefs: [{ name: 'a' }] }] }],
  services: [{ name: 'a', endpoints: [{ address: '10.0.0.1:80' }] }],
});

const TRAPS: Readonly<Record<string, string>> = {
  'an anchor in another member': whole(
    route('r', 'a'),
    '  - &a { name: a, endpoints: [{ address: "10.0.0.1:80" }] }\n  - { <<: *a, name: b }\n',
  ),
  'an anchor in the rest': `x: &e [{ address: "10.0.0.1:80" }]\n${whole(route('r', 'a'), '  - { name: a, endpoints: *e }\n')}`,
  'a dash in a block scalar': whole(
    '  - name: r\n    rules:\n      - filters:\n          - type: DirectResponse\n            directResponse:\n              statusCode: 200\n              body: |\n                - name: x\n\n                # no comment\n',
    service('a'),
  ),
  'a list key in a block scalar': `${good}x: |\n  services:\n    - name: z\n`,
  'a list that is there twice': `${good}services:\n${service('b')}`,
  'a quoted list key': `${good.replace('services:', '"services":')}`,
  'a name that is there twice': whole(route('r', 'a') + route('r', 'a'), service('a')),
  'a member that is no mapping': whole('  - r\n', service('a')),
  'a list of lists': whole('  - - name: r\n', service('a')),
  'a mapping in place of a list': whole(route('r', 'a'), '  name: a\n'),
  'YAML 1.1': `%YAML 1.1\n---\n${good}`,
  'a second document': `${good}---\n${good}`,
  'a document that ends': `${good}...\n`,
  'tabs for indentation': good.replace('    endpoints', '\tendpoints'),
  'an unclosed quote': good.replace('name: a', 'name: "a'),
  'a key twice in JSON': json.replace('"name":"a"', '"name":"b","name":"a"'),
  'a list twice in JSON': json.replace('"services"', '"routes":[],"services"'),
  'a comma too many in JSON': json.replace('}],"services"', '},],"services"'),
  'no comma between members in JSON': json.replace('{"name":"a","e', '{"name":"b"}{"name":"a","e'),
  'text between members in JSON': json.replace('{"name":"a","e', '1,{"name":"a","e'),
  'a bracket in a string in JSON': json.replace('"web"', '"]}\\"{["'),
  'text after JSON': `${json}]`,
  'a list deeper down in JSON': `{"x":{"services":[{"name":"z"}]},${json.slice(1)}`,
  'a key that JavaScript knows': json.replace('"name":"r"', '"__proto__":{"a":1},"name":"r"'),
  'no routes': JSON.stringify({ ...JSON.parse(json), routes: [] }),
  nothing: '',
};

test('a text that is not what it seems to be is read as a whole', () => {
  for (const [name, text] of Object.entries(TRAPS)) {
    const loader = loaderOf();
    assertSame(loader, good, name);
    assertSame(loader, text, name);
    assertSame(loader, json, name);
    assertSame(loader, text, name);
  }
});
