/** The bytes of envoy.service.ratelimit.v3, beside those that protobuf's own encoders write (protobufjs, from the fields of rls.proto). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRateLimitResponse, encodeRateLimitRequest } from '../../../src/dataplane/codec/rls/index.ts';
import { Random, SEED } from '../http1/random.ts';

const LONG = '61'.repeat(200);
const REQUEST = `0a0473686f7012e7010a110a0b67656e657269635f6b65791202c3bc0ad1010a047573657212c801${LONG}121c0a1a0a0e72656d6f74655f61646472657373120831302e302e302e3112090a070a05656d707479`;
const RESPONSE =
  '080212180801120b08c0843d10021a03616c6c18ac022204083b1005120208021a080a03782d611201311a080a03782d621a013222080a03782d631201332a026e6f';

/** With gRPC's prefix. */
function framed(hex: string): Buffer {
  const message = Buffer.from(hex, 'hex');
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

test('a request is what protobuf makes of it', () => {
  const made = encodeRateLimitRequest('shop', [
    [
      { key: 'generic_key', value: Buffer.from('ü').toString('latin1') },
      { key: 'user', value: 'a'.repeat(200) },
    ],
    [{ key: 'remote_address', value: '10.0.0.1' }],
    [{ key: 'empty', value: '' }],
  ]);
  assert.deepEqual(made, framed(REQUEST));
});

test('bytes that are no UTF-8 become what they are in Latin-1', () => {
  const made = encodeRateLimitRequest('d', [[{ key: 'k', value: '\xe9' }]]);
  assert.deepEqual(made, framed('0a016412090a070a016b1202c3a9'));
});

test('a response is read whole, what is not known of it is passed over', () => {
  const expected = {
    overLimit: true,
    statuses: [
      {
        overLimit: false,
        requestsPerUnit: 1_000_000,
        windowSeconds: 60,
        name: 'all',
        remaining: 300,
        untilResetSeconds: 59,
        untilResetNanos: 5,
      },
      {
        overLimit: true,
        requestsPerUnit: -1,
        windowSeconds: 0,
        name: '',
        remaining: 0,
        untilResetSeconds: 0,
        untilResetNanos: 0,
      },
    ],
    responseHeaders: [
      { key: 'x-a', value: '1' },
      { key: 'x-b', value: '2' },
    ],
    requestHeaders: [{ key: 'x-c', value: '3' }],
    body: Buffer.from('no'),
  };
  assert.deepEqual(decodeRateLimitResponse(framed(RESPONSE)), expected);
  // dynamic_metadata (6), a fixed64 and a fixed32 of fields to come.
  const more = `3203010203${RESPONSE}f90501020304050607083d01020304`;
  assert.deepEqual(decodeRateLimitResponse(framed(more)), expected);
  assert.equal(decodeRateLimitResponse(framed(''))?.overLimit, false);
});

test('what is cut, compressed or no message is none', () => {
  const whole = framed(RESPONSE);
  for (let end = 0; end < whole.length; end++)
    assert.equal(decodeRateLimitResponse(whole.subarray(0, end)), null, `cut at ${end}`);
  for (const hex of ['00', '07', '08', '0880', '1205', '120208', `08${'ff'.repeat(11)}`, '12021a05', '0b'])
    assert.equal(decodeRateLimitResponse(framed(hex)), null, hex);
  const compressed = framed(RESPONSE);
  compressed[0] = 1;
  assert.equal(decodeRateLimitResponse(compressed), null);
  assert.equal(decodeRateLimitResponse(Buffer.concat([whole, Buffer.from([0])])), null);
});

test('random bytes are a message or none, and never more than that', () => {
  const random = new Random(SEED);
  for (let i = 0; i < 20_000; i++) {
    const bytes = framed(RESPONSE);
    for (let changes = 1 + random.int(4); changes > 0; changes--)
      bytes[5 + random.int(bytes.length - 5)] = random.int(256);
    const read = decodeRateLimitResponse(bytes);
    assert.ok(read === null || read.statuses.length <= bytes.length, `seed ${SEED}`);
  }
});
