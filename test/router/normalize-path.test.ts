import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PathNormalization } from '../../src/config/index.ts';
import { normalizePath } from '../../src/dataplane/router/index.ts';
import { below, freshSeed, oneOf, seeded } from './seeded.ts';

const MODES: readonly PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'];

/** What a target becomes in NONE, BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES; null: refused; '': as BASE. */
const TABLE: readonly (readonly [string, string | null, string | null, string | null, string | null])[] = [
  ['/', '/', '/', '/', '/'],
  ['', '/', '/', '/', '/'],
  ['?a=/../b', '/?a=/../b', '/?a=/../b', '/?a=/../b', '/?a=/../b'],
  ['*', '*', '*', '*', '*'],
  ['/a/b?x=1?y', '/a/b?x=1?y', '/a/b?x=1?y', '/a/b?x=1?y', '/a/b?x=1?y'],
  // Istio's own examples.
  ['/a/../b', '/a/../b', '/b', '/b', '/b'],
  ['/\\da', '/\\da', '//da', '/da', '/da'],
  ['/a//b', '/a//b', '/a//b', '/a/b', '/a/b'],
  ['/a%2fb', '/a%2fb', '/a%2fb', '/a%2fb', '/a/b'],
  [
    '/some%2fdata/%61%62%63',
    '/some%2fdata/%61%62%63',
    '/some%2fdata/abc',
    '/some%2fdata/abc',
    '/some/data/abc',
  ],
  ['/some\\data', '/some\\data', '/some/data', '/some/data', '/some/data'],
  ['/some//data///abc', '/some//data///abc', '/some//data///abc', '/some/data/abc', '/some/data/abc'],
  [
    '/public/./data/abc/../xyz',
    '/public/./data/abc/../xyz',
    '/public/data/xyz',
    '/public/data/xyz',
    '/public/data/xyz',
  ],
  // Dot segments (RFC 3986 section 5.4, as paths).
  ['/..', '/..', '/', '/', '/'],
  ['/.', '/.', '/', '/', '/'],
  ['/../../x', '/../../x', '/x', '/x', '/x'],
  ['/a/..', '/a/..', '/', '/', '/'],
  ['/a/b/..', '/a/b/..', '/a/', '/a/', '/a/'],
  ['/a/b/.', '/a/b/.', '/a/b/', '/a/b/', '/a/b/'],
  ['/a/b/../', '/a/b/../', '/a/', '/a/', '/a/'],
  ['/a/./b', '/a/./b', '/a/b', '/a/b', '/a/b'],
  ['/a/...', '/a/...', '/a/...', '/a/...', '/a/...'],
  ['/a/..b', '/a/..b', '/a/..b', '/a/..b', '/a/..b'],
  ['/.well-known/x', '/.well-known/x', '/.well-known/x', '/.well-known/x', '/.well-known/x'],
  ['/a.b/c..', '/a.b/c..', '/a.b/c..', '/a.b/c..', '/a.b/c..'],
  ['/a//../b', '/a//../b', '/a/b', '/a/b', '/a/b'],
  ['/..//a', '/..//a', '//a', '/a', '/a'],
  ['/a/..;/b', '/a/..;/b', '/a/..;/b', '/a/..;/b', '/a/..;/b'],
  ['/a;x=1/b;y', '/a;x=1/b;y', '/a;x=1/b;y', '/a;x=1/b;y', '/a;x=1/b;y'],
  // Encoded dots, slashes, backslashes.
  ['/a/%2e%2e/b', '/a/%2e%2e/b', '/b', '/b', '/b'],
  ['/a/%2E./b', '/a/%2E./b', '/b', '/b', '/b'],
  ['/a/.%2e', '/a/.%2e', '/', '/', '/'],
  ['/a%2Eb', '/a%2Eb', '/a.b', '/a.b', '/a.b'],
  ['/a\\..\\b', '/a\\..\\b', '/b', '/b', '/b'],
  ['/a/..%2fb', '/a/..%2fb', '/a/..%2fb', '/a/..%2fb', '/b'],
  ['/a%2F..%2Fb', '/a%2F..%2Fb', '/a%2F..%2Fb', '/a%2F..%2Fb', '/b'],
  ['/a%5C..%5cb', '/a%5C..%5cb', '/a%5C..%5cb', '/a%5C..%5cb', '/b'],
  ['/a%2f%2fb', '/a%2f%2fb', '/a%2f%2fb', '/a%2f%2fb', '/a/b'],
  ['//', '//', '//', '/', '/'],
  // Once only.
  ['/%252e%252e/a', '/%252e%252e/a', '/%252e%252e/a', '/%252e%252e/a', '/%252e%252e/a'],
  ['/a%252fb', '/a%252fb', '/a%252fb', '/a%252fb', '/a%252fb'],
  ['/%25', '/%25', '/%25', '/%25', '/%25'],
  // Encodings that stay, in the case they came in.
  ['/%C3%a9', '/%C3%a9', '/%C3%a9', '/%C3%a9', '/%C3%a9'],
  ['/a%20b%3F%23', '/a%20b%3F%23', '/a%20b%3F%23', '/a%20b%3F%23', '/a%20b%3F%23'],
  ['/%7euser/%5F%2D', '/%7euser/%5F%2D', '/~user/_-', '/~user/_-', '/~user/_-'],
  [
    '/a"<>^`{|}',
    '/a"<>^`{|}',
    '/a%22%3C%3E%5E%60%7B%7C%7D',
    '/a%22%3C%3E%5E%60%7B%7C%7D',
    '/a%22%3C%3E%5E%60%7B%7C%7D',
  ],
  ["/!$&'()*+,=:@[]", "/!$&'()*+,=:@[]", "/!$&'()*+,=:@[]", "/!$&'()*+,=:@[]", "/!$&'()*+,=:@[]"],
  // Refused.
  ['/a%00b', null, null, null, null],
  ['/%00', null, null, null, null],
  ['/a%', '/a%', null, null, null],
  ['/a%2', '/a%2', null, null, null],
  ['/a%zz', '/a%zz', null, null, null],
  ['/%%32%65%%32%65/a', '/%%32%65%%32%65/a', null, null, null],
  ['/%2%65%2%65/a', '/%2%65%2%65/a', null, null, null],
  ['/é', '/é', null, null, null],
  ['/a\x7f', '/a\x7f', null, null, null],
];

