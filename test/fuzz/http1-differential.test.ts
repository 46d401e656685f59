/**
 * A short run of the differential fuzz: 20 seconds, or OUTBOARD_FUZZ_SECONDS. The seed is the same every time, so
 * that a rare difference, which needs a new rule or a repair, is found by the long runs and not by somebody's build.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runDifferential } from './http1-differential.ts';

const SEED = 1;
const seconds = Number(process.env.OUTBOARD_FUZZ_SECONDS ?? 20);

test(`requests and answers are judged as Node judges them, or differently for a known reason (${seconds} s)`, async (t) => {
  const report = await runDifferential(seconds, SEED);
  t.diagnostic(
    `seed ${report.seed}: ${report.inputs} inputs, ${report.accepted} accepted, ${report.refused} refused`,
  );
  assert.equal(report.unexplained.length, 0, report.unexplained.join('\n'));
  assert.ok(report.accepted > 0 && report.refused > 0, 'the fuzz compared nothing');
});
