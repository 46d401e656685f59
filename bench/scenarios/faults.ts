/**
 * Faults: one of five backends stalls, refuses, resets, answers 503, is slow, or does all of it by a seed, the same in a round for
 * both proxies; the same policy in both (two retries, 250 ms per try, ejection after five failures in a row). What counts:
 * requests that failed, p99, and attempts that reached a backend per request.
 */
import { pairedRatio, type Spread } from '../harness/stats.ts';
import { ENVOY, OUTBOARD, startEnvoy, startOutboard } from '../harness/subjects.ts';
import { type CaseResult, caseResult, ratioOf } from '../harness/trials.ts';
import { attemptsOf, eachOf, type FaultTrial, underFaults } from '../harness/under-fault.ts';
import { FAULTS } from '../load/faulty.ts';
import { type Reading, type Scenario, standardNotes } from './scenario.ts';

const RETRY = { on: ['connect-failure', 'refused-stream', 'reset', 'gateway-error'], perTryTimeoutMs: 250 };
const OURS = { name: OUTBOARD, start: startOutboard, changes: { retry: RETRY } };
const THEIRS = { name: ENVOY, start: startEnvoy, changes: { retry: RETRY } };
/**
 * At 500 requests a second a compilation shows among the slowest hundredth. Proxies run for weeks: they are measured when what
 * runs often has been compiled.
 */
const SETTLE_SECONDS = 60;

export const faults: Scenario = {
  name: 'faults',
  what: 'one of five backends stalls, refuses, resets, answers 503, is slow, or all of it: errors, p99, attempts',
  async run(bench) {
    const { quick, rounds } = bench.plan;
    const found = await underFaults(bench, bench.programs.envoy === null ? [OURS] : [OURS, THEIRS], {
      faults: FAULTS,
      backends: 5,
      rounds: quick ? 1 : rounds,
      settleSeconds: quick ? bench.plan.warmSeconds : SETTLE_SECONDS,
    });
    const cases: CaseResult[] = [];
    const readings: Reading[] = [];
    const ratios: Record<string, Spread> = {};
    for (const [i, fault] of FAULTS.entries()) {
      const each = <T>(value: (one: FaultTrial) => T): Record<string, T[]> => eachOf(found[i] ?? {}, value);
      const result = caseResult(
        `fault-${fault}`,
        each(({ trial }) => trial),
      );
      const attempts = each(attemptsOf);
      const errors = each(({ trial }) => (100 * trial.errors) / trial.requests);
      cases.push(result);
      readings.push({ name: `fault-${fault}-errors`, unit: '%', values: errors });
      readings.push({ name: `fault-${fault}-attempts-per-request`, unit: '', values: attempts });
      ratios[`${fault}_p99`] = ratioOf(result, ({ latencyMs }) => latencyMs.p99 as number);
      ratios[`${fault}_attempts`] = pairedRatio(attempts[OUTBOARD] ?? [], attempts[ENVOY] ?? []);
    }
    return { scenario: 'faults', cases, readings, curves: [], ratios, notes: standardNotes(cases) };
  },
};
