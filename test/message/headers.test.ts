/** HeaderList: look-up, overlay of changes, copies, and the text that goes out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FieldSet, H, HeaderList, nameIdOfBytes } from '../../src/message/index.ts';

/** A list as a codec makes it. */
function received(...lines: string[]): HeaderList {
  const spans: number[] = [];
  const ids: number[] = [];
  let text = '';
  for (const line of lines) {
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1).trim();
    const start = text.length;
    const valueStart = start + line.indexOf(value, colon + 1);
    spans.push(start, start + colon, valueStart, valueStart + value.length);
    ids.push(nameIdOfBytes(Buffer.from(line.slice(0, colon)), 0, colon));
    text += `${line}\r\n`;
  }
  return new HeaderList(text, spans, ids);
}

function pairs(list: HeaderList): string[] {
  const all: string[] = [];
  list.forEach((name, value) => {
    all.push(`${name}=${value}`);
  });
  return all;
}

describe('a received list', () => {
  const list = (): HeaderList => received('Via: 1', 'X-Own: 2', 'vIA: 3', 'x-own:  4 ', 'ETag: 5');

  test('is looked up by id and by lower-case name, in whatever case it came', () => {
    assert.equal(list().get(H.via), '1');
    assert.equal(list().get('via'), '1');
    assert.equal(list().get('x-own'), '2');
    assert.equal(list().get('etag'), '5');
    assert.equal(list().get('x-ow'), undefined);
    assert.equal(list().get(H.te), undefined);
    assert.equal(list().getAll('x-own'), '2, 4');
    assert.equal(list().getAll(H.via), '1, 3');
    assert.equal(list().count(H.via), 2);
    assert.equal(list().has('etag'), true);
    assert.equal(list().size, 5);
  });

  test('goes out as it came in', () => {
    assert.equal(list().toText(), 'Via: 1\r\nX-Own: 2\r\nvIA: 3\r\nx-own:  4 \r\nETag: 5\r\n');
  });

  test('loses fields and keeps the rest untouched', () => {
    const changed = list();
    assert.equal(changed.delete(H.via), true);
    assert.equal(changed.delete(H.via), false);
    assert.equal(changed.toText(), 'X-Own: 2\r\nx-own:  4 \r\nETag: 5\r\n');
    assert.equal(changed.delete('x-own'), true);
    assert.deepEqual(pairs(changed), ['ETag=5']);
    assert.equal(changed.delete('etag'), true);
    assert.equal(changed.toText(), '');
    assert.equal(changed.size, 0);
  });

  test('takes additions at its end, which are found, replaced and deleted like the others', () => {
    const changed = list();
    changed.append('X-New', 'a');
    changed.append('x-new', 'b');
    changed.set(H.via, 'c');
    assert.equal(changed.getAll('x-new'), 'a, b');
    assert.equal(changed.get(H.via), 'c');
    assert.equal(changed.count(H.via), 1);
    assert.equal(changed.toText(), 'X-Own: 2\r\nx-own:  4 \r\nETag: 5\r\nX-New: a\r\nx-new: b\r\nvia: c\r\n');
    changed.delete('x-new');
    assert.deepEqual(pairs(changed), ['X-Own=2', 'x-own=4', 'ETag=5', 'via=c']);
    changed.append('X-Own', 'd');
    assert.equal(changed.getAll('x-own'), '2, 4, d');
  });

  test('leaves out what a set excepts, without being changed', () => {
    const changed = list();
    changed.append('Server', 's');
    changed.append('X-Own', 't');
    const except = new FieldSet([H.via, H.server]);
    assert.equal(changed.toText(except), 'X-Own: 2\r\nx-own:  4 \r\nETag: 5\r\nX-Own: t\r\n');
    assert.equal(changed.size, 7);
    changed.deleteAll(except);
    assert.equal(changed.size, 4);
    assert.equal(changed.toText(), 'X-Own: 2\r\nx-own:  4 \r\nETag: 5\r\nX-Own: t\r\n');
  });

  test('has copies that change apart from it and from each other', () => {
    const original = list();
    original.append('A', '1');
    const copy = original.clone();
    copy.delete(H.via);
    copy.append('B', '2');
    const second = original.clone();
    original.delete('etag');
    assert.deepEqual(pairs(original), ['Via=1', 'X-Own=2', 'vIA=3', 'x-own=4', 'A=1']);
    assert.deepEqual(pairs(copy), ['X-Own=2', 'x-own=4', 'ETag=5', 'A=1', 'B=2']);
    assert.equal(second.size, 6);
  });
});

describe('a list made here', () => {
  test('holds its pairs in order', () => {
    assert.deepEqual(pairs(HeaderList.of('A', '1', 'a', '2')), ['A=1', 'a=2']);
    assert.equal(HeaderList.empty().toText(), '');
  });

  test('cannot split the section: what is no field value becomes a space', () => {
    const list = HeaderList.of('A', 'x\r\nB: y', 'C', '\u010a\u2028\0\x7f', 'D', '\t\xe9');
    assert.equal(list.toText(), 'A: x  B: y\r\nC:     \r\nD: \t\xe9\r\n');
  });
});

describe('every subset of deletions', () => {
  test('leaves the text of the rest', () => {
    const lines = ['a: 1', 'Via: 2', 'b: 3', 'Date: 4', 'c: 5'];
    for (let mask = 0; mask < 2 ** lines.length; mask++) {
      const list = received(...lines);
      const kept = lines.filter((line, i) => {
        const drop = (mask & (1 << i)) !== 0;
        if (drop) list.delete((line.split(':')[0] as string).toLowerCase());
        return !drop;
      });
      assert.equal(list.toText(), kept.map((line) => `${line}\r\n`).join(''));
      assert.equal(list.size, kept.length);
    }
  });
});
