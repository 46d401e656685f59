/** Success rates and failure percentages against their formulas, Envoy's own example among them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, type Sample, sampleOf } from '../../src/controlplane/health/index.ts';
import { DETECTOR } from '../../src/ledger/index.ts';
import { seeded } from '../ledger/kit.ts';
import { OUTLIER } from './kit.ts';

const samples = (rates: readonly number[], volume = 100): Sample[] =>
  rates.map((successRate, slot) => ({ slot, successRate, volume }));

test('50, 100, 100, 100, 100 have an average of 90, a deviation of 20 and a threshold of 52, as Envoy works it out', () => {
  const { statistics, outliers } = judge(samples([50, 100, 100, 100, 100]), OUTLIER, 'external');
  assert.deepEqual(statistics, { average: 90, threshold: 52 });
  assert.deepEqual(outliers, [{ slot: 0, detector: DETECTOR.successRate, observed: 50, threshold: 52 }]);
});

test('nobody is judged by fewer than successRateMinimumHosts with successRateRequestVolume', () => {
  assert.equal(judge(samples([0, 100, 100, 100]), OUTLIER, 'external').statistics, null);
  const quiet = [...samples([0, 100, 100, 100]), { slot: 4, successRate: 100, volume: 99 }];
  assert.equal(judge(quiet, OUTLIER, 'external').statistics, null);
  const enough = [...quiet.slice(0, 4), { slot: 4, successRate: 100, volume: 100 }];
  assert.equal(judge(enough, OUTLIER, 'external').statistics?.average, 80);
});

test('a rate at the threshold is no outlier, and equal rates make none', () => {
  const even = judge(samples([90, 90, 90, 90, 90, 90]), OUTLIER, 'external');
  assert.deepEqual(even, { statistics: { average: 90, threshold: 90 }, outliers: [] });
  // Of n endpoints one alone is sqrt(n - 1) deviations below: with 4 that is 1.73.
  const policy = { ...OUTLIER, successRateMinimumHosts: 1 };
  assert.deepEqual(judge(samples([0, 100, 100, 100]), policy, 'external').outliers, []);
});

test('the worst comes first, since the limit may let only some be ejected', () => {
  const rates = [40, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 20, 100, 100, 100, 30, 100];
  const found = judge(samples(rates), { ...OUTLIER, successRateStdevFactor: 1_000 }, 'external').outliers;
  assert.deepEqual(
    found.map(({ slot }) => slot),
    [12, 16, 0],
  );
});

test('a failure percentage is judged flat, from its own volume and number of endpoints', () => {
  const failing = judge(samples([15, 15.1, 100, 100, 100], 50), OUTLIER, 'external');
  assert.equal(failing.statistics, null, 'too few requests for success rates');
  assert.deepEqual(failing.outliers, [
    { slot: 0, detector: DETECTOR.failurePercentage, observed: 85, threshold: 85 },
  ]);
  assert.deepEqual(judge(samples([0, 0, 0, 0, 0], 49), OUTLIER, 'external').outliers, []);
  assert.deepEqual(judge(samples([0, 0, 0, 0], 50), OUTLIER, 'external').outliers, []);
  assert.equal(judge(samples([0, 0, 0, 0, 0], 50), OUTLIER, 'external').outliers.length, 5);
});

test('answers and attempts to get one are rated apart', () => {
  const results = Uint32Array.of(60, 20, 10, 10);
  assert.deepEqual(sampleOf(3, results, 'external'), { slot: 3, successRate: 6_000 / 90, volume: 90 });
  assert.deepEqual(sampleOf(3, results, 'localOrigin'), { slot: 3, successRate: 90, volume: 100 });
  assert.equal(sampleOf(3, Uint32Array.of(0, 0, 0, 7), 'external'), null);
  assert.equal(sampleOf(3, Uint32Array.of(0, 0, 0, 7), 'localOrigin')?.successRate, 0);
  assert.deepEqual(
    judge(samples([0, 100, 100, 100, 100]), OUTLIER, 'localOrigin').outliers.map(({ detector }) => detector),
    [DETECTOR.successRateLocalOrigin, DETECTOR.failurePercentageLocalOrigin],
  );
});

test('random rates: exactly those below average less 1.9 deviations of the population', () => {
  const seed = 7;
  const random = seeded(seed);
  for (let round = 0; round < 500; round++) {
    const rates = Array.from({ length: 5 + Math.floor(random() * 30) }, () => 100 * random() ** 0.2);
    const average = rates.reduce((sum, rate) => sum + rate) / rates.length;
    const deviation = Math.sqrt(rates.reduce((sum, rate) => sum + (rate - average) ** 2, 0) / rates.length);
    const expected = rates.flatMap((rate, slot) => (rate < average - 1.9 * deviation ? [slot] : []));
    const found = judge(samples(rates), OUTLIER, 'external').outliers.filter(
      ({ detector }) => detector === DETECTOR.successRate,
    );
    assert.deepEqual(
      found.map(({ slot }) => slot).sort((a, b) => a - b),
      expected,
      `seed ${seed}, round ${round}`,
    );
  }
});
