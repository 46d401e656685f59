/** The file with everything in it, and the one line that scripts read. */
import { mkdirSync, writeFileSync } from 'node:fs';
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

/** `RESULTS/2026-01-31.json`, a time added where the day has one already. */
export function writeResult(directory: string, run: RunResult): string {
  mkdirSync(directory, { recursive: true });
  const name = `${run.date.slice(0, 19).replace('T', '-').replaceAll(':', '')}${run.quick ? '-quick' : ''}`;
  const file = join(directory, `${name}.json`);
  writeFileSync(file, `${JSON.stringify(run, null, 1)}\n`);
  return file;
}

/** `{"scenario":"one-hop","ratio":{"plain_rps":1.62,…}}`: Outboard over Envoy, null where it was not measured. */
export function jsonLine({ scenario, ratios }: ScenarioResult): string {
  const ratio = Object.entries(ratios).map(([name, { median }]) => [name, rounded(median)]);
  return JSON.stringify({ scenario, ratio: Object.fromEntries(ratio) });
}
