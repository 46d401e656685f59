/** Gateway API durations (GEP-2257). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, parseDuration } from '../../src/base/index.ts';

test('every unit and combination is read', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['0s', 0],
    ['250ms', 250],
    ['15s', 15_000],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['1h2m3s4ms', 3_723_004],
    ['4ms1h', 3_600_004],
    ['99999h', 99_999 * 3_600_000],
    ['00001s', 1_000],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});

test('everything else is refused', () => {
  for (const text of [
    '',
    '5',
    's',
    '1.5s',
    '-1s',
    '+1s',
    '1 s',
    ' 1s',
    '1s ',
    '1d',
    '1us',
    '100000s',
    '1s1s1s1s1s',
    '1S',
    '1m s',
  ])
    assert.equal(parseDuration(text), undefined, text);
});

test('what is written is read back', () => {
  for (const ms of [0, 1, 999, 1_000, 1_001, 59_999, 60_000, 3_599_999, 3_600_000, 90_061_001])
    assert.equal(parseDuration(formatDuration(ms)), ms, formatDuration(ms));
  assert.equal(formatDuration(90_000), '1m30s');
  assert.equal(formatDuration(0), '0s');
});
