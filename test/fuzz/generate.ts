/**
 * Wire bytes for the fuzzers: a valid message from a small grammar, then faults of the kinds that parsers disagree
 * on, put where they hurt, then now and then a byte of noise. Everything follows from the seed.
 */
import type { Random } from '../codec/http1/random.ts';

const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'];
const TARGETS = ['/', '/a', '/a/b?c=d', '/%2e%2e/', '//x', '/a;b=c'];
const HOSTS = ['a', 'a.example:80', '[::1]:8080', '10.0.0.1'];
const NAMES = ['Accept', 'x-a', 'X-B', 'Cookie', 'User-Agent', 'x-request-id', 'ETag', 'Via', 'Content-Type'];
const VALUES = ['1', 'a b', 'a,b', '"q"', '', 'x\ty', '\xe9', '*/*'];
const ODD_METHODS = [
  'get',
  'BREW',
  'M-SEARCH',
  'CONNECT',
  'TRACE',
  'PRI',
  'G T',
  'G\0T',
  'SOURCE',
  "A!#$%&'*+-.^_`|~9",
];
const ODD_TARGETS = [
  '*',
  'a',
  '?x',
  '/a#b',
  '/\xe9',
  '/\x7f',
  '/\0',
  '/a b',
  'http://b/c',
  'http://u@b/',
  'https://b',
  'b:443',
  'ftp://b/',
  '/a\tb',
  '',
  '/"<>\\^`{|}',
];
const VERSIONS = [
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'HTTP/0.9',
  'http/1.1',
  'HTTP/1.10',
  'HTTP/1',
  'HTTP/1.1 ',
  'XTTP/1.1',
  'HTTP/3.1',
  '',
];
const LINE_ENDS = ['\n', '\r', '\r\r\n', '\r\n ', '\r\n\t', '\n\r\n', '\r\n\r\n', '\0\r\n', ''];
const ODD_FIELDS = [
  'Host: b',
  'Host:',
  'Host: a b',
  'host: u@a',
  'Host: a,b',
  'Host : a',
  'Content-Length: 5',
  'Content-Length: 5, 5',
  'Content-Length: +5',
  'Content-Length: -5',
  'Content-Length: 0x5',
  'Content-Length: 0',
  'Content-Length:',
  'Content-Length: 5 5',
  'Content-Length: 00005',
  'Content-Length : 5',
  'content-length:\t5\t',
  'Content-Length: 99999999999999999999',
  'Content-Length: \xa05',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: CHUNKED',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: gzip',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: x chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding:',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding: \xa0chunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\tchunked ',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding: chunked;q=1',
  'Transfer_Encoding: chunked',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: Upgrade',
  'Connection: close, Content-Length',
  'Connection: Transfer-Encoding',
  'Connection: "x"',
  'Connection: x y',
  'Connection: , ,close',
  'Connection:',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Upgrade: a b',
  'Expect: 100-continue',
  'Expect: gold',
  'Expect:',
  'Proxy-Connection: close',
  'TE: trailers',
  'X : y',
  'X\t: y',
  ' X: y',
  ': y',
  'X',
  'X\0: y',
  'X: \0',
  'X: \x7f',
  'X: \x07',
  'X\xe9: y',
  'X: a\rb',
  'X: a\nb',
  'X/Y: z',
  '',
];
const CHUNK_ODDITIES = [
  '5 ',
  ' 5',
  '+5',
  '0x5',
  '5;a',
  '5;a=b',
  '5;a="b;\\""',
  '5;a="\n"',
  '5;',
  '5;=',
  '5;a=',
  '5; a',
  '5\t',
  '-5',
  '',
  'g',
  '00005',
  '10000000000000005',
  '5;a\n',
  '5;a\0',
  '5,5',
  '5\xa0',
  '5;a="b',
  '5;a b',
];
const ODD_TRAILERS = [
  'X: y',
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Host: b',
  'X : y',
  ' X: y',
  'X',
  'X: \0',
  'Authorization: z',
  'X: a\nY: b',
  ': x',
];
const ODD_STATUSES = [
  '100',
  '101',
  '204',
  '304',
  '205',
  '404',
  '099',
  '600',
  '999',
  '20',
  '2000',
  '20x',
  '',
  '-20',
  '200 ',
];
const REASONS = [' OK', ' ', '', ' Not Found', ' \xe9', '  x', '\tOK', ' O\0K', ' O\rK'];

