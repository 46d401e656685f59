/** What is parsed and written out again has the same fields in the same order and case, and the same body. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BodyWriter,
  encodeRequestHead,
  encodeResponseHead,
  RequestParser,
  ResponseParser,
  requestFraming,
  responseFraming,
} from '../../../src/dataplane/codec/http1/index.ts';
import { CHUNKS, LENGTHS } from './cases-request-body.ts';
import { FIELDS, HOSTS, TARGETS } from './cases-request-head.ts';
import { ANSWER_BODIES, ANSWER_FIELDS } from './cases-response.ts';
import { Random, SEED } from './random.ts';
import { type Case, replayRequests, replayResponse } from './replay.ts';

const HTTP = { scheme: 'http' } as const;
const GET = { method: 'GET', upgrade: false } as const;
const NAMES = ['Accept', 'x-a', 'X-B', 'COOKIE', 'Via', 'x-request-id', 'ETag', "!#$%&'*+-.^_`|~"];
const VALUES = ['', '1', 'a b', 'a,b', '"q; r"', '\xe9\xff', 'a\tb', 'x'.repeat(300)];

/** Parses requests and writes each out again; null when the wire is refused or incomplete. */
function forwardRequests(wire: Buffer): string | null {
  let text = '';
  const writer = writerTo((piece) => {
    text += piece;
  });
  const parser = new RequestParser(
    {
      onHead: (head) => writer.begin(encodeRequestHead(head), requestFraming(head), head.contentLength),
      onBody: (chunk) => writer.body(chunk),
      onEnd: (trailers) => writer.end(trailers),
    },
    HTTP,
  );
  let at = 0;
  while (at < wire.length) {
    const consumed = parser.execute(wire, at, wire.length);
    if (consumed < 0) return null;
    at += consumed;
    if (parser.done) parser.next();
  }
  return parser.idle && writer.intact ? text : null;
}

function forwardResponse(wire: Buffer): string | null {
  let text = '';
  const context = { version: '1.1', keepAlive: true, requestMethod: 'GET' } as const;
  const writer = writerTo((piece) => {
    text += piece;
  });
  const parser = new ResponseParser({
    onInformational: () => {},
    onHead: (head) =>
      writer.begin(encodeResponseHead(head, context), responseFraming(head, context), head.contentLength),
    onBody: (chunk) => writer.body(chunk),
    onEnd: (trailers) => writer.end(trailers),
  });
  parser.expect('GET', false);
  return parser.execute(wire, 0, wire.length) === wire.length && parser.done ? text : null;
}

function writerTo(take: (piece: string) => void): BodyWriter {
  return new BodyWriter({
    belowHighWater: true,
    flush: () => {},
    writeText: (piece) => {
      take(piece);
      return true;
    },
    writeBytes: (bytes) => {
      take(bytes.toString('latin1'));
      return true;
    },
  });
}

/** Lines without what is written anew: the version, framing and connection fields. */
function essence(lines: readonly string[]): string[] {
  return lines
    .filter(
      (line) => !/^\| (content-length|transfer-encoding|connection|upgrade):/i.test(line) && line !== 'close',
    )
    .map((line) => line.replace(' 1.0 ', ' 1.1 '));
}

const requestCases: readonly Case[] = [...FIELDS, ...HOSTS, ...TARGETS, ...LENGTHS, ...CHUNKS];
for (const [name, wire] of requestCases) {
  const bytes = Buffer.from(wire, 'latin1');
  const forwarded = forwardRequests(bytes);
  if (forwarded === null || wire.startsWith('CONNECT')) continue;
  test(`request: ${name}`, () => {
    const again = replayRequests(Buffer.from(forwarded, 'latin1'), [], HTTP);
    assert.deepEqual(essence(again), essence(replayRequests(bytes, [], HTTP)));
    assert.equal(forwardRequests(Buffer.from(forwarded, 'latin1')), forwarded, 'not stable');
  });
}

const answerCases: readonly Case[] = [...ANSWER_FIELDS, ...ANSWER_BODIES];
for (const [name, wire] of answerCases) {
  const bytes = Buffer.from(wire, 'latin1');
  const forwarded = forwardResponse(bytes);
  // Host means nothing in an answer and is not passed on.
  if (forwarded === null || wire.includes('Host: a')) continue;
  test(`answer: ${name}`, () => {
    const again = replayResponse(Buffer.from(forwarded, 'latin1'), [], GET);
    assert.deepEqual(essence(again), essence(replayResponse(bytes, [], GET)));
    assert.equal(forwardResponse(Buffer.from(forwarded, 'latin1')), forwarded, 'not stable');
  });
}

test('a head without framing fields comes out byte for byte', () => {
  const random = new Random(SEED);
  for (let round = 0; round < 500; round++) {
    let wire = 'GET /a?b HTTP/1.1\r\nHost: a.example:80\r\n';
    for (let i = random.int(12); i > 0; i--) wire += `${random.pick(NAMES)}: ${random.pick(VALUES)}\r\n`;
    wire += '\r\n';
    assert.equal(forwardRequests(Buffer.from(wire, 'latin1')), wire, `OUTBOARD_TEST_SEED=${SEED}`);
  }
});
