/** Fields to header blocks: how each is sent, table sizes, and that a decoder gets back what was put in. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HpackDecoder, HpackEncoder, OutBuffer } from '../../../src/dataplane/codec/http2/index.ts';
import { FieldSet, H, HeaderList } from '../../../src/message/index.ts';
import { Random, SEED } from '../http1/random.ts';
import { LIMITS } from './replay.ts';

type Pair = readonly [name: string, value: string];

function encode(encoder: HpackEncoder, ...fields: Pair[]): Buffer {
  const out = new OutBuffer();
  encoder.begin(out);
  for (const [name, value] of fields) encoder.field(name, value);
  encoder.end();
  return out.take();
}

function decode(decoder: HpackDecoder, bytes: Buffer): Pair[] {
  const block = decoder.decode(bytes, 0, bytes.length);
  assert.ok(block !== null, decoder.error);
  const pairs: Pair[] = [];
  block.takeHeaders().forEach((name, value) => {
    pairs.push([name, value]);
  });
  return pairs;
}

/** High bits of the first byte: how the field was sent. */
const INDEXING = 0x40;
const NEVER = 0x10;
const WITHOUT = 0;

/** `[field, first byte's kind, bytes when it is sent again]`. */
const POLICIES: readonly (readonly [...Pair, kind: number, again: number | 'same'])[] = [
  ['user-agent', 'x', INDEXING, 1],
  ['x-own', 'x', INDEXING, 1],
  ['x-forwarded-for', '10.0.0.1', INDEXING, 1],
  ['cookie', 'a=0123456789abcdef01', INDEXING, 1],
  ['cookie', 'a=0123456789abcdef0', NEVER, 'same'],
  ['authorization', 'Bearer 0123456789abcdef0123456789abcdef', NEVER, 'same'],
  ['set-cookie', 'a=0123456789abcdef0123456789abcdef', NEVER, 'same'],
  ['content-length', '12', WITHOUT, 'same'],
  ['x-request-id', '1', WITHOUT, 'same'],
  ['traceparent', '1', WITHOUT, 'same'],
  ['date', '1', WITHOUT, 'same'],
  [':path', '/a', WITHOUT, 'same'],
];

describe('how a field is sent', () => {
  for (const [name, value, kind, again] of POLICIES) {
    test(`${name}: ${value}`, () => {
      const encoder = new HpackEncoder();
      const first = encode(encoder, [name, value]);
      assert.equal((first[0] as number) & (kind === INDEXING ? 0xc0 : 0xf0), kind);
      const second = encode(encoder, [name, value]);
      if (again === 'same') assert.deepEqual(second, first);
      else assert.equal(second.length, again);
    });
  }

  test('static pairs are one byte', () => {
    const out = new OutBuffer();
    const encoder = new HpackEncoder();
    encoder.begin(out);
    encoder.request('GET', 'https', '', '/', '');
    encoder.status(404);
    encoder.field('Accept-Encoding', 'gzip, deflate');
    assert.equal(out.take().toString('hex'), '8287848d90');
  });

  test('an entry that would fill most of the table is not put there', () => {
    const encoder = new HpackEncoder();
    const fields: Pair = ['x-large', 'y'.repeat(3_100)];
    assert.equal((encode(encoder, fields)[0] as number) & 0xf0, WITHOUT);
    assert.equal((encode(encoder, ['x-large', 'y'.repeat(3_000)])[0] as number) & 0xc0, INDEXING);
  });
});

test('what may not stand in a value is replaced, indexed or not', () => {
  const decoder = new HpackDecoder(LIMITS, 4_096);
  const encoder = new HpackEncoder();
  for (let round = 0; round < 2; round++) {
    const bytes = encode(
      encoder,
      ['x-a', ' a\r\nb: c\0\u010a\t'],
      ['x-request-id', 'a\nb\u{1f600}'],
      ['date', '\x7f '],
    );
    assert.deepEqual(decode(decoder, bytes), [
      ['x-a', 'a  b: c'],
      ['x-request-id', 'a b'],
      ['date', ''],
    ]);
  }
});

