/** Base64 in pieces: whole, byte by byte, cut at every place and at random ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Base64Reader } from '../../../src/dataplane/codec/grpc-web/base64-reader.ts';
import { Random, SEED } from '../http1/random.ts';

/** What the pieces decode to in latin1, or `fault: …`. */
function read(pieces: readonly string[]): string {
  const reader = new Base64Reader();
  let text = '';
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1');
    const decoded = reader.decode(bytes);
    if (decoded === null) return `fault: ${reader.fault}`;
    bytes.fill(0);
    text += decoded.toString('latin1');
  }
  return reader.complete ? text : 'fault: unfinished';
}

const CASES: readonly (readonly [text: string, read: string])[] = [
  ['', ''],
  ['QUJD', 'ABC'],
  ['QUI=', 'AB'],
  ['QQ==', 'A'],
  ['+/9+', '\xfb\xff\x7e'],
  ['QQ==QUI=QUJDQQ==', 'AABABCA'],
  ['QUJDQQ==', 'ABCA'],
  ['Q', 'fault: unfinished'],
  ['QUJDQU', 'fault: unfinished'],
  ['QQ=', 'fault: unfinished'],
  ['=', 'fault: base64 padding where none can be'],
  ['Q===', 'fault: base64 padding where none can be'],
  ['QQ=QQ', 'fault: base64 padding cut short'],
  ['QUI==', 'fault: base64 padding where none can be'],
  ['QU-_', 'fault: byte 0x2d in base64'],
  ['QUJD\r\n', 'fault: byte 0x0d in base64'],
  ['QU JD', 'fault: byte 0x20 in base64'],
  ['QUJ\xc4', 'fault: byte 0xc4 in base64'],
  ['\0\0\0\0', 'fault: byte 0x00 in base64'],
];

for (const [text, expected] of CASES) {
  test(`${JSON.stringify(text)}`, () => {
    assert.equal(read([text]), expected, 'whole');
    assert.equal(read([...text]), expected, 'byte by byte');
    for (let cut = 0; cut <= text.length; cut++)
      assert.equal(read([text.slice(0, cut), text.slice(cut)]), expected, `cut at ${cut}`);
  });
}

test('random messages, each encoded on its own, cut at random places', () => {
  const random = new Random(SEED);
  for (let round = 0; round < 300; round++) {
    const sent: Buffer[] = [];
    let text = '';
    for (let i = random.int(6); i >= 0; i--) {
      const message = Buffer.from(Array.from({ length: random.int(40) }, () => random.int(256)));
      sent.push(message);
      text += message.toString('base64');
    }
    const cuts = [0, ...random.cuts(text.length, 8), text.length];
    const pieces = cuts.slice(1).map((cut, i) => text.slice(cuts[i], cut));
    assert.equal(read(pieces), Buffer.concat(sent).toString('latin1'), `seed ${SEED}, round ${round}`);
  }
});
