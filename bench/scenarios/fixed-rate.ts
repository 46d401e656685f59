/**
 * Latency at a fixed rate: 10 to 90 % of what the slower of the two can do, open loop. The same rates for both, so that
 * the curves can be laid over each other.
 */

import type { Spread } from '../harness/stats.ts';
import { median } from '../harness/stats.ts';
import { startPair } from '../harness/subjects.ts';
import { type CaseResult, closedLoop, interleave, openLoop, ratioOf } from '../harness/trials.ts';
import { type Curve, type Scenario, standardNotes } from './scenario.ts';

const SHARES = [0.1, 0.25, 0.5, 0.75, 0.9];
const PERCENTILES = ['p50', 'p90', 'p99', 'p999'] as const;

export const fixedRate: Scenario = {
  name: 'fixed-rate',
  what: 'latency percentiles at fixed rates, 10 to 90 % of the slower maximum',
  async run(bench) {
    const pair = await startPair(bench);
    const cases: CaseResult[] = [];
    const curves: Curve[] = [];
    const ratios: Record<string, Spread> = {};
    for (const kind of ['plain', 'tls'] as const) {
      const maximum = await interleave(bench, `${kind}-maximum`, pair, bench.plan.quick ? 2 : 3, (subject) =>
        closedLoop(bench, subject, { url: `${subject.urls[kind]}/64` }),
      );
      const slower = Math.min(
        ...Object.values(maximum.trials).map((trials) => median(trials.map(({ rps }) => rps))),
      );
      const lines: Record<string, [number, number][]> = {};
      for (const share of SHARES) {
        const rate = share * slower;
        const result = await interleave(
          bench,
          `${kind}-${share * 100}`,
          pair,
          bench.plan.quick ? 1 : bench.plan.rounds,
          (subject) => openLoop(bench, subject, { url: `${subject.urls[kind]}/64`, rate }),
        );
        cases.push(result);
        for (const percentile of PERCENTILES) {
          ratios[`${kind}_${percentile}_at_${share * 100}`] = ratioOf(
            result,
            ({ latencyMs }) => latencyMs[percentile] as number,
          );
          for (const [subject, trials] of Object.entries(result.trials)) {
            if (percentile === 'p90') continue;
            const line = `${subject} ${percentile === 'p999' ? 'p99.9' : percentile}`;
            lines[line] ??= [];
            lines[line].push([
              Math.round(rate),
              median(trials.map(({ latencyMs }) => latencyMs[percentile] as number)),
            ]);
          }
        }
      }
      curves.push({
        plot: `latency-${kind}`,
        x: 'requests per second',
        y: 'latency in ms',
        logarithmic: true,
        lines,
      });
      cases.push(maximum);
    }
    return { scenario: 'fixed-rate', cases, readings: [], curves, ratios, notes: standardNotes(cases) };
  },
};
