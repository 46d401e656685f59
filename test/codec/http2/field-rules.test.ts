/** Which fields make a request, an answer, trailers (RFC 9113 sections 8.2 and 8.3). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  HpackDecoder,
  requestFault,
  responseFault,
  trailersFault,
} from '../../../src/dataplane/codec/http2/index.ts';
import { LIMITS, literal } from './replay.ts';

/** `[name, fields, what is wrong]`; fields as `name=value`. */
type Case = readonly [name: string, fields: readonly string[], fault: string];

const GET = [':method=GET', ':scheme=https', ':path=/'];
const CONNECT = [':method=CONNECT', ':authority=a:443'];

const REQUESTS: readonly Case[] = [
  ['the least', GET, ''],
  ['with an authority', [...GET, ':authority=a.example:8080'], ''],
  ['an empty authority', [...GET, ':authority='], ''],
  ['a query', [':method=GET', ':scheme=https', ':path=/a?b=c|d'], ''],
  ['OPTIONS *', [':method=OPTIONS', ':scheme=https', ':path=*'], ''],
  ['GET *', [':method=GET', ':scheme=https', ':path=*'], 'malformed :path'],
  ['CONNECT', CONNECT, ''],
  ['CONNECT with a path', [...CONNECT, ':path=/'], ':scheme or :path with CONNECT'],
  ['CONNECT without authority', [':method=CONNECT'], 'CONNECT without :authority'],
  ['extended CONNECT', [...CONNECT, ':scheme=https', ':path=/', ':protocol=websocket'], ''],
  ['extended CONNECT without path', [...CONNECT, ':scheme=https', ':protocol=websocket'], 'no :path'],
  [':protocol with GET', [...GET, ':protocol=websocket'], ':protocol without CONNECT'],
  ['no method', [':scheme=https', ':path=/'], 'no :method'],
  ['no scheme', [':method=GET', ':path=/'], 'no :scheme'],
  ['no path', [':method=GET', ':scheme=https'], 'no :path'],
  ['nothing', [], 'no :method'],
  ['an empty path', [':method=GET', ':scheme=https', ':path='], 'empty :path'],
  ['a path without slash', [':method=GET', ':scheme=https', ':path=a'], 'malformed :path'],
  ['a path with a space', [':method=GET', ':scheme=https', ':path=/a HTTP/1.1'], 'malformed :path'],
  ['a path with a fragment', [':method=GET', ':scheme=https', ':path=/a#b'], 'malformed :path'],
  ['a path above ASCII', [':method=GET', ':scheme=https', ':path=/\xe9'], 'malformed :path'],
  [
    'a path with CR LF',
    [':method=GET', ':scheme=https', ':path=/\r\nx'],
    'a control byte in the value of :path',
  ],
  ['a method with a space', [':method=GET /', ':scheme=https', ':path=/'], 'malformed :method'],
  ['user information', [...GET, ':authority=user@a'], 'malformed :authority'],
  ['an authority with a path', [...GET, ':authority=a/b'], 'malformed :authority'],
  [':status', [...GET, ':status=200'], ':status in a request'],
  ['a capital', [...GET, 'Accept=a'], 'field name "Accept" is empty, or not in lower case'],
  ['an empty name', [...GET, '=a'], 'field name "" is empty'],
  ['a space in a name', [...GET, 'a b=c'], 'field name "a b"'],
  ['a colon in a name', [...GET, 'a:b=c'], 'field name "a:b"'],
  ['CR LF in a name', [...GET, 'a\r\nb=c'], 'field name "a\r\nb"'],
  ['a name that CR turns into a known one', [...GET, 'content\rlength=1'], 'field name "content\rlength"'],
  ['NUL in a value', [...GET, 'a=b\0'], 'a control byte in the value of a'],
  ['CR in a value', [...GET, 'a=b\rc'], 'a control byte in the value of a'],
  ['LF in a value', [...GET, 'a=b\nc'], 'a control byte in the value of a'],
  ['DEL in a value', [...GET, 'a=b\x7fc'], 'a control byte in the value of a'],
  ['HTAB and obs-text in a value', [...GET, 'a=b\tc\xe9'], ''],
  ['white space before a value', [...GET, 'a= b'], 'white space around the value of a'],
  ['white space after a value', [...GET, 'a=b\t'], 'white space around the value of a'],
  ['an empty value', [...GET, 'a='], ''],
  ['connection', [...GET, 'connection=close'], 'connection-specific field connection'],
  ['keep-alive', [...GET, 'keep-alive=1'], 'connection-specific field keep-alive'],
  ['proxy-connection', [...GET, 'proxy-connection=close'], 'connection-specific field proxy-connection'],
  ['transfer-encoding', [...GET, 'transfer-encoding=chunked'], 'connection-specific field transfer-encoding'],
  ['upgrade', [...GET, 'upgrade=h2c'], 'connection-specific field upgrade'],
  ['te trailers', [...GET, 'te=trailers'], ''],
  ['te gzip', [...GET, 'te=trailers, gzip'], 'te other than trailers'],
  ['content-length', [...GET, 'content-length=3'], ''],
  ['two', [...GET, 'content-length=3', 'content-length=3'], 'more than one content-length'],
  ['a sign', [...GET, 'content-length=+3'], 'malformed content-length'],
  ['2^53', [...GET, 'content-length=9007199254740992'], 'malformed content-length'],
];
const RESPONSES: readonly Case[] = [
  ['the least', [':status=200'], ''],
  ['interim', [':status=103', 'link=a'], ''],
  ['above 599', [':status=999'], ''],
  ['101', [':status=101'], ':status 101'],
  ['no status', ['a=b'], 'no :status'],
  ['two digits', [':status=20'], 'malformed :status'],
  ['099', [':status=099'], 'malformed :status'],
  ['a path', [':status=200', ':path=/'], 'a request pseudo-header field in an answer'],
  ['status after a field', ['a=b', ':status=200'], ':status after a field'],
  ['te', [':status=200', 'te=trailers'], 'connection-specific field te'],
];
const TRAILERS: readonly Case[] = [
  ['fields', ['grpc-status=0', 'grpc-message='], ''],
  ['none', [], ''],
  ['a pseudo-header field', [':status=200', 'grpc-status=0'], 'a pseudo-header field in trailers'],
  ['connection', ['connection=close'], 'connection-specific field connection'],
];

