/** The bytes of grpc.health.v1, beside those that protobuf's own encoders write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeServingStatus, encodeCheckRequest } from '../../src/controlplane/health/grpc-message.ts';
import { Random, SEED } from '../codec/http1/random.ts';
import { framed } from './endpoints.ts';

test('a request holds the name of the service, and nothing for the server as a whole', () => {
  assert.deepEqual([...encodeCheckRequest('')], [0, 0, 0, 0, 0]);
  assert.deepEqual([...encodeCheckRequest('a.B')], [0, 0, 0, 0, 5, 0x0a, 3, 0x61, 0x2e, 0x42]);
  const long = encodeCheckRequest('é'.repeat(150));
  assert.deepEqual([...long.subarray(0, 8)], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02], 'bytes are counted');
  assert.equal(long.length, 308);
});

test('an answer is its status, whatever stands beside it', () => {
  const cases: readonly (readonly [number[], string])[] = [
    [[], 'UNKNOWN'],
    [[0x08, 0], 'UNKNOWN'],
    [[0x08, 1], 'SERVING'],
    [[0x08, 0x81, 0], 'SERVING'],
    [[0x08, 2], 'NOT_SERVING'],
    [[0x08, 3], 'SERVICE_UNKNOWN'],
    [[0x08, 0x83, 0x01], '131'],
    [[0x08, 1, 0x08, 2], 'NOT_SERVING'],
    [[0x10, 5, 0x08, 1], 'SERVING'],
    [[0x1a, 2, 0x08, 2, 0x08, 1], 'SERVING'],
    [[0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x08, 1], 'SERVING'],
    [[0x08, 1, 0x25, 1, 2, 3, 4], 'SERVING'],
    [[0x0a, 1, 1], 'UNKNOWN'],
  ];
  for (const [message, status] of cases)
    assert.equal(decodeServingStatus(framed(...message)), status, message.join(' '));
  const below: number[] = [0x08, ...Array<number>(9).fill(0xff), 0x01];
  assert.notEqual(decodeServingStatus(framed(...below)), 'SERVING', 'minus one');
});

test('what is cut, compressed or another message is none', () => {
  const bodies: readonly (readonly number[])[] = [
    [],
    [0, 0, 0, 0],
    [1, 0, 0, 0, 2, 0x08, 1],
    [0, 0, 0, 0, 3, 0x08, 1],
    [0, 0, 0, 0, 2, 0x08, 1, 0],
    [...framed(0x08, 1), ...framed(0x08, 1)],
    [0, 0, 0, 1, 0, 0x08, 1],
    [...framed(0x08)],
    [...framed(0x08, 0x80)],
    [...framed(0x08, ...Array<number>(10).fill(0x80), 0)],
    [...framed(0x00, 1)],
    [...framed(0x0b)],
    [...framed(0x1a, 9, 1)],
    [...framed(0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1)],
    [...framed(0x21, 1, 2)],
  ];
  for (const body of bodies) assert.equal(decodeServingStatus(Buffer.from(body)), null, body.join(' '));
});

test('whatever the bytes, the answer is a status or none', () => {
  const random = new Random(SEED);
  for (let round = 0; round < 5_000; round++) {
    const message = Array.from({ length: random.int(16) }, () => random.int(256));
    const status = decodeServingStatus(framed(...message));
    assert.ok(
      status === null || /^[A-Z_]+$|^\d+(?:\.\d+e\+\d+)?$/.test(status),
      `OUTBOARD_TEST_SEED=${SEED}: ${message}: ${status}`,
    );
  }
});
