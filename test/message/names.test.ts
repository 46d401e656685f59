/** Known names are told apart from bytes, in any case, and nothing else passes for one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FieldSet,
  H,
  HeaderList,
  nameIdOf,
  nameIdOfBytes,
  nameOfId,
  X_ENVOY,
} from '../../src/message/index.ts';

const names = Object.keys(H);
const idOf = (text: string): number =>
  nameIdOfBytes(Buffer.from(`xx${text}yy`, 'latin1'), 2, 2 + text.length);

test('every known name is found in every case', () => {
  for (const name of names) {
    const id = nameIdOf(name);
    assert.equal(nameOfId(id), name);
    assert.equal(idOf(name), id);
    assert.equal(idOf(name.toUpperCase()), id);
    assert.equal(idOf(name.replace(/\b./g, (first) => first.toUpperCase())), id);
  }
});

test('a name that differs in one token character is another one', () => {
  const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (const name of names) {
    for (let at = 0; at < name.length; at++) {
      for (const char of token) {
        if (char.toLowerCase() === name[at]) continue;
        const other = name.slice(0, at) + char + name.slice(at + 1);
        assert.equal(idOf(other), expected(other.toLowerCase()), other);
      }
    }
    assert.equal(idOf(name.slice(1)), expected(name.slice(1)), name.slice(1));
    assert.equal(idOf(`${name}s`), expected(`${name}s`));
  }
});

/** What is known by its prefix alone has no id to be looked up by. */
const expected = (lower: string): number =>
  nameIdOf(lower) || (lower.startsWith('x-envoy-') && lower !== 'x-envoy-' ? X_ENVOY : 0);

test('every other x-envoy-* name is marked as one, and still told apart from the others', () => {
  assert.equal(idOf('X-Envoy-Whatever'), X_ENVOY);
  assert.equal(nameIdOf('x-envoy-whatever'), 0);
  const list = HeaderList.of(
    'X-Envoy-A',
    '1',
    'x-envoy-b',
    '2',
    'x-other',
    '3',
    'x-envoy-attempt-count',
    '4',
  );
  assert.equal(list.has(X_ENVOY), true);
  assert.deepEqual(
    ['x-envoy-a', 'x-envoy-b', 'x-envoy-c', 'x-other'].map((name) => list.get(name)),
    ['1', '2', undefined, '3'],
  );
  assert.equal(list.delete('x-envoy-b'), true);
  assert.deepEqual([list.get('x-envoy-a'), list.get('x-envoy-b')], ['1', undefined]);
  list.deleteAll(new FieldSet([X_ENVOY]));
  assert.equal(list.toText(), 'x-other: 3\r\nx-envoy-attempt-count: 4\r\n');
  assert.equal(HeaderList.of('x-other', '1').has(X_ENVOY), false);
});

test('a set knows its members', () => {
  const set = new FieldSet([H.via, H['transfer-encoding'], H['jaeger-debug-id']]);
  assert.equal(set.hasId(H.via), true);
  assert.equal(set.hasId(H['jaeger-debug-id']), true);
  assert.equal(set.hasId(H.te), false);
  assert.equal(set.hasId(0), false);
});
