import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/config/load/suggest.ts';

const KEYS = ['name', 'address', 'maxConnections', 'maxRequests', 'consecutive5xxErrors', 'tls', 'web'];

for (const [word, expected] of [
  ['adress', 'address'],
  ['adderss', 'address'],
  ['max_connections', 'maxConnections'],
  ['max-requests', 'maxRequests'],
  ['Consecutive5XXErrors', 'consecutive5xxErrors'],
  ['tsl', 'tls'],
  ['wb', 'web'],
  ['colour', null],
  ['x', null],
  ['', null],
  ['a'.repeat(10_000), null],
] as const) {
  test(`${word.slice(0, 30) || 'nothing'} suggests ${expected ?? 'nothing'}`, () => {
    assert.equal(nearest(word, KEYS), expected);
  });
}