test('a list goes out in lower case and without what is left out', () => {
  const headers = HeaderList.of('Accept', 'a', 'HOST', 'b', 'X-C', 'c', 'Connection', 'd');
  const out = new OutBuffer();
  const encoder = new HpackEncoder();
  encoder.begin(out);
  encoder.fields(headers, new FieldSet([H.host, H.connection]));
  const pairs = decode(new HpackDecoder(LIMITS, 4_096), out.take());
  assert.deepEqual(pairs, [
    ['accept', 'a'],
    ['x-c', 'c'],
  ]);
});

describe('table sizes', () => {
  const begin = (encoder: HpackEncoder): string => encode(encoder).toString('hex');

  test('the default needs no word', () => {
    const encoder = new HpackEncoder();
    encoder.setPeerTableSize(4_096);
    assert.equal(begin(encoder), '');
    encoder.setPeerTableSize(65_536);
    assert.equal(begin(encoder), '');
  });

  test('a smaller table of ours is told too', () => {
    const encoder = new HpackEncoder(0);
    assert.equal(begin(encoder), '20');
    encoder.setPeerTableSize(65_536);
    assert.equal(begin(encoder), '');
  });

  test('a smaller one is told once', () => {
    const encoder = new HpackEncoder();
    encoder.setPeerTableSize(0);
    assert.equal(begin(encoder), '20');
    assert.equal(begin(encoder), '');
  });

  test('lowered and raised between two blocks: both are told', () => {
    const encoder = new HpackEncoder();
    encoder.setPeerTableSize(0);
    encoder.setPeerTableSize(65_536);
    assert.equal(begin(encoder), '203fe11f');
  });

  test('a larger table of ours starts at the default', () => {
    const encoder = new HpackEncoder(8_192);
    assert.equal(begin(encoder), '');
    encoder.setPeerTableSize(65_536);
    assert.equal(begin(encoder), '3fe13f');
  });
});

test('a decoder gets back what was put in, with tables of changing sizes', () => {
  const random = new Random(SEED);
  for (let connection = 0; connection < 60; connection++) {
    const encoder = new HpackEncoder(random.pick([0, 128, 4_096, 16_384]));
    const decoder = new HpackDecoder({ listBytes: 1e6, fieldCount: 1_000 }, 4_096);
    const lists: Pair[][] = Array.from({ length: 12 }, () => listOf(random));
    for (let block = 0; block < 60; block++) {
      if (random.chance(8)) {
        const sizes = Array.from({ length: 1 + random.int(2) }, () =>
          random.pick([0, 40, 100, 500, 4_096, 20_000]),
        );
        for (const size of sizes) {
          encoder.setPeerTableSize(size);
          decoder.setTableLimit(size);
        }
      }
      const list = random.chance(4) ? listOf(random) : random.pick(lists);
      const bytes = encode(encoder, ...list);
      assert.deepEqual(decode(decoder, bytes), list, `OUTBOARD_TEST_SEED=${SEED}, ${connection}, ${block}`);
    }
  }
});

function listOf(random: Random): Pair[] {
  const names = [
    'accept',
    'user-agent',
    'x-a',
    'x-b',
    'authorization',
    'date',
    'etag',
    'via',
    'x-request-id',
  ];
  const pairs: Pair[] = [];
  for (let i = random.int(20); i > 0; i--) {
    const name = random.chance(6) ? `n${random.int(1_000)}` : random.pick(names);
    const length = random.chance(20) ? random.int(3_000) : random.int(30);
    let value = '';
    for (let j = 0; j < length; j++)
      value += String.fromCharCode(random.chance(9) ? 0xa0 + random.int(96) : 0x21 + random.int(94));
    pairs.push([name, random.chance(3) ? 'v'.repeat(random.int(4)) : value]);
  }
  return pairs;
}
