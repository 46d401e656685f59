/**
 * Whatever bytes come, in whatever pieces: no exception, no reading beyond the end, the same verdict and the same
 * messages as in one piece, and memory that stays within the limits.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestParser, ResponseParser } from '../../src/dataplane/codec/http1/index.ts';
import { Random, SEED } from '../codec/http1/random.ts';
import { Recorder, replayRequests, replayResponse } from '../codec/http1/replay.ts';
import { requestBytes, responseBytes } from './generate.ts';

const HTTP = { scheme: 'http' } as const;
const ROUNDS = 15_000;
const NOTE = `OUTBOARD_TEST_SEED=${SEED}`;

test('requests are read the same however they are cut', () => {
  const random = new Random(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    const wire = requestBytes(random);
    const whole = replayRequests(wire, [], HTTP);
    const cuts = random.cuts(wire.length, 8);
    assert.deepEqual(
      replayRequests(wire, cuts, HTTP),
      whole,
      `${JSON.stringify(wire.toString('latin1'))} ${NOTE}`,
    );
  }
});

test('answers are read the same however they are cut', () => {
  const random = new Random(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    const wire = responseBytes(random);
    const to = { method: random.pick(['GET', 'GET', 'HEAD', 'CONNECT']), upgrade: random.chance(4) };
    const whole = replayResponse(wire, [], to);
    const cuts = random.cuts(wire.length, 8);
    assert.deepEqual(
      replayResponse(wire, cuts, to),
      whole,
      `${JSON.stringify(wire.toString('latin1'))} ${NOTE}`,
    );
  }
});

test('noise is refused or awaited, never thrown at', () => {
  const random = new Random(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = Buffer.from(Array.from({ length: random.int(120) }, () => random.int(256)));
    replayRequests(bytes, random.cuts(bytes.length, 3), HTTP);
    replayResponse(bytes, random.cuts(bytes.length, 3), { method: 'GET', upgrade: true });
  }
});

test('an endless head, trailer section or chunk line is refused within the limits, however slowly it comes', () => {
  const head = 'GET / HTTP/1.1\r\nHost: a\r\n';
  const beginnings = [
    '',
    'GET /',
    'GET / HTTP/1.1\r\n',
    head,
    `${head}X: `,
    `${head}Transfer-Encoding: chunked\r\n\r\n`,
    `${head}Transfer-Encoding: chunked\r\n\r\n1;`,
    `${head}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
    `${head}Transfer-Encoding: chunked\r\n\r\n0\r\nX: `,
  ];
  for (const beginning of beginnings) {
    for (const piece of ['a', 'a: b\r\n', '\r\n', '0']) {
      const parser = new RequestParser(new Recorder(), HTTP);
      const bytes = Buffer.from(piece.repeat(Math.ceil(997 / piece.length)));
      feed(parser, Buffer.from(beginning));
      let fed = 0;
      while (parser.failure === null && !parser.done && fed < 200_000) {
        feed(parser, bytes);
        fed += bytes.length;
      }
      assert.ok(
        parser.failure !== null || parser.done,
        `${JSON.stringify(beginning)} ${JSON.stringify(piece)}`,
      );
    }
  }
  const parser = new ResponseParser(new Recorder());
  parser.expect('GET', false);
  const lines = Buffer.from(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(200)}`);
  assert.equal(parser.execute(lines, 0, lines.length), -1);
});

function feed(parser: RequestParser, bytes: Buffer): void {
  parser.execute(bytes, 0, bytes.length);
}
