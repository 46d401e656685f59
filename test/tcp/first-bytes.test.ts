/** What a client's first bytes are taken for, each case whole, byte by byte, and cut at seeded random places. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PREFACE } from '../../src/dataplane/codec/http2/index.ts';
import { FirstBytes, type Spoken } from '../../src/dataplane/listener/first-bytes.ts';
import { helloOf } from '../kit/hello.ts';
import { cuts, inRecords, seeded } from './kit.ts';

interface Case {
  readonly name: string;
  readonly bytes: Buffer;
  /** With HTTP alone, with a TCP route, with a TLS route, with both. */
  readonly spoken: readonly [http: Answer, tcp: Answer, tls: Answer, both: Answer];
}

type Answer = Spoken | null;

const CARRIED = [
  { tls: false, tcp: false },
  { tls: false, tcp: true },
  { tls: true, tcp: false },
  { tls: true, tcp: true },
] as const;

const text = (latin1: string): Buffer => Buffer.from(latin1, 'latin1');

const HTTP1: Case['spoken'] = ['http1', 'http1', 'http1', 'http1'];
/** Text that is no HTTP is left to HTTP's codec where nothing else can come. */
const OTHER: Case['spoken'] = ['http1', 'other', 'http1', 'other'];

const hello = await helloOf({ servername: 'Vault.Shop', ALPNProtocols: ['h2'] });
const nameless = await helloOf({});

const CASES: readonly Case[] = [
  { name: 'GET', bytes: text('GET / HTTP/1.1\r\n'), spoken: HTTP1 },
  { name: 'a target of many bytes', bytes: text(`POST /${'a'.repeat(9_000)} HTTP/1.0\r\n`), spoken: HTTP1 },
  { name: 'an unknown method', bytes: text('BREW-IT *pot HTTP/1.1\r\n'), spoken: HTTP1 },
  { name: 'empty lines first', bytes: text('\r\n\r\nGET / HTTP/1.1\r\n'), spoken: HTTP1 },
  { name: 'HTTP/2', bytes: PREFACE, spoken: ['http2', 'http2', 'http2', 'http2'] },
  {
    name: 'HTTP/2 and more',
    bytes: Buffer.concat([PREFACE, text('\0\0\0')]),
    spoken: ['http2', 'http2', 'http2', 'http2'],
  },
  { name: 'a request that begins like the preface', bytes: text('PRI * HTTP/1.1\r\n'), spoken: HTTP1 },
  { name: 'a preface gone wrong', bytes: text('PRI * HTTP/2.0\r\n\r\nXX'), spoken: OTHER },
  { name: 'a version of the future', bytes: text('GET / HTTP/3\r\n'), spoken: OTHER },
  { name: 'no version', bytes: text('GET /\r\n'), spoken: OTHER },
  { name: 'two blanks', bytes: text('GET  / HTTP/1.1\r\n'), spoken: OTHER },
  { name: 'SMTP', bytes: text('EHLO mail.shop\r\n'), spoken: OTHER },
  { name: 'redis', bytes: text('*1\r\n$4\r\nPING\r\n'), spoken: OTHER },
  { name: 'redis in a line', bytes: text('GET /key\r\n'), spoken: OTHER },
  { name: 'MySQL', bytes: Buffer.from('4a0000000a382e30', 'hex'), spoken: OTHER },
  { name: 'Postgres asking for TLS', bytes: Buffer.from('0000000804d2162f', 'hex'), spoken: OTHER },
  { name: 'SSH', bytes: text('SSH-2.0-OpenSSH_9.9\r\n'), spoken: OTHER },
  { name: 'empty lines for ever', bytes: text('\r\n'.repeat(40)), spoken: OTHER },
  {
    name: 'a line without end',
    bytes: text(`GET /${'a'.repeat(20_000)}`),
    spoken: ['http1', 'other', 'http1', 'other'],
  },
  { name: 'half a method', bytes: text('GE'), spoken: ['http1', null, 'http1', null] },
  { name: 'half a preface', bytes: PREFACE.subarray(0, 20), spoken: [null, null, null, null] },
  { name: 'a ClientHello', bytes: hello, spoken: ['http1', 'other', 'tls', 'tls'] },
  { name: 'a ClientHello without a name', bytes: nameless, spoken: ['http1', 'other', 'tls', 'tls'] },
  {
    name: 'a ClientHello and early data',
    bytes: Buffer.concat([hello, text('\x17\x03\x03')]),
    spoken: ['http1', 'other', 'tls', 'tls'],
  },
  {
    name: 'a ClientHello in records of 7 bytes',
    bytes: inRecords(hello, 7),
    spoken: ['http1', 'other', 'tls', 'tls'],
  },
  { name: 'half a ClientHello', bytes: hello.subarray(0, 100), spoken: ['http1', 'other', null, null] },
  {
    name: 'a ServerHello',
    bytes: Buffer.from('160303002a02000026', 'hex'),
    spoken: ['http1', 'other', 'other', 'other'],
  },
  {
    name: 'a record of no bytes',
    bytes: Buffer.from('1603010000', 'hex'),
    spoken: ['http1', 'other', 'other', 'other'],
  },
  {
    name: 'a record that is too long',
    bytes: Buffer.from('160301ffff', 'hex'),
    spoken: ['http1', 'other', 'other', 'other'],
  },
  {
    name: 'a ClientHello of 16 MB',
    bytes: Buffer.from('160301400001ffffff', 'hex'),
    spoken: ['http1', 'other', 'other', 'other'],
  },
  {
    name: 'a byte of TLS and text',
    bytes: text('\x16GET / HTTP/1.1\r\n'),
    spoken: ['http1', 'other', 'other', 'other'],
  },
];

