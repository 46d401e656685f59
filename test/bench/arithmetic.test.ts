/** The harness's arithmetic: medians, paired ratios, what /proc says, which cores do what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseCores, parseCoreList } from '../../bench/harness/cores.ts';
import {
  cpuSeconds,
  idleShare,
  parseCoreTime,
  parseStatTicks,
  processTree,
  pssBytes,
} from '../../bench/harness/proc.ts';
import { median, pairedRatio, rounded, spread, turnsOf } from '../../bench/harness/stats.ts';

test('a median ignores order and what was not measured', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([Number.NaN, 5, Number.POSITIVE_INFINITY]), 5);
  assert.ok(Number.isNaN(median([])));
});

test('a ratio is the median of the ratios of each round, not the ratio of the medians', () => {
  // The machine was half as fast in the second round, for both.
  assert.deepEqual(pairedRatio([20, 10, 30], [10, 5, 10]), { median: 2, min: 2, max: 3, rounds: 3 });
});

test('rounds that one side lacks, and divisions by nothing, are left out', () => {
  assert.deepEqual(pairedRatio([2, 4, 6], [1, 0]), { median: 2, min: 2, max: 2, rounds: 1 });
  assert.equal(pairedRatio([1], []).rounds, 0);
  assert.ok(Number.isNaN(pairedRatio([], []).median));
});

test('who was asked last in a round is asked first in the next', () => {
  assert.deepEqual(
    [0, 1, 2].flatMap((round) => turnsOf(['a', 'b'], round)),
    ['a', 'b', 'b', 'a', 'a', 'b'],
  );
});

test('a spread is the smallest and the largest', () => {
  assert.deepEqual(spread([5, 1, 3]), { median: 3, min: 1, max: 5, rounds: 3 });
});

test('figures are rounded to three digits, and null where there is none', () => {
  assert.equal(rounded(1.23456), 1.23);
  assert.equal(rounded(0.00123456), 0.00123);
  assert.equal(rounded(Number.NaN), null);
});

test('CPU time is utime and stime, whatever the name of the process holds', () => {
  const fields = ['S', ...Array.from({ length: 10 }, () => '0'), '150', '50', '7', '7'].join(' ');
  assert.equal(parseStatTicks(`42 (node) ${fields}`), 200);
  assert.equal(parseStatTicks(`42 (a) b (c) ${fields}`), 200);
  assert.equal(parseStatTicks(''), 0, 'a process that is gone');
});

test('idleness of a core counts waiting as idle and steal as busy', () => {
  const before = parseCoreTime(
    'cpu  9 9 9 9 9 9 9 9\ncpu1 100 0 100 800 0 0 0 0\ncpu10 1 1 1 1 1 1 1 1\n',
    1,
  );
  const after = parseCoreTime('cpu1 130 0 120 820 20 5 5 0\n', 1);
  assert.equal(idleShare(before, after), 0.4);
  const stolen = parseCoreTime('cpu1 100 0 100 800 0 0 0 100\n', 1);
  assert.equal(idleShare(before, stolen), 0);
  assert.equal(idleShare(before, before), 1, 'no time has passed');
});

test('this process has used CPU and memory, and is its own root', () => {
  assert.ok(cpuSeconds([process.pid]) > 0);
  assert.ok(pssBytes([process.pid]) > 1_000_000);
  assert.ok(processTree(process.pid).includes(process.pid));
  assert.equal(pssBytes([]), 0);
});

test('the proxy has a core of its own where there are two, the backend where there are three', () => {
  assert.deepEqual(chooseCores([0]), { proxy: 0, backend: 0, load: 0 });
  assert.deepEqual(chooseCores([0, 1]), { proxy: 1, backend: 0, load: 0 });
  assert.deepEqual(chooseCores([2, 3, 8, 9]), { proxy: 9, backend: 8, load: 2 });
});

test("the kernel's lists of cores", () => {
  assert.deepEqual(parseCoreList('0-2,5,7-8'), [0, 1, 2, 5, 7, 8]);
  assert.deepEqual(parseCoreList('3'), [3]);
});
