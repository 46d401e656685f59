import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attemptTimeoutMs, compileTimeouts, remainingMs } from '../../src/dataplane/policy/index.ts';

const of = (requestMs: number, backendRequestMs: number) => compileTimeouts({ requestMs, backendRequestMs });

test('the timeout of an attempt counts only below that of the request', () => {
  assert.deepEqual(of(15_000, 2_000), { requestMs: 15_000, perTryMs: 2_000 });
  assert.deepEqual(of(2_000, 2_000), { requestMs: 2_000, perTryMs: 0 });
  assert.deepEqual(of(2_000, 3_000), { requestMs: 2_000, perTryMs: 0 });
  assert.deepEqual(of(0, 2_000), { requestMs: 0, perTryMs: 2_000 });
  assert.deepEqual(of(15_000, 0), { requestMs: 15_000, perTryMs: 0 });
  assert.deepEqual(of(0, 0), { requestMs: 0, perTryMs: 0 });
});

test('what is left of the request, and Infinity where it has no timeout', () => {
  assert.equal(remainingMs(of(1_000, 0), 300), 700);
  assert.equal(remainingMs(of(1_000, 0), 1_300), 0);
  assert.equal(remainingMs(of(0, 0), 1e9), Number.POSITIVE_INFINITY);
});

test('an attempt that the request outlives has its own timeout, the others have none', () => {
  assert.equal(attemptTimeoutMs(of(1_000, 400), 0), 400);
  assert.equal(attemptTimeoutMs(of(1_000, 400), 599), 400);
  assert.equal(attemptTimeoutMs(of(1_000, 400), 600), 0);
  assert.equal(attemptTimeoutMs(of(1_000, 0), 0), 0);
  assert.equal(attemptTimeoutMs(of(0, 400), 1e9), 400);
});