/** The first answer given, and the name found. */
function ask(parts: readonly Buffer[], carried: (typeof CARRIED)[number]): [Answer, string] {
  const first = new FirstBytes(carried, true);
  for (const part of parts) {
    const spoken = first.push(part, part.length);
    if (spoken !== null) return [spoken, first.serverName];
  }
  return [null, ''];
}

test('the first bytes, however they are cut', () => {
  const seed = Date.now() >>> 0;
  const random = seeded(seed);
  for (const { name, bytes, spoken } of CASES) {
    const bytewise = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
    const ways = [[bytes], bytewise, ...Array.from({ length: 20 }, () => cuts(bytes, random))];
    for (const [i, carried] of CARRIED.entries()) {
      for (const parts of ways) {
        const lengths = parts.map(({ length }) => length).join(' ');
        const [answer, serverName] = ask(parts, carried);
        const what = `${name}, ${JSON.stringify(carried)}, seed ${seed}, cut ${lengths.slice(0, 200)}`;
        assert.equal(answer, spoken[i], what);
        const named = name.startsWith('a ClientHello') && answer === 'tls' && bytes !== nameless;
        assert.equal(serverName, named ? 'vault.shop' : '', what);
      }
    }
  }
});

test('where only TLS may come, text is told at its first byte', () => {
  const first = new FirstBytes({ tls: true, tcp: false }, false);
  assert.equal(first.push(text('G'), 1), 'other');
  assert.equal(first.inHello, false);
});

test('a hello as large as clients send it today, and one beyond every client', async () => {
  const large = await helloOf({ servername: 'vault.shop', ecdhCurve: 'X25519MLKEM768:X25519' });
  assert.ok(large.length > 1_460, `a hybrid key share makes it larger than a packet: ${large.length}`);
  assert.deepEqual(ask([large.subarray(0, 1_400), large.subarray(1_400)], CARRIED[2]), ['tls', 'vault.shop']);
  // A ClientHello of 65,000 bytes in 33 records is within the bound; one in records of a byte each is not.
  const body = Buffer.alloc(65_000);
  body.writeUInt32BE(0x0100_0000 + body.length - 4, 0);
  const framed = Buffer.concat([Buffer.alloc(5), body]);
  assert.equal(ask([inRecords(framed, 2_000)], CARRIED[2])[0], 'other', 'whole, and nonsense');
  assert.equal(ask(cuts(inRecords(framed, 1), seeded(1)), CARRIED[2])[0], 'other');
});

test('whatever comes, an answer is given within the bound, and nothing throws', () => {
  const seed = Date.now() >>> 0;
  const random = seeded(seed);
  for (let round = 0; round < 2_000; round++) {
    const start = [hello, PREFACE, text('GET / HTTP/1.1\r\n')][random(3)] as Buffer;
    const bytes = Buffer.from(start.subarray(0, random(start.length)));
    for (let n = random(4); n > 0 && bytes.length > 0; n--) bytes[random(bytes.length)] = random(256);
    for (const carried of CARRIED) {
      const parts = bytes.length === 0 ? [] : cuts(bytes, random);
      assert.doesNotThrow(() => ask(parts, carried), `seed ${seed}, round ${round}`);
    }
  }
  for (const carried of CARRIED) {
    const first = new FirstBytes(carried, true);
    const filler = Buffer.alloc(1_024, 'a');
    let answer: Answer = null;
    for (let sent = 0; sent < 66 && answer === null; sent++) answer = first.push(filler, filler.length);
    assert.notEqual(answer, null);
  }
});