const TABLES = {
  requests: [requestFault, REQUESTS],
  answers: [responseFault, RESPONSES],
  trailers: [trailersFault, TRAILERS],
} as const;

for (const [title, [fault, cases]] of Object.entries(TABLES)) {
  describe(title, () => {
    for (const [name, fields, expected] of cases) {
      test(name, () => {
        const wire = Buffer.concat(
          fields.map((field) =>
            literal(field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)),
          ),
        );
        // As it comes first, as the cache keeps it, and out of the cache.
        const decoder = new HpackDecoder(LIMITS, 4_096);
        for (let round = 0; round < 4; round++) {
          const block = decoder.decode(wire, 0, wire.length);
          assert.ok(block !== null, decoder.error);
          const got = fault(block);
          assert.ok(expected === '' ? got === '' : got.startsWith(expected), got);
          assert.equal(fault(block), got);
        }
      });
    }
  });
}

test('facts of a faulty entry stay with it in the table', () => {
  const decoder = new HpackDecoder(LIMITS, 4_096);
  const wire = Buffer.concat([Buffer.of(0x40), literal('A', 'b').subarray(1)]);
  for (const bytes of [wire, Buffer.of(0x82, 0x86, 0x84, 0xbe)]) {
    const block = decoder.decode(bytes, 0, bytes.length);
    assert.ok(block?.fault.startsWith('field name "A"'));
  }
});

test('what is read along the way', () => {
  const decoder = new HpackDecoder(LIMITS, 4_096);
  const wire = Buffer.concat([literal(':status', '404'), literal('content-length', '12')]);
  const block = decoder.decode(wire, 0, wire.length);
  assert.ok(block !== null && responseFault(block) === '');
  assert.deepEqual([block.status, block.contentLength], [404, 12]);
});
