/** The Huffman code: every octet, both ways. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CODE_LENGTHS, CODES, huffmanDecode } from '../../../src/dataplane/codec/http2/huffman.ts';
import { OutBuffer } from '../../../src/dataplane/codec/http2/out-buffer.ts';
import { writeString } from '../../../src/dataplane/codec/http2/string-literal.ts';
import { Random, SEED } from '../http1/random.ts';

/** Codes that RFC 7541 appendix B lists: first, last and odd ones. */
const LISTED: readonly (readonly [symbol: number, code: number, length: number])[] = [
  [0, 0x1ff8, 13],
  [10, 0x3ffffffc, 30],
  [22, 0x3ffffffe, 30],
  [32, 0x14, 6],
  [48, 0x0, 5],
  [92, 0x7fff0, 19],
  [116, 0x9, 5],
  [128, 0xfffe6, 20],
  [255, 0x3ffffee, 26],
  [256, 0x3fffffff, 30],
];

/** Bit by bit, from the table of codes. */
function encode(octets: readonly number[]): Buffer {
  let bits = octets.map((octet) => CODES[octet].toString(2).padStart(CODE_LENGTHS[octet], '0')).join('');
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  return Buffer.from(
    Array.from({ length: bits.length / 8 }, (_, i) => Number.parseInt(bits.slice(8 * i, 8 * i + 8), 2)),
  );
}

function decode(bytes: Buffer): Buffer | null {
  const out = Buffer.alloc(2 * bytes.length + 2);
  const end = huffmanDecode(bytes, 0, bytes.length, out, 0);
  return end < 0 ? null : out.subarray(0, end);
}

test('the code is that of the RFC and complete', () => {
  for (const [symbol, code, length] of LISTED)
    assert.deepEqual([CODES[symbol], CODE_LENGTHS[symbol]], [code, length], `symbol ${symbol}`);
  let sum = 0;
  for (const length of CODE_LENGTHS) sum += 2 ** -length;
  assert.equal(sum, 1);
});

test('every octet alone, and every pair', () => {
  for (let a = 0; a < 256; a++) {
    assert.deepEqual(decode(encode([a])), Buffer.of(a));
    for (let b = 0; b < 256; b++) assert.deepEqual(decode(encode([a, b])), Buffer.of(a, b));
  }
});

test('padding is shorter than a byte and all ones', () => {
  for (let octet = 0; octet < 256; octet++) {
    const coded = encode([octet]);
    const spare = 8 * coded.length - CODE_LENGTHS[octet];
    assert.equal(decode(Buffer.concat([coded, Buffer.of(0xff)])), null, `${octet} with 8 bits more`);
    for (let bit = 0; bit < spare; bit++) {
      const wrong = Buffer.from(coded);
      wrong[wrong.length - 1] ^= 1 << bit;
      const got = decode(wrong);
      // A zero may make another octet of the padding, never the same text.
      assert.notDeepEqual(got, Buffer.of(octet), `${octet}, bit ${bit}`);
    }
  }
});

test('end of string is refused wherever it stands', () => {
  for (const octets of [[256], [97, 256], [256, 97], [97, 256, 97]])
    assert.equal(decode(encode(octets)), null);
});

test('what is written is read again', () => {
  const random = new Random(SEED);
  for (let round = 0; round < 2_000; round++) {
    const length = random.int(round % 10 === 0 ? 400 : 40);
    let text = 'a';
    for (let i = 0; i < length; i++)
      text += String.fromCharCode(random.chance(3) ? 0x80 + random.int(128) : 0x20 + random.int(95));
    text += 'z';
    const out = new OutBuffer();
    writeString(out, text);
    const written = out.take();
    let at = 1;
    let size = written[0] & 0x7f;
    for (let shift = 0; (written[0] & 0x7f) === 0x7f && (shift === 0 || written[at - 1] >= 128); shift += 7)
      size += (written[at++] & 0x7f) << shift;
    const bytes = written.subarray(at);
    assert.equal(size, bytes.length);
    const read = written[0] >= 0x80 ? decode(bytes) : bytes;
    assert.equal(read?.toString('latin1'), text, `OUTBOARD_TEST_SEED=${SEED}`);
    assert.ok(bytes.length <= text.length);
  }
});
