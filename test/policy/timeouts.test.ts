/** How long a request and each of its attempts may take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  attemptTimeoutMs,
  compileTimeouts,
  countedMs,
  grpcTimeouts,
  remainingMs,
  type Timeouts,
  writeGrpcTimeout,
} from '../../src/dataplane/policy/index.ts';
import { H, HeaderList } from '../../src/message/index.ts';

const rule = (requestMs: number, backendRequestMs: number, grpcRequestMs = requestMs) =>
  compileTimeouts({ requestMs, backendRequestMs, grpcRequestMs });
const of = (requestMs: number, backendRequestMs: number): Timeouts => rule(requestMs, backendRequestMs).http;
/** Of a gRPC call whose client stated this `grpc-timeout`; empty: none. */
const call = (stated: string, requestMs: number, backendRequestMs = 0): Timeouts =>
  grpcTimeouts(rule(15_000, backendRequestMs, requestMs), sent(stated));
const sent = (stated: string): HeaderList =>
  stated === '' ? HeaderList.empty() : HeaderList.of('grpc-timeout', stated);

test('the timeout of an attempt counts only below that of the request', () => {
  const stated = (requestMs: number, backendRequestMs: number): [number, number] => {
    const timeouts = of(requestMs, backendRequestMs);
    return [timeouts.requestMs, timeouts.perTryMs];
  };
  assert.deepEqual(stated(15_000, 2_000), [15_000, 2_000]);
  assert.deepEqual(stated(2_000, 2_000), [2_000, 0]);
  assert.deepEqual(stated(2_000, 3_000), [2_000, 0]);
  assert.deepEqual(stated(0, 2_000), [0, 2_000]);
  assert.deepEqual(stated(15_000, 0), [15_000, 0]);
  assert.deepEqual(stated(0, 0), [0, 0]);
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

test('time counts from the end of an HTTP request, and from the start of a gRPC call', () => {
  assert.equal(countedMs(of(1_000, 0), 100, -1, 900), 0);
  assert.equal(countedMs(of(1_000, 0), 100, 700, 900), 200);
  for (const endMs of [-1, 700]) {
    assert.equal(countedMs(call('', 1_000), 100, endMs, 900), 800);
    assert.equal(countedMs(call('1S', 0), 100, endMs, 900), 800);
  }
});

/** grpc-timeout, the rule's for gRPC calls, its backendRequest → request, attempt, whose the first is. */
const CALLS: readonly (readonly [string, number, number, number, number, 'client' | 'rule'])[] = [
  ['', 0, 0, 0, 0, 'rule'],
  ['', 5_000, 0, 5_000, 0, 'rule'],
  ['', 5_000, 400, 5_000, 400, 'rule'],
  ['', 0, 400, 0, 400, 'rule'],
  ['2S', 0, 0, 2_000, 0, 'client'],
  ['2S', 5_000, 0, 2_000, 0, 'client'],
  ['2S', 2_000, 0, 2_000, 0, 'rule'],
  ['2S', 1_000, 0, 1_000, 0, 'rule'],
  ['2S', 5_000, 400, 2_000, 400, 'client'],
  ['300m', 5_000, 400, 300, 0, 'client'],
  ['nonsense', 5_000, 0, 5_000, 0, 'rule'],
  ['0S', 0, 0, 0, 0, 'rule'],
];

for (const [stated, ruleMs, backendMs, requestMs, perTryMs, whose] of CALLS) {
  test(`a call with grpc-timeout "${stated}" under a rule of ${ruleMs} and ${backendMs} ms`, () => {
    const timeouts = call(stated, ruleMs, backendMs);
    assert.deepEqual(timeouts, {
      requestMs,
      perTryMs,
      fromStart: true,
      statedBy: whose === 'client' ? 'grpc-timeout' : 'timeouts.request',
    });
  });
}

/** grpc-timeout that came, the rule's two, milliseconds that have passed → grpc-timeout that is sent; empty: none. */
const SENT: readonly (readonly [string, number, number, number, string])[] = [
  ['', 0, 0, 10, ''],
  ['', 0, 400, 10, ''],
  ['nonsense', 0, 0, 10, 'nonsense'],
  ['nonsense', 5_000, 0, 10, '4990m'],
  ['', 5_000, 0, 0, '5000m'],
  ['', 5_000, 0, 1_250.7, '3749m'],
  ['2S', 0, 0, 0, '2S'],
  ['2S', 0, 0, 0.9, '2S'],
  ['2S', 0, 0, 1, '1999m'],
  ['2S', 5_000, 0, 250, '1750m'],
  ['2S', 5_000, 400, 0, '400m'],
  ['2S', 5_000, 400, 1_700, '300m'],
  ['2S', 1_000, 0, 0, '1000m'],
  ['2S', 0, 0, 2_000, '1m'],
  ['2S', 0, 0, 9_000, '1m'],
  ['99999999H', 0, 0, 10, '99999998H'],
];

for (const [came, ruleMs, backendMs, elapsedMs, goes] of SENT) {
  test(`grpc-timeout "${came}" under ${ruleMs} and ${backendMs} ms goes on as "${goes}" after ${elapsedMs} ms`, () => {
    const headers = sent(came);
    writeGrpcTimeout(headers, call(came, ruleMs, backendMs), elapsedMs);
    assert.equal(headers.getAll(H['grpc-timeout']) ?? '', goes);
  });
}
