/**
 * Faults: one of five backends stalls, refuses, resets, answers 503, is slow, or does all of it by a seed, the same in a round for
 * both proxies; the same policy in both (two retries, 250 ms per try, ejection after five failures in a row). The fault begins when the proxy is warm and has connections open; every
 * round has fresh proxies and backends, as ejections would carry over. What counts: requests that failed, p99, and attempts that reached a backend per request.
 */
import { pairedRatio, type Spread } from '../harness/stats.ts';
import { ENVOY, OUTBOARD, startEnvoy, startOutboard } from '../harness/subjects.ts';
import { type CaseResult, caseResult, ratioOf, type Trial } from '../harness/trials.ts';
import { underFault } from '../harness/under-fault.ts';
import { FAULTS } from '../load/faulty.ts';
import { type Reading, type Scenario, standardNotes } from './scenario.ts';

const RETRY = { on: ['connect-failure', 'refused-stream', 'reset', 'gateway-error'], perTryTimeoutMs: 250 };
const STARTS = { [OUTBOARD]: startOutboard, [ENVOY]: startEnvoy };

export const faults: Scenario = {
  name: 'faults',
  what: 'one of five backends stalls, refuses, resets, answers 503, is slow, or all of it: errors, p99, attempts',
  async run(bench) {
    const names = bench.programs.envoy === null ? [OUTBOARD] : [OUTBOARD, ENVOY];
    const cases: CaseResult[] = [];
    const readings: Reading[] = [];
    const ratios: Record<string, Spread> = {};
    for (const fault of FAULTS) {
      const trials: Record<string, Trial[]> = Object.fromEntries(names.map((name) => [name, []]));
      const attempts: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
      const errors: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
      for (let round = 0; round < (bench.plan.quick ? 1 : bench.plan.rounds); round++) {
        for (const name of names) {
          const start = STARTS[name as keyof typeof STARTS];
          const { trial, reached } = await underFault(
            bench,
            start,
            { fault, backends: 5, seed: round + 1 },
            { retry: RETRY },
          );
          trials[name]?.push(trial);
          attempts[name]?.push(reached / trial.requests);
          errors[name]?.push((100 * trial.errors) / trial.requests);
          bench.say(
            `${fault} round ${round + 1}, ${name}: ${trial.errors} of ${trial.requests} failed, p99 ${trial.latencyMs.p99?.toFixed(1)} ms, ${(reached / trial.requests).toFixed(3)} attempts each`,
          );
        }
      }
      const result = caseResult(`fault-${fault}`, trials);
      cases.push(result);
      readings.push({ name: `fault-${fault}-errors`, unit: '%', values: errors });
      readings.push({ name: `fault-${fault}-attempts-per-request`, unit: '', values: attempts });
      ratios[`${fault}_p99`] = ratioOf(result, ({ latencyMs }) => latencyMs.p99 as number);
      ratios[`${fault}_attempts`] = pairedRatio(attempts[OUTBOARD] ?? [], attempts[ENVOY] ?? []);
    }
    return { scenario: 'faults', cases, readings, curves: [], ratios, notes: standardNotes(cases) };
  },
};
