/** Header blocks to fields: the RFC's examples, faults, limits, the cache, and what no input may bring about. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ERROR, HpackDecoder, HpackEncoder, OutBuffer } from '../../../src/dataplane/codec/http2/index.ts';
import { H } from '../../../src/message/index.ts';
import { Random, SEED } from '../http1/random.ts';
import { APPENDIX_C, APPENDIX_C_SMALL, INDEXES, PSEUDO_ORDER, STRINGS, TABLE_SIZES } from './cases-hpack.ts';
import { type BlockCase, bytesOf, LIMITS, linesOf, literal, replayBlocks } from './replay.ts';

const TABLES: Record<string, readonly [tableLimit: number, cases: readonly BlockCase[]]> = {
  'RFC 7541 appendix C': [4_096, APPENDIX_C],
  'RFC 7541 appendix C, 256 bytes of table': [256, APPENDIX_C_SMALL],
  indexes: [4_096, INDEXES],
  strings: [4_096, STRINGS],
  'table sizes': [4_096, TABLE_SIZES],
  'pseudo-header fields': [4_096, PSEUDO_ORDER],
};

for (const [title, [tableLimit, cases]] of Object.entries(TABLES)) {
  describe(title, () => {
    for (const [name, blocks, ...lines] of cases)
      test(name, () => assert.deepEqual(replayBlocks(blocks.split('|').map(bytesOf), tableLimit), lines));
  });
}

describe('limits', () => {
  const small = { listBytes: 105, fieldCount: 3 } as const;
  const cases: readonly BlockCase[] = [
    ['bytes at the limit', '0001610162 0001610162 0005616161616100', 'a: b', 'a: b', 'aaaaa: '],
    [
      'bytes above it',
      '0001610162 0001610162 000561616161610163',
      'a: b',
      'a: b',
      'too large more than 105 bytes',
    ],
    [
      'pseudo-header fields count',
      '82 86 84',
      ':method: GET',
      ':scheme: http',
      'too large more than 105 bytes',
    ],
    [
      'the table stays in step',
      '0001610162 0001610162 4005616161616101634001650166 | be | bf',
      'a: b',
      'a: b',
      'too large more than 105 bytes',
      '--',
      'e: f',
      '--',
      'aaaaa: c',
    ],
  ];
  for (const [name, blocks, ...lines] of cases) {
    test(name, () => {
      assert.deepEqual(replayBlocks(blocks.split('|').map(bytesOf), 4_096, small), lines);
    });
  }

  test('fields too many', () => {
    const lines = replayBlocks([Buffer.alloc(5, 0x90)], 4_096, { listBytes: 4_096, fieldCount: 3 });
    assert.deepEqual(lines.slice(-2), ['accept-encoding: gzip, deflate', 'too large more than 3 fields']);
    assert.equal(lines.length, 4);
  });

  test('a bomb of one large entry a thousand times is refused at its third', () => {
    const bomb = Buffer.concat([
      Buffer.of(0x40),
      literal('x', 'y'.repeat(4_000)).subarray(1),
      Buffer.alloc(60_000, 0xbe),
    ]);
    const decoder = new HpackDecoder({ listBytes: 60 * 1_024, fieldCount: 100 }, 4_096);
    // The literal, and what may be repeated: twice the table.
    const [once, twice] = [bomb.length - 60_000 + 2, bomb.length - 60_000 + 3];
    assert.equal(decoder.decode(bomb, 0, once)?.count, 3);
    assert.equal(decoder.decode(bomb, 0, twice), null);
    assert.match(decoder.error, /more than 8192 bytes out of the dynamic table/);
    assert.equal(decoder.code, ERROR.enhanceYourCalm);
  });

  test('a large name out of the table, repeated with other values, is a bomb as well', () => {
    const bomb = Buffer.concat([
      Buffer.of(0x40),
      literal('x'.repeat(3_900), '').subarray(1),
      // Name 62, a value of one octet, not indexed.
      Buffer.concat(Array.from({ length: 99 }, (_, i) => Buffer.of(0x0f, 62 - 15, 1, 0x61 + (i % 26)))),
    ]);
    const decoder = new HpackDecoder({ listBytes: 60 * 1_024, fieldCount: 100 }, 4_096);
    assert.equal(decoder.decode(bomb, 0, bomb.length), null);
    assert.equal(decoder.code, ERROR.enhanceYourCalm);
  });

  test('crumbs of a cookie are one field, and the limit on bytes holds for them', () => {
    const crumb = literal('cookie', 'a=b');
    const others = Array.from({ length: 99 }, (_, i) => literal(`x-${i}`, ''));
    const crumbs = (count: number): Buffer => Buffer.concat([...others, ...new Array(count).fill(crumb)]);
    const decoder = new HpackDecoder({ listBytes: 60 * 1_024, fieldCount: 100 }, 4_096);
    const many = decoder.decode(crumbs(500), 0, crumbs(500).length);
    assert.equal(many?.tooLarge, '');
    assert.equal(many?.takeHeaders().get(H.cookie)?.length, 500 * 3 + 499 * 2);
    const flood = decoder.decode(crumbs(3_000), 0, crumbs(3_000).length);
    assert.match(flood?.tooLarge ?? '', /more than 61440 bytes/);
  });
});

describe('our table size lowered', () => {
  test('the next block must say so', () => {
    const decoder = new HpackDecoder(LIMITS, 4_096);
    decoder.setTableLimit(100);
    assert.equal(decoder.decode(Buffer.of(0x82), 0, 1), null);
    assert.match(decoder.error, /no table size update/);
  });

  test('a block in the cache must say so too', () => {
    const decoder = new HpackDecoder(LIMITS, 4_096);
    for (let i = 0; i < 4; i++) assert.ok(decoder.decode(Buffer.of(0x82), 0, 1));
    decoder.setTableLimit(100);
    assert.equal(decoder.decode(Buffer.of(0x82), 0, 1), null);
  });

  test('and name the lowest, even when ours was raised again', () => {
    for (const [update, taken] of [
      ['3f45', false],
      ['3f093f45', true],
    ] as const) {
      const decoder = new HpackDecoder(LIMITS, 4_096);
      decoder.setTableLimit(40);
      decoder.setTableLimit(100);
      const bytes = bytesOf(update);
      assert.equal(decoder.decode(bytes, 0, bytes.length) !== null, taken);
    }
  });

  test('what it says holds', () => {
    const decoder = new HpackDecoder(LIMITS, 4_096);
    decoder.setTableLimit(0);
    const block = decoder.decode(Buffer.of(0x20, 0x82), 0, 2);
    assert.deepEqual(block && linesOf(block), [':method: GET']);
  });
});

describe('the cache', () => {
  const block = bytesOf('82 86 84 be 0001610162');
  const primed = (): HpackDecoder => {
    const decoder = new HpackDecoder(LIMITS, 4_096);
    const prime = bytesOf('4001780179');
    assert.ok(decoder.decode(prime, 0, prime.length));
    return decoder;
  };

  test('a block that comes again is the same object, and its fields are not', () => {
    const decoder = primed();
    for (let i = 0; i < 2; i++) decoder.decode(block, 0, block.length);
    const first = decoder.decode(block, 0, block.length);
    const second = decoder.decode(Buffer.from(block), 0, block.length);
    assert.ok(first !== null && first === second);
    const changed = first.takeHeaders();
    changed.set('a', 'other');
    changed.delete('x');
    assert.deepEqual(linesOf(first), [':method: GET', ':scheme: http', ':path: /', 'x: y', 'a: b']);
  });

  test('nothing outlives a change of the table', () => {
    const decoder = primed();
    for (let i = 0; i < 4; i++) decoder.decode(block, 0, block.length);
    const change = bytesOf('40017a0177');
    decoder.decode(change, 0, change.length);
    const after = decoder.decode(block, 0, block.length);
    assert.deepEqual(after && linesOf(after), [':method: GET', ':scheme: http', ':path: /', 'z: w', 'a: b']);
  });

  test('many blocks each come out as themselves', () => {
    const random = new Random(SEED);
    const decoder = primed();
    for (let round = 0; round < 5_000; round++) {
      const name = `n${random.int(80)}`;
      const value = 'v'.repeat(random.int(1_500));
      const bytes = literal(name, value);
      const got = decoder.decode(bytes, 0, bytes.length);
      assert.equal(got?.takeHeaders().get(name), value, `OUTBOARD_TEST_SEED=${SEED}`);
    }
  });
});

describe('bad input', () => {
  const all = [...APPENDIX_C, ...APPENDIX_C_SMALL, ...STRINGS, ...TABLE_SIZES, ...PSEUDO_ORDER];
  const wires = all.flatMap(([, blocks]) => blocks.split('|').map(bytesOf));

  test('blocks cut off at any byte are refused or complete, and never throw', () => {
    for (const wire of wires) {
      for (let length = 0; length < wire.length; length++) {
        const lines = replayBlocks([wire.subarray(0, length)]);
        assert.ok(lines.every((line) => typeof line === 'string'));
      }
    }
  });

  test('mutations never throw', () => {
    const random = new Random(SEED);
    for (let round = 0; round < 20_000; round++) {
      const wire = Buffer.from(random.pick(wires));
      for (let i = random.int(4); i >= 0 && wire.length > 0; i--)
        wire[random.int(wire.length)] = random.int(256);
      try {
        replayBlocks([wire, random.pick(wires), wire], random.pick([0, 64, 256, 4_096]));
      } catch (error) {
        assert.fail(`${wire.toString('hex')}: ${error}; OUTBOARD_TEST_SEED=${SEED}`);
      }
    }
  });

  test('random bytes keep within the limits', () => {
    const random = new Random(SEED);
    for (let round = 0; round < 2_000; round++) {
      const wire = Buffer.from(Array.from({ length: random.int(200) }, () => random.int(256)));
      const decoder = new HpackDecoder({ listBytes: 500, fieldCount: 5 }, 256);
      const block = decoder.decode(wire, 0, wire.length);
      if (block !== null)
        assert.ok(block.count <= 5 && block.textLength <= 500, `OUTBOARD_TEST_SEED=${SEED}`);
    }
  });

  test('after a fault nothing is decoded', () => {
    const decoder = new HpackDecoder(LIMITS, 4_096);
    assert.equal(decoder.decode(Buffer.of(0x80), 0, 1), null);
    assert.equal(decoder.decode(Buffer.of(0x82), 0, 1), null);
  });
});

test('known names are told apart whatever way they come', () => {
  const out = new OutBuffer();
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(LIMITS, 4_096);
  for (let round = 0; round < 4; round++) {
    encoder.begin(out);
    for (const name of ['te', 'x-request-id', 'via', 'user-agent', 'tE']) encoder.field(name, 'v');
    const bytes = out.take();
    const headers = decoder.decode(bytes, 0, bytes.length)?.takeHeaders();
    assert.equal(headers?.toText(), 'te: v\r\nx-request-id: v\r\nvia: v\r\nuser-agent: v\r\nte: v\r\n');
    assert.equal(headers?.count('te'), 2);
    assert.equal(headers?.get('x-request-id'), 'v');
  }
});
