/** gRPC's statuses as they are read, named, and made of HTTP's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GRPC, grpcStatusName, grpcStatusOf, grpcStatusOfHttp, HeaderList } from '../../src/message/index.ts';

const read = (value: string): number => grpcStatusOf(HeaderList.of('Grpc-Status', value));

test('a status is a number without leading zeros; what is none of gRPC counts as UNKNOWN', () => {
  for (let status = 0; status <= 16; status++) assert.equal(read(String(status)), status);
  for (const value of ['', '00', '014', '17', '-1', '+1', '1.0', '0x1', 'OK', '1 2', '9'.repeat(40)])
    assert.equal(read(value), GRPC.unknown, value);
  assert.equal(grpcStatusOf(HeaderList.empty()), -1);
});

test('names', () => {
  for (const [name, status] of Object.entries(GRPC)) {
    const expected = name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
    assert.equal(grpcStatusName(status), expected);
  }
  assert.equal(grpcStatusName(5), 'NOT_FOUND');
  assert.equal(grpcStatusName(99), 'UNKNOWN');
});

test("HTTP statuses as gRPC's clients map them", () => {
  const table: Record<number, number> = {
    400: 13,
    401: 16,
    403: 7,
    404: 12,
    429: 14,
    431: 13,
    502: 14,
    503: 14,
    504: 14,
  };
  for (let status = 100; status < 600; status++) assert.equal(grpcStatusOfHttp(status), table[status] ?? 2);
});
