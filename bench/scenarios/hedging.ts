/**
 * Hedging and mirroring, each beside the same proxy without it. Hedging: one of ten backends is 100 ms slow; a second attempt after
 * the 90th percentile, for 4 % of the requests and ten saved up. Mirroring: every request is copied to a service that nothing listens for.
 */
import { pairedRatio, type Spread } from '../harness/stats.ts';
import { OUTBOARD, startOutboard } from '../harness/subjects.ts';
import { type CaseResult, caseResult, ratioOf } from '../harness/trials.ts';
import { attemptsOf, eachOf, type FaultTrial, underFaults } from '../harness/under-fault.ts';
import type { Fault } from '../load/faulty.ts';
import type { ProxySpec } from '../setup/spec.ts';
import { type Reading, type Scenario, standardNotes } from './scenario.ts';

interface Comparison {
  readonly name: string;
  readonly fault: Fault;
  readonly changes: Partial<ProxySpec>;
}

const COMPARISONS: readonly Comparison[] = [
  {
    name: 'hedging',
    fault: 'slow',
    changes: { hedging: { latencyPercentile: 90, maxExtraPercent: 4 } },
  },
  { name: 'mirroring', fault: 'none', changes: { mirrorToNobody: true } },
];

export const hedging: Scenario = {
  name: 'hedging',
  what: 'Outboard with and without hedging beside a slow backend, and mirroring to a dead service: p99, attempts',
  async run(bench) {
    const cases: CaseResult[] = [];
    const readings: Reading[] = [];
    const ratios: Record<string, Spread> = {};
    for (const { name, fault, changes } of COMPARISONS) {
      const with_ = `${OUTBOARD}-${name}`;
      const [found = {}] = await underFaults(
        bench,
        [
          { name: with_, start: startOutboard, changes },
          { name: OUTBOARD, start: startOutboard, changes: {} },
        ],
        {
          faults: [fault],
          backends: 10,
          rounds: bench.plan.quick ? 2 : bench.plan.rounds,
          settleSeconds: bench.plan.warmSeconds,
        },
      );
      const each = <T>(value: (one: FaultTrial) => T): Record<string, T[]> => eachOf(found, value);
      const attempts = each(attemptsOf);
      const result = caseResult(
        name,
        each(({ trial }) => trial),
      );
      cases.push(result);
      readings.push({ name: `${name}-attempts-per-request`, unit: '', values: attempts });
      ratios[`${name}_p99`] = ratioOf(result, ({ latencyMs }) => latencyMs.p99 as number, with_, OUTBOARD);
      ratios[`${name}_attempts`] = pairedRatio(attempts[with_] ?? [], attempts[OUTBOARD] ?? []);
    }
    return { scenario: 'hedging', cases, readings, curves: [], ratios, notes: standardNotes(cases) };
  },
};
