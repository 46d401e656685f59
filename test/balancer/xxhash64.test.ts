/** xxHash64 against values of the reference implementation, and against the specification written down with BigInt. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { high, low, xxHash64 } from '../../src/dataplane/balancer/xxhash64.ts';
import { seeded } from '../router/seeded.ts';

const KNOWN = [
  ['', 'ef46db3751d8e999'],
  ['a', 'd24ec4f1a98c6e5b'],
  ['abc', '44bc2cf5ad770999'],
  ['foo', '33bf00a859c4ba3f'],
] as const;

function hash(bytes: Buffer, seed = 0): string {
  xxHash64(bytes, bytes.length, seed);
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

for (const [text, expected] of KNOWN)
  test(`of "${text}"`, () => {
    assert.equal(hash(Buffer.from(text)), expected);
  });

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;
const cut = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint): bigint => cut((value << bits) | (value >> (64n - bits)));
const round = (state: bigint, lane: bigint): bigint => cut(rotate(cut(state + lane * P2), 31n) * P1);

function specified(bytes: Buffer, seed: bigint): string {
  const { length } = bytes;
  let at = 0;
  let state = cut(seed + P5);
  if (length >= 32) {
    const lanes = [cut(seed + P1 + P2), cut(seed + P2), seed, cut(seed - P1)];
    for (; at + 32 <= length; at += 32)
      lanes.forEach((lane, i) => {
        lanes[i] = round(lane, bytes.readBigUInt64LE(at + 8 * i));
      });
    const [a = 0n, b = 0n, c = 0n, d = 0n] = lanes;
    state = cut(rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n));
    for (const lane of lanes) state = cut((state ^ round(0n, lane)) * P1 + P4);
  }
  state = cut(state + BigInt(length));
  for (; at + 8 <= length; at += 8)
    state = cut(rotate(state ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4);
  if (at + 4 <= length) {
    state = cut(rotate(state ^ cut(BigInt(bytes.readUInt32LE(at)) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < length; at++) state = cut(rotate(state ^ cut(BigInt(bytes[at] as number) * P5), 11n) * P1);
  state = cut((state ^ (state >> 33n)) * P2);
  state = cut((state ^ (state >> 29n)) * P3);
  return (state ^ (state >> 32n)).toString(16).padStart(16, '0');
}

test('of every length up to 200, with any bytes and seeds, as specified', () => {
  const random = seeded(11);
  for (let length = 0; length <= 200; length++) {
    for (let seed = 0; seed < 3; seed++) {
      const bytes = Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
      assert.equal(hash(bytes, seed), specified(bytes, BigInt(seed)), bytes.toString('hex'));
    }
  }
});
