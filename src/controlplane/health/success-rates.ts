/**
 * Envoy's detectors that look at an interval. Success rate: an endpoint whose rate lies `successRateStdevFactor`
 * thousandths of the (population's) standard deviation below the average of all. Failure percentage: one that fails
 * at a flat threshold, whatever the others do. Both twice: over answers, and over attempts to get one.
 */
import type { OutlierConfig } from '../../config/index.ts';
import { DETECTOR, type Detector, RESULT } from '../../ledger/index.ts';

/** What is told apart: bad answers (5xx), and no answer (connect, reset, timeout). */
export type Origin = 'external' | 'localOrigin';

/** How requests to one endpoint went in an interval. */
export interface Sample {
  /** In the ledger. */
  readonly slot: number;
  /** In percent. */
  readonly successRate: number;
  readonly volume: number;
}

export interface Outlier {
  readonly slot: number;
  readonly detector: Detector;
  /** In percent: of successes, or of failures, as the detector has it. */
  readonly observed: number;
  readonly threshold: number;
}

/** Average and threshold of the success rates, in percent; null where too few endpoints had enough requests. */
export interface Statistics {
  readonly average: number;
  readonly threshold: number;
}

export interface Judgement {
  readonly statistics: Statistics | null;
  /** Of each detector the worst first: the limit may let only some be ejected. */
  readonly outliers: readonly Outlier[];
}

/** `results` by RESULT; null: nothing ended there, which says nothing. */
export function sampleOf(slot: number, results: Readonly<Uint32Array>, origin: Origin): Sample | null {
  const bad = results[RESULT.serverError] + results[RESULT.gatewayError];
  const unanswered = origin === 'external' ? 0 : results[RESULT.localOrigin];
  const successes = results[RESULT.success] + (origin === 'external' ? 0 : bad);
  const volume = origin === 'external' ? successes + bad : successes + unanswered;
  return volume === 0 ? null : { slot, successRate: (100 * successes) / volume, volume };
}

/** Judges endpoints that are neither ejected nor being probed. */
export function judge(samples: readonly Sample[], config: OutlierConfig, origin: Origin): Judgement {
  const worstFirst = samples.toSorted((a, b) => a.successRate - b.successRate);
  const rated = worstFirst.filter(({ volume }) => volume >= config.successRateRequestVolume);
  const statistics = rated.length < config.successRateMinimumHosts ? null : statisticsOf(rated, config);
  return {
    statistics,
    outliers: [
      ...belowAverage(rated, statistics, origin),
      ...failing(
        worstFirst.filter(({ volume }) => volume >= config.failurePercentageRequestVolume),
        config,
        origin,
      ),
    ],
  };
}

function statisticsOf(rated: readonly Sample[], { successRateStdevFactor }: OutlierConfig): Statistics {
  const average = rated.reduce((sum, { successRate }) => sum + successRate, 0) / rated.length;
  const variance =
    rated.reduce((sum, { successRate }) => sum + (successRate - average) ** 2, 0) / rated.length;
  return { average, threshold: average - (successRateStdevFactor / 1_000) * Math.sqrt(variance) };
}

function belowAverage(rated: readonly Sample[], statistics: Statistics | null, origin: Origin): Outlier[] {
  if (statistics === null) return [];
  const { threshold } = statistics;
  const detector = origin === 'external' ? DETECTOR.successRate : DETECTOR.successRateLocalOrigin;
  return rated
    .filter(({ successRate }) => successRate < threshold)
    .map(({ slot, successRate }) => ({ slot, detector, observed: successRate, threshold }));
}

function failing(rated: readonly Sample[], config: OutlierConfig, origin: Origin): Outlier[] {
  if (rated.length < config.failurePercentageMinimumHosts) return [];
  const threshold = config.failurePercentageThreshold;
  const detector = origin === 'external' ? DETECTOR.failurePercentage : DETECTOR.failurePercentageLocalOrigin;
  return rated
    .map(({ slot, successRate }) => ({ slot, detector, observed: 100 - successRate, threshold }))
    .filter(({ observed }) => observed >= threshold);
}
