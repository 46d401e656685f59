/** Identifiers: shape, freshness, and which x-request-id of a client is kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { H, HeaderList } from '../../src/message/index.ts';
import { ensureRequestId, isSaneRequestId, RandomIds } from '../../src/telemetry/index.ts';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('ids have their shape and never repeat, over several refills of the pool', () => {
  const ids = new RandomIds();
  const seen = new Set<string>();
  for (let i = 0; i < 5_000; i++) {
    const made = [ids.traceId(), ids.spanId(), ids.uuid()] as const;
    assert.match(made[0], /^[0-9a-f]{32}$/);
    assert.match(made[1], /^[0-9a-f]{16}$/);
    assert.match(made[2], UUID_V4);
    for (const id of made) seen.add(id);
  }
  assert.equal(seen.size, 15_000);
});

test('an id of zeros is drawn again', () => {
  let fills = 0;
  const ids = new RandomIds((bytes) => bytes.fill(fills++ === 0 ? 0 : 0xab));
  assert.equal(ids.traceId(), 'ab'.repeat(16));
  fills = 0;
  assert.equal(new RandomIds((bytes) => bytes.fill(fills++ === 0 ? 0 : 0xcd)).spanId(), 'cd'.repeat(8));
});

const KEPT = [
  'a',
  'req-1',
  'ab/cd+ef==',
  '{guid}',
  "it's",
  'x'.repeat(128),
  '550e8400-e29b-41d4-a716-446655440000',
];
const REPLACED = ['', 'x'.repeat(129), 'a b', 'a"b', 'a\\b', 'a,b', 'caf\u00e9', 'a\tb', '\x1b[31m'];

for (const value of KEPT) {
  test(`keeps the client's request id ${value.slice(0, 40)}`, () => {
    const headers = HeaderList.of('X-Request-ID', value);
    assert.ok(isSaneRequestId(value));
    assert.equal(ensureRequestId(headers, new RandomIds(), assert.fail), value);
    assert.equal(headers.toText(), `X-Request-ID: ${value}\r\n`);
  });
}

for (const value of REPLACED) {
  test(`replaces the client's request id ${JSON.stringify(value).slice(0, 40)}`, () => {
    const headers = HeaderList.of('X-Request-ID', value);
    let replaced = 0;
    const id = ensureRequestId(headers, new RandomIds(), () => replaced++);
    assert.match(id, UUID_V4);
    assert.equal(replaced, 1);
    assert.equal(headers.getAll(H['x-request-id']), id);
  });
}

test('two request ids are replaced by one', () => {
  const headers = HeaderList.of('x-request-id', 'a', 'x-request-id', 'b');
  const id = ensureRequestId(headers, new RandomIds(), () => {});
  assert.match(id, UUID_V4);
  assert.equal(headers.count(H['x-request-id']), 1);
});

test('a request without an id is given one, and nothing counts as replaced', () => {
  const headers = HeaderList.empty();
  const id = ensureRequestId(headers, new RandomIds(), assert.fail);
  assert.equal(headers.get(H['x-request-id']), id);
});
