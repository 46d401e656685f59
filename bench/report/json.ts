/** What a run is, how its files are called, and the one line that scripts read. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../harness/machine.ts';
import { rounded } from '../harness/stats.ts';
import type { ScenarioResult } from '../scenarios/scenario.ts';

export interface RunResult {
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly scenarios: readonly ScenarioResult[];
}

/** `RESULTS/2026-01-31`, from which every file of a run is named; with the time where the day has one already. */
export function resultStem(directory: string, { date, quick }: RunResult): string {
  mkdirSync(directory, { recursive: true });
  const kind = quick ? '-quick' : '';
  const stem = join(directory, `${date.slice(0, 10)}${kind}`);
  return existsSync(`${stem}.json`)
    ? join(directory, `${date.slice(0, 19).replaceAll(':', '')}${kind}`)
    : stem;
}

/** `{"scenario":"one-hop","ratio":{"plain_rps":1.62,…}}`: Outboard over Envoy, null where it was not measured. */
export function jsonLine({ scenario, ratios }: ScenarioResult): string {
  const ratio = Object.entries(ratios).map(([name, { median }]) => [name, rounded(median)]);
  return JSON.stringify({ scenario, ratio: Object.fromEntries(ratio) });
}
