/**
 * A service's `adaptiveConcurrency`: Envoy's gradient controller under Envoy's names (adaptive_concurrency.proto, v3), in
 * the same nesting, so that a filter's configuration can be copied. What Envoy requires has a default here: the values
 * of its documentation's example.
 */
import { z } from 'zod';
import type { AdaptiveConcurrencyConfig } from '../overload-config.ts';
import type { CheckContext } from './context.ts';
import { duration, percent } from './measures.ts';
import { integer } from './scalar.ts';
import type { Path } from './source-text.ts';

const LIMIT_MAX = 1_000_000;
const DAY_MS = 86_400_000;
const requests = () => integer({ min: 1, max: LIMIT_MAX, unit: 'requests' });

export const adaptiveConcurrencySchema = z.strictObject({
  sampleAggregatePercentile: percent()
    .prefault(50)
    .describe('The latency of a window is this percentile of its requests.'),
  concurrencyLimitParams: z
    .strictObject({
      maxConcurrencyLimit: requests().prefault(1000).describe('The highest limit.'),
      concurrencyUpdateInterval: duration({ min: 10, max: DAY_MS })
        .prefault('100ms')
        .describe('Length of a window; after each the limit is calculated anew.'),
      minConcurrencyLimit: requests()
        .optional()
        .describe(
          'The lowest limit. Stated, measuring minRTT leaves the limit alone. Default: minConcurrency, for both.',
        ),
    })
    .prefault({})
    .describe('How the limit is calculated.'),
  minRttCalcParams: z
    .strictObject({
      interval: duration({ min: 1, max: DAY_MS })
        .prefault('60s')
        .describe('Between two measurements of minRTT, the latency of a service that is not busy.'),
      fixedValue: duration({ min: 1, max: DAY_MS })
        .optional()
        .describe('minRTT itself. Absent: it is measured.'),
      requestCount: integer({ min: 1, max: 100_000, unit: 'requests' })
        .prefault(50)
        .describe('Requests that one measurement takes.'),
      jitter: percent()
        .prefault(15)
        .describe('A measurement begins up to this share of the interval later, so that nodes take turns.'),
      minConcurrency: requests()
        .prefault(3)
        .describe('The limit while minRTT is measured. What is beyond gets 503.'),
      buffer: percent().prefault(25).describe('A latency up to so much above minRTT is as good as minRTT.'),
    })
    .prefault({})
    .describe('How minRTT is measured.'),
});

type AdaptiveFields = z.infer<typeof adaptiveConcurrencySchema>;

export function checkAdaptiveConcurrency(
  fields: AdaptiveFields | undefined,
  protocol: string,
  path: Path,
  context: CheckContext,
): void {
  if (fields === undefined) return;
  const { concurrencyLimitParams: limits, minRttCalcParams: minRtt } = fields;
  const lowest = Math.max(limits.minConcurrencyLimit ?? 0, minRtt.minConcurrency);
  if (lowest > limits.maxConcurrencyLimit)
    context.faultIfWhole({
      path: [...path, 'concurrencyLimitParams', 'maxConcurrencyLimit'],
      expected: `at least ${lowest}, the lowest limit`,
      cure: 'raise it, or lower minConcurrencyLimit and minRttCalcParams.minConcurrency',
    });
  if (protocol === 'tcp')
    context.faultIfWhole({
      path,
      expected: 'a service that speaks HTTP',
      found: 'protocol: tcp',
      cure: 'bytes have no requests to be counted; use circuitBreaker.maxConnections',
    });
}

export function adaptiveConcurrencyDraft(
  fields: AdaptiveFields | undefined,
): AdaptiveConcurrencyConfig | null {
  if (fields === undefined) return null;
  const { concurrencyLimitParams: limits, minRttCalcParams: minRtt } = fields;
  return {
    percentile: fields.sampleAggregatePercentile,
    updateIntervalMs: limits.concurrencyUpdateInterval,
    maxLimit: limits.maxConcurrencyLimit,
    minLimit: limits.minConcurrencyLimit ?? null,
    minRtt: {
      intervalMs: minRtt.interval,
      requestCount: minRtt.requestCount,
      jitterPercent: minRtt.jitter,
      minConcurrency: minRtt.minConcurrency,
      bufferPercent: minRtt.buffer,
      fixedMs: minRtt.fixedValue ?? null,
    },
  };
}
