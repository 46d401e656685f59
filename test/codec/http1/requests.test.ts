/** Every request case, whole, byte by byte, and cut at random places. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIMITS } from '../../../src/base/index.ts';
import { CHUNKS, CODINGS, CONNECTIONS, EXPECTATIONS, LENGTHS, UPGRADES } from './cases-request-body.ts';
import { FIELDS, HOSTS, REQUEST_LINES, TARGETS } from './cases-request-head.ts';
import { Random, SEED } from './random.ts';
import { assertLines, type Case, replayRequests } from './replay.ts';

const TABLES: Record<string, readonly Case[]> = {
  'request line': REQUEST_LINES,
  target: TARGETS,
  Host: HOSTS,
  'field lines': FIELDS,
  'Content-Length': LENGTHS,
  'Transfer-Encoding': CODINGS,
  chunks: CHUNKS,
  Connection: CONNECTIONS,
  Upgrade: UPGRADES,
  Expect: EXPECTATIONS,
};
const HTTP = { scheme: 'http' } as const;

for (const [title, cases] of Object.entries(TABLES)) {
  describe(title, () => {
    for (const [name, wire, ...lines] of cases) {
      test(name, () => {
        const bytes = Buffer.from(wire, 'latin1');
        assertLines(replayRequests(bytes, [], HTTP), lines, 'whole');
        const everywhere = Array.from(bytes.keys()).slice(1);
        assertLines(replayRequests(bytes, everywhere, HTTP), lines, 'byte by byte');
        const random = new Random(SEED);
        for (let round = 0; round < 20; round++) {
          const cuts = random.cuts(bytes.length, 6);
          const where = `cut at ${cuts.join(', ')}; OUTBOARD_TEST_SEED=${SEED}`;
          assertLines(replayRequests(bytes, cuts, HTTP), lines, where);
        }
      });
    }
  });
}

describe('limits', () => {
  const small = { scheme: 'http', requestLineBytes: 32, headerBytes: 40, headerCount: 3 } as const;
  const line = (bytes: number): string => `GET /${'a'.repeat(bytes - 16)} HTTP/1.1\r\n`;
  const cases: readonly Case[] = [
    [
      'a request line at the limit',
      `${line(32)}Host: a\r\n\r\n`,
      `GET /${'a'.repeat(16)} @a 1.1 none`,
      'end',
    ],
    ['a request line above it', `${line(33)}Host: a\r\n\r\n`, 'refused uri-too-long'],
    ['an endless method', 'A'.repeat(40), 'refused uri-too-long'],
    [
      'fields at the limit',
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(24)}\r\n\r\n`,
      'GET / @a 1.1 none',
      'end',
    ],
    [
      'fields above it',
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(25)}\r\n\r\n`,
      'refused headers-too-large',
    ],
    ['an endless name', `GET / HTTP/1.1\r\n${'y'.repeat(99)}`, 'refused headers-too-large'],
    [
      'fields besides Host at the limit',
      'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\nX: 3\r\n\r\n',
      'GET / @a 1.1 none',
      'end',
    ],
    [
      'a field too many',
      'GET / HTTP/1.1\r\nHost: a\r\nX:\r\nX:\r\nX:\r\nX:\r\n\r\n',
      'refused headers-too-large',
    ],
  ];
  for (const [name, wire, ...lines] of cases) {
    test(name, () => {
      const bytes = Buffer.from(wire, 'latin1');
      assertLines(replayRequests(bytes, [], small), lines, 'whole');
      assertLines(replayRequests(bytes, Array.from(bytes.keys()).slice(1), small), lines, 'byte by byte');
    });
  }

  test('a head of the largest size sent byte by byte is scanned once', () => {
    const bytes = Buffer.from(
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(LIMITS.headerBytes - 20)}\r\n\r\n`,
    );
    const lines = replayRequests(bytes, Array.from(bytes.keys()).slice(1), HTTP);
    assert.equal(lines[0], 'GET / @a 1.1 none');
  });
});
