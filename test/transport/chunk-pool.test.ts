import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyChunk, isLent, returnChunk, SLAB_BYTES } from '../../src/dataplane/transport/chunk-pool.ts';

test('a large chunk is copied into a slab, which serves again once it is given back', () => {
  const source = Buffer.alloc(SLAB_BYTES, 1);
  const first = copyChunk(source);
  source.fill(2);
  assert.ok(first.every((byte) => byte === 1));
  assert.ok(isLent(first));
  const memory = first.buffer;
  returnChunk(first);
  assert.ok(!isLent(first));
  assert.equal(copyChunk(source).buffer, memory);
});

test('a slab that is not given back is not lent again', () => {
  const kept = copyChunk(Buffer.alloc(SLAB_BYTES, 3));
  const other = copyChunk(Buffer.alloc(SLAB_BYTES, 4));
  assert.notEqual(kept.buffer, other.buffer);
  assert.ok(kept.every((byte) => byte === 3));
});

test('giving back twice gives back once', () => {
  const chunk = copyChunk(Buffer.alloc(SLAB_BYTES, 5));
  returnChunk(chunk);
  returnChunk(chunk);
  const one = copyChunk(Buffer.alloc(SLAB_BYTES, 6));
  const two = copyChunk(Buffer.alloc(SLAB_BYTES, 7));
  assert.notEqual(one.buffer, two.buffer);
});

test('small chunks, and those larger than a slab, get memory of their own', () => {
  for (const size of [1, 1_000, SLAB_BYTES + 1]) assert.ok(!isLent(copyChunk(Buffer.alloc(size))));
});
