import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, resetDelayMs } from '../../src/dataplane/policy/index.ts';
import { HeaderList } from '../../src/message/index.ts';
import { retryConfig } from './kit.ts';

const ALMOST_1 = 1 - Number.EPSILON;
/** 6 November 1994, 08:49:37 GMT: the date of RFC 9110's examples. */
const EXAMPLE_MS = Date.UTC(1994, 10, 6, 8, 49, 37);

test('the windows double from the base to ten times the base', () => {
  const config = retryConfig();
  const windows = [1, 2, 3, 4, 5, 6, 50].map((retry) => Math.round(backoffMs(config, retry, ALMOST_1)));
  assert.deepEqual(windows, [25, 50, 100, 200, 250, 250, 250]);
});

test('a wait is uniform over its window', () => {
  const config = retryConfig();
  assert.equal(backoffMs(config, 1, 0), 0);
  assert.equal(backoffMs(config, 3, 0.5), 50);
  assert.equal(backoffMs(retryConfig({ backoffBaseMs: 10, backoffMaxMs: 15 }), 2, 0.5), 7.5);
  assert.equal(backoffMs(retryConfig({ backoffBaseMs: 0, backoffMaxMs: 0 }), 1, 0.5), 0);
});

/** Format, value, wait in ms without jitter at EXAMPLE_MS - 10 s; -1: not usable. */
const RESETS: readonly (readonly ['SECONDS' | 'UNIX_TIMESTAMP', string, number])[] = [
  ['SECONDS', '0', 0],
  ['SECONDS', '7', 7_000],
  ['SECONDS', ' 7 ', 7_000],
  ['SECONDS', '300', 300_000],
  ['SECONDS', '301', -1],
  ['SECONDS', '99999999999999999999', -1],
  ['SECONDS', '-1', -1],
  ['SECONDS', '1.5', -1],
  ['SECONDS', '', -1],
  ['SECONDS', 'soon', -1],
  ['SECONDS', 'Sun, 06 Nov 1994 08:49:37 GMT', 10_000],
  ['SECONDS', 'Sunday, 06-Nov-94 08:49:37 GMT', 10_000],
  ['SECONDS', 'Sun Nov  6 08:49:37 1994', 10_000],
  ['SECONDS', 'Sun, 06 Nov 1994 08:49:20 GMT', -1],
  ['SECONDS', 'Mon, 07 Nov 1994 08:49:37 GMT', -1],
  ['SECONDS', '1994-11-06T08:49:37Z', -1],
  ['UNIX_TIMESTAMP', String(EXAMPLE_MS / 1_000), 10_000],
  ['UNIX_TIMESTAMP', String(EXAMPLE_MS / 1_000 - 11), -1],
  ['UNIX_TIMESTAMP', 'Sun, 06 Nov 1994 08:49:37 GMT', -1],
];

for (const [format, value, waitMs] of RESETS) {
  test(`${format} "${value}" asks for ${waitMs < 0 ? 'nothing' : `${waitMs} ms`}`, () => {
    const config = retryConfig({ resetHeaders: [{ name: 'retry-after', format }] });
    const headers = HeaderList.of('Retry-After', value);
    assert.equal(resetDelayMs(config, headers, EXAMPLE_MS - 10_000, 0), waitMs);
    if (waitMs >= 0) assert.equal(resetDelayMs(config, headers, EXAMPLE_MS - 10_000, 0.5), waitMs * 1.25);
  });
}

test('reset headers are tried in order, and the first usable one counts', () => {
  const config = retryConfig({
    resetHeaders: [
      { name: 'retry-after', format: 'SECONDS' },
      { name: 'x-ratelimit-reset', format: 'UNIX_TIMESTAMP' },
      { name: 'x-own', format: 'SECONDS' },
    ],
  });
  const delay = (...headers: string[]) => resetDelayMs(config, HeaderList.of(...headers), 1_000_000, 0);
  assert.equal(delay(), -1);
  assert.equal(delay('X-Own', '3', 'Retry-After', '2'), 2_000);
  assert.equal(delay('Retry-After', 'soon', 'X-RateLimit-Reset', '1004'), 4_000);
  assert.equal(delay('Retry-After', '4000', 'x-own', '3'), 3_000);
  assert.equal(delay('x-other', '3'), -1);
});