for (const [target, ...expected] of TABLE) {
  test(`${JSON.stringify(target)}`, () => {
    MODES.forEach((mode, column) => {
      const prepared = normalizePath(target, mode);
      assert.equal(prepared.failure ? null : prepared.target, expected[column], mode);
      assert.equal(prepared.path + prepared.query, prepared.target);
      if (prepared.failure) assert.equal(prepared.failure.kind, 'bad-path');
    });
  });
}

test('normalising twice gives the same, and never leaves what the mode removes', () => {
  const seed = freshSeed();
  const random = seeded(seed);
  const parts = [
    '/',
    '/',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%5C',
    '\\',
    'a',
    '%61',
    '%25',
    '%',
    '2',
    'e',
    ';',
    '%3b',
    '"',
  ];
  for (let i = 0; i < 20_000; i++) {
    const raw = `/${Array.from({ length: below(random, 12) }, () => oneOf(random, parts)).join('')}`;
    for (const mode of MODES) {
      const once = normalizePath(raw, mode);
      if (once.failure) continue;
      const said = `OUTBOARD_SEED=${seed}: ${raw} in ${mode} gave ${once.path}`;
      const twice = normalizePath(once.path, mode);
      assert.equal(twice.failure, null, said);
      assert.equal(twice.path, once.path, said);
      if (mode === 'NONE') continue;
      assert.doesNotMatch(once.path, /\/\.\.?(\/|$)|\\|%2e/i, said);
      assert.match(once.path, /^\//, said);
      if (mode !== 'BASE') assert.doesNotMatch(once.path, /\/\//, said);
      if (mode === 'DECODE_AND_MERGE_SLASHES') assert.doesNotMatch(once.path, /%2f|%5c/i, said);
    }
  }
});

test('a long hostile path costs no more than its length', () => {
  const hostile = [
    '/..'.repeat(5_000),
    `/${'a/../'.repeat(3_000)}`,
    '/%2e%2e'.repeat(2_000),
    '//'.repeat(8_000),
    '\\'.repeat(16_000),
  ];
  for (const path of hostile) {
    assert.equal(normalizePath(path, 'DECODE_AND_MERGE_SLASHES').path, '/');
  }
});
