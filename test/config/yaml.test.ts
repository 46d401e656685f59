import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFault } from '../../src/config/load/index.ts';
import { draftOf, faultsOf } from './kit.ts';

/** Text that YAML can't read, or reads as something else; the first fault, in parts that have to appear. */
const TRAPS: readonly (readonly [
  name: string,
  text: string,
  place: string,
  expected: string,
  cure: string,
])[] = [
  ['a tab', 'listeners:\n\t- name: x\n', '2:1', 'spaces for indentation', 'replace the tab'],
  [
    'an IPv6 address without quotes',
    'admin: { address: [::1]:80 }\n',
    '1:24',
    '',
    'quote the IPv6 address: "[::1]:80"',
  ],
  [
    'a wildcard without quotes',
    'routes: [{ hostnames: [*.cart.shop] }]\n',
    '1:24',
    'a quoted wildcard',
    'quote it: "*.cart.shop"',
  ],
  ['a value that starts with @', 'workers: @2\n', '1:10', 'a value', 'quote it: "@2"'],
  ['a quote that is not closed', 'admin: "abc\n', '2:1', 'a closing quote', 'close what was opened'],
  [
    'a key that stands too far left',
    'listeners:\n  - name: x\n   address: y\n',
    '3:1',
    '',
    'same number of spaces',
  ],
  ['a second document', 'workers: 2\n---\nworkers: 3\n', '2:1', 'one document', 'remove the "---"'],
  ['a tag', 'workers: !int 2\n', '1:10', 'no tag', 'remove it'],
  ['a duplicate key', 'workers: 2\nworkers: 3\n', '2:1', 'each key once', 'remove one'],
  ['a mapping as a key', '? { a: 1 }\n: 2\n', '1:3', 'a plain key', ''],
  ['an anchor that does not exist', 'workers: *w\n', '1:10', 'an alias of an anchor', 'quote it: "*w"'],
  ['an alias of what holds it', 'listeners: [&a [*a]]\n', '1:17', 'does not contain it', 'remove the cycle'],
  ['brackets without end', '['.repeat(100_000), '1:1', '64 levels of nesting', 'bracket'],
  [
    'indentation without end',
    Array.from({ length: 70 }, (_, i) => `${' '.repeat(i)}a:\n`).join(''),
    '65:65',
    '64 levels',
    'indentation',
  ],
  ['nothing', '', '1:1', 'a configuration', 'demo.yaml'],
  ['comments alone', '# nothing\n', '1:1', 'a configuration', 'demo.yaml'],
  ['a list', '[]', '1:1', 'a mapping', 'start with listeners:'],
  ['a word', 'hello', '1:1', 'a mapping', 'start with listeners:'],
];

for (const [name, text, place, expected, cure] of TRAPS) {
  test(`tells ${name}`, () => {
    const found = faultsOf(text);
    const shown = found.map(formatFault).join('\n');
    const fault = found.find(
      (one) => `${one.line}:${one.column}` === place && one.expected.includes(expected),
    );
    assert.ok(fault, shown);
    assert.ok((fault.cure ?? '').includes(cure), shown);
    const here = found.filter(
      (one) => `${one.line}:${one.column}` === place && one.path !== 'listeners' && one.path !== 'routes',
    );
    assert.equal(here.length, 1, `one place, one fault\n${shown}`);
  });
}

test('tells another encoding, and the line of bytes that are no UTF-8', () => {
  assert.equal(faultsOf(Buffer.from('workers: 2', 'utf16le').subarray(0, 0)).length, 1);
  assert.equal(faultsOf(Buffer.from('\ufeffworkers: 2', 'utf16le'))[0]?.found, 'UTF-16');
  assert.equal(faultsOf(Buffer.from([0x61, 0x0a, 0x62, 0xff]))[0]?.found, 'other bytes in line 2');
});

test('a byte order mark is skipped', () => {
  const text = '\ufefflisteners: [{ name: web, address: ":80" }]';
  assert.equal(draftOf(text).listeners.length, 1);
  assert.equal(draftOf(text.replaceAll('\n', '\r\n')).listeners.length, 1);
});

test('JSON is YAML', () => {
  assert.equal(
    draftOf(JSON.stringify({ listeners: [{ name: 'web', address: ':80' }] })).listeners[0]?.port,
    80,
  );
});

test('anchors, aliases and merge keys work, also hundreds of them', () => {
  const services = Array.from(
    { length: 600 },
    (_, i) => `  - { <<: *base, name: s${i}, circuitBreaker: *cb }\n`,
  ).join('');
  const draft = draftOf(
    `listeners: [{ name: web, address: ":80" }]\nservices:\n  - &base { name: s, connectTimeout: 3s, endpoints: [{ address: 1.2.3.4:80 }], circuitBreaker: &cb { maxRequests: 7 } }\n${services}`,
  );
  assert.equal(draft.services.length, 601);
  for (const service of draft.services) {
    assert.equal(service.connectTimeoutMs, 3000);
    assert.equal(service.circuitBreaker.maxRequests, 7);
  }
});

test('a fault behind an alias or a merge stands where the anchor is', () => {
  const found = faultsOf(
    'listeners: [{ name: web, address: ":80" }]\nservices:\n  - &base { name: s, connectTimeout: 3, endpoints: [] }\n  - { <<: *base, name: t }\n',
  ).filter((fault) => fault.severity === 'error');
  assert.deepEqual(
    found.map((fault) => `${fault.line}:${fault.column} ${fault.path}`),
    ['3:38 services[0].connectTimeout', '3:38 services[1].connectTimeout'],
  );
});

test('aliases of aliases are bounded by what they expand to', () => {
  let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 12; i++)
    bomb += `a${i}: &a${i} [${Array(10)
      .fill(`*a${i - 1}`)
      .join(', ')}]\n`;
  const found = faultsOf(bomb);
  assert.equal(found.length, 1);
  assert.match(found[0]?.expected ?? '', /at most 2000000 nodes/);
});

test('names of object members are keys like any other', () => {
  for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const found = faultsOf(`listeners: [{ name: web, address: ":80" }]\n${key}: { polluted: 1 }\n`);
    assert.deepEqual(
      found.filter((fault) => fault.severity === 'error').map((fault) => fault.found),
      [`"${key}"`],
    );
  }
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('a file above the limit is refused before it is parsed', () => {
  const [fault] = faultsOf(Buffer.alloc(16 * 1024 * 1024 + 1, 0x20));
  assert.match(fault?.expected ?? '', /at most 16777216 bytes/);
});
