/** What is taken out before a message is passed on (RFC 9110 section 7.6.1). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HeaderList, listElements, stripHopByHop } from '../../src/message/index.ts';

function stripped(fields: string[], keepUpgrade = false): string {
  const list = HeaderList.of(...fields);
  stripHopByHop(list, keepUpgrade);
  return list.toText();
}

describe('stripHopByHop', () => {
  test('takes out the fields that belong to one connection', () => {
    const fields = ['Keep-Alive', '1', 'Proxy-Connection', '2', 'Transfer-Encoding', '3', 'Upgrade', '4'];
    fields.push('Proxy-Authenticate', '5', 'Proxy-Authorization', '6', 'Connection', 'close', 'A', '7');
    assert.equal(stripped(fields), 'A: 7\r\n');
  });

  test('takes out what Connection names, in every one of its fields and in any case', () => {
    const fields = ['Connection', 'x-a ,\tclose', 'X-A', '1', 'x-b', '2', 'X-C', '3', 'connection', 'X-C,'];
    assert.equal(stripped(fields), 'x-b: 2\r\n');
  });

  test('keeps TE: trailers and nothing else of TE', () => {
    assert.equal(stripped(['Connection', 'TE', 'TE', 'trailers']), 'TE: trailers\r\n');
    assert.equal(stripped(['TE', 'gzip, Trailers']), 'te: trailers\r\n');
    assert.equal(stripped(['TE', 'gzip']), '');
    assert.equal(stripped(['TE', 'xtrailers']), '');
  });

  test('keeps Trailer, which announces what is passed on', () => {
    assert.equal(stripped(['Trailer', 'X-Sum']), 'Trailer: X-Sum\r\n');
  });

  test('keeps Upgrade where it is asked to', () => {
    assert.equal(stripped(['Connection', 'Upgrade', 'Upgrade', 'websocket'], true), 'Upgrade: websocket\r\n');
  });

  test('leaves a message without such fields alone', () => {
    assert.equal(stripped(['A', '1', 'Content-Length', '2']), 'A: 1\r\nContent-Length: 2\r\n');
  });
});

test('list elements are trimmed of SP and HTAB only, and empty ones are dropped', () => {
  assert.deepEqual(listElements(' a ,\t,b c,, \xa0d\xa0 ,'), ['a', 'b c', '\xa0d\xa0']);
  assert.deepEqual(listElements(''), []);
  assert.deepEqual(listElements(','), []);
  assert.deepEqual(listElements('a'), ['a']);
});
