/** What a scenario is and what it gives back: rounds as they were, and named ratios of Outboard over Envoy. */
import type { Bench } from '../harness/bench.ts';
import type { Spread } from '../harness/stats.ts';
import type { CaseResult } from '../harness/trials.ts';

/** A figure that is not a window of requests: memory, time to apply a change. */
export interface Reading {
  readonly name: string;
  readonly unit: string;
  /** Subject → its values, one per round. */
  readonly values: Readonly<Record<string, readonly number[]>>;
}

/** Points of one line: what a plot is drawn from. */
export interface Curve {
  readonly plot: string;
  readonly x: string;
  readonly y: string;
  readonly logarithmic: boolean;
  readonly lines: Readonly<Record<string, readonly (readonly [x: number, y: number])[]>>;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly cases: readonly CaseResult[];
  readonly readings: readonly Reading[];
  readonly curves: readonly Curve[];
  /** Names are stable: scripts read them. */
  readonly ratios: Readonly<Record<string, Spread>>;
  /** What a reader has to know: peers left out, load-bound cases, errors seen. */
  readonly notes: readonly string[];
}

export interface Scenario {
  readonly name: string;
  readonly what: string;
  run(bench: Bench): Promise<ScenarioResult>;
}

/** Above this share of the proxy's core taken by others a figure is marked. The kernel's own work is some of it. */
const FOREIGN_MARK = 0.1;

/** Notes that every scenario owes: load-bound cases, errors, a core that was shared. */
export function standardNotes(cases: readonly CaseResult[]): string[] {
  const notes: string[] = [];
  for (const { name, trials, loadIdle, loadBound } of cases) {
    if (loadBound) {
      notes.push(
        `${name}: load-bound (load core idle ${percent(loadIdle.min)} at least); trust CPU per request`,
      );
    }
    for (const [subject, rounds] of Object.entries(trials)) {
      const errors = rounds.reduce((sum, trial) => sum + trial.errors, 0);
      if (errors > 0) notes.push(`${name}: ${subject} had ${errors} errors`);
    }
    const foreign = Math.max(
      ...Object.values(trials).flatMap((rounds) => rounds.map((trial) => trial.foreign)),
    );
    if (foreign > FOREIGN_MARK) {
      notes.push(
        `${name}: others took up to ${percent(foreign)} of the proxy's core; measure again on a quiet machine`,
      );
    }
  }
  return notes;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
