/**
 * Requests that repeat themselves, as a proxy hands them on: out of the decoder's cache with paths of their own, changed,
 * and into the encoder, which remembers what it made of them. Whatever is remembered, the fields are the same.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requestFault } from '../../../src/dataplane/codec/http2/field-rules.ts';
import {
  type HeaderBlock,
  HpackDecoder,
  HpackEncoder,
  OutBuffer,
} from '../../../src/dataplane/codec/http2/index.ts';
import { FieldSet, H, type HeaderList, HeaderList as List } from '../../../src/message/index.ts';
import { Random, SEED } from '../http1/random.ts';

const ENOUGH = { listBytes: 60 * 1_024, fieldCount: 100 };

function encoded(path: string, headers: HeaderList, encoder: HpackEncoder): Buffer {
  const out = new OutBuffer();
  encoder.begin(out);
  encoder.request('GET', 'https', 'shop.example', path, '');
  encoder.fields(headers);
  encoder.end();
  return out.take();
}

function decode(decoder: HpackDecoder, bytes: Buffer): HeaderBlock {
  const block = decoder.decode(bytes, 0, bytes.length);
  assert.ok(block !== null, decoder.error);
  return block;
}

function lines(headers: HeaderList): string[] {
  const all: string[] = [];
  headers.forEach((name, value) => {
    all.push(`${name}: ${value}`);
  });
  return all;
}

describe('a literal :path', () => {
  const fields = List.of('user-agent', 'test', 'accept', '*/*', 'authorization', 'Bearer abc');

  /** A decoder that has a block of such requests in its cache. */
  function warm(limits = ENOUGH): { decoder: HpackDecoder; encoder: HpackEncoder; known: HeaderBlock } {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(limits, 4_096);
    let known: HeaderBlock | null = null;
    for (let i = 0; i < 4; i++) {
      known = decode(decoder, encoded(`/warm/${i}`, fields, encoder));
      assert.equal(requestFault(known), '');
    }
    return { decoder, encoder, known: known as HeaderBlock };
  }

  test('is its own in every block, all else is shared', () => {
    const { decoder, encoder, known } = warm();
    for (const path of ['/a', '/a?b=c', `/${'x'.repeat(100)}`]) {
      const block = decode(decoder, encoded(path, fields, encoder));
      assert.equal(requestFault(block), '');
      assert.deepEqual(block.pseudo, { ...known.pseudo, path });
      assert.equal(block.spans, known.spans);
      const headers = block.takeHeaders();
      assert.deepEqual(lines(headers), lines(fields));
      assert.deepEqual(headers.sensitive, ['authorization']);
      headers.set(H.accept, 'text/html');
    }
    assert.deepEqual(lines(known.takeHeaders()), lines(fields));
  });

  test('is judged in every block', () => {
    const { decoder, encoder } = warm();
    const verdicts: [string, string][] = [
      ['a', 'malformed :path'],
      ['/#a', 'malformed :path'],
      ['/a b', 'malformed :path'],
      ['/\u00e4', 'malformed :path'],
      ['*', 'malformed :path'],
      ['/ok', ''],
    ];
    for (const [path, verdict] of verdicts)
      assert.equal(requestFault(decode(decoder, encoded(path, fields, encoder))), verdict, path);
  });

  test('counts towards the limit of every block', () => {
    const { decoder, encoder, known } = warm({ listBytes: 370, fieldCount: 100 });
    const room = known.pathRoom;
    assert.ok(room > 20 && room < 100, `${room}`);
    for (const [length, tooLarge] of [
      [20, false],
      [room, false],
      [room + 1, true],
    ] as const) {
      const block = decode(decoder, encoded(`/${'x'.repeat(length - 1)}`, fields, encoder));
      assert.equal(block.tooLarge !== '', tooLarge, `${length} of ${room}`);
    }
  });

  test('that is cut off is a fault, though the rest of the block was seen after a whole one', () => {
    const { decoder } = warm();
    // What follows the path are entries 62 and 63, whose bytes could be the length of a string as well.
    const whole = Buffer.from([0x82, 0x87, 0x04, 0x02, 0x2f, 0x61, 0xbe, 0xbf]);
    for (let i = 0; i < 3; i++) assert.equal(decode(decoder, whole).pseudo.path, '/a');
    const cut = Buffer.from([0x82, 0x87, 0x04, 0xbe, 0xbf]);
    assert.equal(decoder.decode(cut, 0, cut.length), null);
    assert.equal(decoder.error, 'a string reaches beyond the block');
  });

  test('whose code is faulty ends the connection', () => {
    const { decoder, encoder } = warm();
    const block = encoded('/aaaaaaaa', fields, encoder);
    const at = block.indexOf(0x04) + 1;
    assert.ok((block[at] as number) >= 0x80);
    block[at + 1] = 0xff;
    block[at + 2] = 0xff;
    block[at + 3] = 0xff;
    block[at + 4] = 0xff;
    assert.equal(decoder.decode(block, 0, block.length), null);
    assert.equal(decoder.error, 'faulty Huffman code');
  });
});

test(`handed on, whatever was changed and remembered (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const HOP = new FieldSet([H.te, H.connection]);
  for (let round = 0; round < 60; round++) {
    const clients = Array.from({ length: 1 + random.int(4) }, () => ({
      encoder: new HpackEncoder(),
      decoder: new HpackDecoder(ENOUGH, 4_096),
      kinds: Array.from({ length: 1 + random.int(3) }, (_, kind) =>
        List.of(
          ...Array.from({ length: random.int(12) }, (_, i) => [
            `x-field-${i % 9}`,
            `${kind}-${random.int(3)}`,
          ]).flat(),
          ...(random.chance(2) ? ['te', 'trailers', 'cookie', 'a=b', 'cookie', 'c=d'] : []),
        ),
      ),
    }));
    const encoder = new HpackEncoder(random.chance(4) ? 128 : 4_096);
    const decoder = new HpackDecoder(ENOUGH, 4_096);
    for (let i = 0; i < 150; i++) {
      const client = random.pick(clients);
      const sent = random.pick(client.kinds);
      const block = decode(client.decoder, encoded(`/${random.int(5)}`, sent, client.encoder));
      assert.equal(requestFault(block), '');
      const headers = block.takeHeaders();
      for (let n = random.int(3); n > 0; n--) headers.delete(`x-field-${random.int(9)}`);
      headers.setClean(H['x-request-id'], `id-${i}`);
      if (random.chance(5)) headers.append('x-added', `value-${random.int(4)}`);
      if (random.chance(20)) encoder.setPeerTableSize(random.pick([0, 100, 4_096]));
      const except = random.chance(2) ? HOP : undefined;
      const out = new OutBuffer();
      encoder.begin(out);
      encoder.fields(headers, except);
      encoder.end();
      const bytes = out.take();
      const got = decode(decoder, bytes);
      const expected = lines(headers).filter((line) => except === undefined || !line.startsWith('te:'));
      // Crumbs of a cookie were joined.
      assert.deepEqual(lines(got.takeHeaders()).sort(), expected.sort());
    }
  }
});
