/** Known names are told apart from bytes, in any case, and nothing else passes for one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldSet, H, nameIdOf, nameIdOfBytes, nameOfId } from '../../src/message/index.ts';

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
        assert.equal(idOf(other), nameIdOf(other.toLowerCase()), other);
      }
    }
    assert.equal(idOf(name.slice(1)), nameIdOf(name.slice(1)), name.slice(1));
    assert.equal(idOf(`${name}s`), nameIdOf(`${name}s`));
  }
});

test('a set knows its members', () => {
  const set = new FieldSet([H.via, H['transfer-encoding'], H['jaeger-debug-id']]);
  assert.equal(set.hasId(H.via), true);
  assert.equal(set.hasId(H['jaeger-debug-id']), true);
  assert.equal(set.hasId(H.te), false);
  assert.equal(set.hasId(0), false);
});