/** One to three requests on a connection, most of them faulty in one way or two. */
export function requestBytes(random: Random): Buffer {
  let wire = random.chance(20) ? random.pick(['\r\n', '\n', '\r\n\r\n', ' ', '\r', '\0']) : '';
  for (let i = 1 + (random.chance(3) ? 1 + random.int(2) : 0); i > 0; i--) {
    const method = random.chance(12) ? random.pick(ODD_METHODS) : random.pick(METHODS);
    const target = random.chance(8) ? random.pick(ODD_TARGETS) : random.pick(TARGETS);
    const version = random.chance(12) ? random.pick(VERSIONS) : 'HTTP/1.1';
    const space = () => (random.chance(60) ? random.pick(['  ', '\t', '', '\x0b']) : ' ');
    wire += `${method}${space()}${target}${space()}${version}${lineEnd(random)}`;
    const fields = random.chance(20) ? [] : [`Host: ${random.pick(HOSTS)}`];
    wire += message(random, fields, method === 'GET' ? 4 : 1);
  }
  return noisy(random, Buffer.from(wire, 'latin1'));
}

/** Interim answers and a final one. */
export function responseBytes(random: Random): Buffer {
  let wire = random.chance(30) ? random.pick(['\r\n', '\n', ' ', '\0']) : '';
  while (random.chance(8))
    wire += `HTTP/1.1 ${random.pick(['100', '102', '103'])} x\r\n${message(random, [], 30)}`;
  const version = random.chance(10) ? random.pick(VERSIONS) : 'HTTP/1.1';
  const status = random.chance(5) ? random.pick(ODD_STATUSES) : '200';
  const reason = random.chance(5) ? random.pick(REASONS) : ' OK';
  wire += `${version}${random.chance(60) ? '  ' : ' '}${status}${reason}${lineEnd(random)}`;
  return noisy(random, Buffer.from(wire + message(random, [], 1), 'latin1'));
}

/** Field lines, empty line and body; one time in `bodyless` with one. */
function message(random: Random, fields: string[], bodyless: number): string {
  for (let i = random.int(4); i > 0; i--) fields.push(`${random.pick(NAMES)}: ${random.pick(VALUES)}`);
  let body = '';
  if (random.chance(bodyless)) {
    if (random.chance(2)) {
      fields.push('Transfer-Encoding: chunked');
      body = chunks(random);
    } else {
      fields.push('Content-Length: 5');
      body = random.chance(20) ? 'abcdef' : 'abcde';
    }
  }
  while (random.chance(3)) fields.splice(random.int(fields.length + 1), 0, random.pick(ODD_FIELDS));
  let text = '';
  for (const field of fields) text += field + lineEnd(random);
  return text + lineEnd(random) + body;
}

function chunks(random: Random): string {
  let text = '';
  for (let i = random.int(3); i > 0; i--)
    text += `${random.chance(6) ? random.pick(CHUNK_ODDITIES) : '5'}${lineEnd(random)}abcde${lineEnd(random)}`;
  text += `${random.chance(12) ? random.pick(['00', '0;a', '0 ', '0;', '-0', '0x0']) : '0'}${lineEnd(random)}`;
  if (random.chance(5)) text += random.pick(ODD_TRAILERS) + lineEnd(random);
  return text + lineEnd(random);
}

function lineEnd(random: Random): string {
  return random.chance(120) ? random.pick(LINE_ENDS) : '\r\n';
}

/** One message in eight: a byte changed, put in, taken out, or the end cut off. */
function noisy(random: Random, wire: Buffer): Buffer {
  if (!random.chance(8) || wire.length === 0) return wire;
  const at = random.int(wire.length);
  const byte = Buffer.from([
    random.chance(2) ? random.int(256) : random.pick([0, 9, 10, 13, 32, 44, 58, 59, 127]),
  ]);
  switch (random.int(4)) {
    case 0:
      return Buffer.concat([wire.subarray(0, at), byte, wire.subarray(at + 1)]);
    case 1:
      return Buffer.concat([wire.subarray(0, at), byte, wire.subarray(at)]);
    case 2:
      return Buffer.concat([wire.subarray(0, at), wire.subarray(at + 1)]);
    default:
      return wire.subarray(0, at);
  }
}
