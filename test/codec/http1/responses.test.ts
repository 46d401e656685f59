/** Every answer case, whole, byte by byte, and cut at random places; and what holds for a connection. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ResponseParser } from '../../../src/dataplane/codec/http1/index.ts';
import {
  ANSWER_BODIES,
  ANSWER_FIELDS,
  ANSWERS_TO_CONNECT,
  ANSWERS_TO_HEAD,
  ANSWERS_TO_UPGRADE,
  INTERIM_ANSWERS,
  STATUS_LINES,
} from './cases-response.ts';
import { Random, SEED } from './random.ts';
import { assertLines, type Case, type Expectation, Recorder, replayResponse } from './replay.ts';

const GET: Expectation = { method: 'GET', upgrade: false };
const TABLES: Record<string, [readonly Case[], Expectation]> = {
  'status line': [STATUS_LINES, GET],
  'field lines': [ANSWER_FIELDS, GET],
  body: [ANSWER_BODIES, GET],
  'interim answers': [INTERIM_ANSWERS, GET],
  'answers to HEAD': [ANSWERS_TO_HEAD, { method: 'HEAD', upgrade: false }],
  'answers to CONNECT': [ANSWERS_TO_CONNECT, { method: 'CONNECT', upgrade: false }],
  'answers to Upgrade': [ANSWERS_TO_UPGRADE, { method: 'GET', upgrade: true }],
};

for (const [title, [cases, expectation]] of Object.entries(TABLES)) {
  describe(title, () => {
    for (const [name, wire, ...lines] of cases) {
      test(name, () => {
        const bytes = Buffer.from(wire, 'latin1');
        assertLines(replayResponse(bytes, [], expectation), lines, 'whole');
        const everywhere = Array.from(bytes.keys()).slice(1);
        assertLines(replayResponse(bytes, everywhere, expectation), lines, 'byte by byte');
        const random = new Random(SEED);
        for (let round = 0; round < 20; round++) {
          const cuts = random.cuts(bytes.length, 6);
          const where = `cut at ${cuts.join(', ')}; OUTBOARD_TEST_SEED=${SEED}`;
          assertLines(replayResponse(bytes, cuts, expectation), lines, where);
        }
      });
    }
  });
}

describe('a connection', () => {
  const bytes = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');

  test('carries answers one after the other, each announced', () => {
    const recorder = new Recorder();
    const parser = new ResponseParser(recorder);
    for (let i = 0; i < 3; i++) {
      parser.expect('GET', false);
      assert.equal(parser.begun, false);
      assert.equal(parser.execute(bytes, 0, bytes.length), bytes.length);
      assert.equal(parser.begun, true);
      assert.equal(parser.reusable, true);
    }
    assert.equal(recorder.lines.filter((line) => line === 'end').length, 3);
  });

  test('refuses an answer to no request', () => {
    const parser = new ResponseParser(new Recorder());
    assert.equal(parser.execute(bytes, 0, bytes.length), -1);
    assert.equal(parser.failure?.kind, 'upstream-protocol');
  });

  test('refuses a second answer to one request', () => {
    const parser = new ResponseParser(new Recorder());
    parser.expect('GET', false);
    parser.execute(bytes, 0, bytes.length);
    assert.equal(parser.execute(bytes, 0, bytes.length), -1);
  });

  test('says nothing more once it is closed from a callback', () => {
    const recorder = new Recorder();
    const parser = new ResponseParser({
      onInformational: () => assert.fail(),
      onHead: (head) => {
        recorder.onHead(head);
        parser.close();
      },
      onBody: () => assert.fail('a body after close'),
      onEnd: () => assert.fail('an end after close'),
    });
    parser.expect('GET', false);
    assert.equal(parser.execute(bytes, 0, bytes.length), bytes.length);
    assert.equal(parser.finish(), null);
  });
});
