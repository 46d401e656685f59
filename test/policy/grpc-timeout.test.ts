/** `grpc-timeout` as text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatGrpcTimeout, parseGrpcTimeout } from '../../src/dataplane/policy/index.ts';

const VALID: readonly (readonly [string, number])[] = [
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3_000],
  ['4m', 4],
  ['5u', 0.005],
  ['6n', 0.000_006],
  ['00000001S', 1_000],
  ['99999999n', 99.999_999],
  ['99999999H', 99_999_999 * 3_600_000],
];

for (const [text, ms] of VALID) {
  test(`${text} is ${ms} ms`, () => {
    assert.ok(Math.abs(parseGrpcTimeout(text) - ms) < 1e-9);
  });
}

const INVALID = [
  ...[
    '',
    'S',
    '1',
    '10',
    '1s',
    '1h',
    '1ms',
    '1 S',
    ' 1S',
    '1S ',
    '+1S',
    '-1S',
    '1.5S',
    '0x1S',
    '1e3m',
    '1SS',
  ],
  ...['123456789S', '000000001S', '1\u0660S', '\u0661S', 'infinite', '0S', '0n', '00000000H', 'NaNS'],
];

for (const text of INVALID) {
  test(`${JSON.stringify(text)} is no timeout`, () => assert.equal(parseGrpcTimeout(text), -1));
}

/** Milliseconds → text. */
const WRITTEN: readonly (readonly [number, string])[] = [
  [0, '1m'],
  [0.4, '1m'],
  [1, '1m'],
  [1.999, '1m'],
  [15_000, '15000m'],
  [99_999_999, '99999999m'],
  [100_000_000, '100000S'],
  [99_999_999_999, '99999999S'],
  [100_000_000_000, '1666666M'],
  [6_000_000_000_000, '1666666H'],
  [1e18, '99999999H'],
];

for (const [ms, text] of WRITTEN) {
  test(`${ms} ms are written ${text}`, () => assert.equal(formatGrpcTimeout(ms), text));
}

test('what is written is read back as no more than it was, and at most one unit less', () => {
  for (let ms = 1; ms < 1e14; ms = ms * 1.7 + 0.3) {
    const text = formatGrpcTimeout(ms);
    assert.match(text, /^[0-9]{1,8}[mSMH]$/);
    const read = parseGrpcTimeout(text);
    assert.ok(read <= ms && read > ms * 0.9 - 1, `${ms} → ${text} → ${read}`);
  }
});
