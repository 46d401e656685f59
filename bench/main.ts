/**
 * `npm run bench -- [--scenario NAME]… [--quick] [--json] [--peers DIR] [--out DIR] [--rounds N]
 * [--seconds N]`: Outboard beside the real Envoy on
 * this machine. Load goes to loopback only; every process that is started is ended; a run has a time limit. Without
 * `--json` a table goes to stdout and results, table and plots to DIR (default bench/results); with it, one line per
 * scenario goes to stdout and nothing is written unless `--out` says where. Progress goes to stderr.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FULL, type Plan, prepare, QUICK } from './harness/bench.ts';
import { allowedCores, chooseCores } from './harness/cores.ts';
import { describeMachine } from './harness/machine.ts';
import { Processes } from './harness/processes.ts';
import { findPrograms } from './harness/programs.ts';
import { jsonLine, type RunResult, resultStem } from './report/json.ts';
import { writePlots } from './report/plots.ts';
import { markdown } from './report/table.ts';
import { SCENARIOS } from './scenarios/index.ts';
import type { Scenario, ScenarioResult } from './scenarios/scenario.ts';
import { buildOutboard } from './setup/outboard.ts';

/** In memory where that is possible: access logs grow by 30 MB a second, and the disk is not what is measured. */
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const RESULTS = fileURLToPath(new URL('results', import.meta.url));
/** Per scenario. A run that hangs must not leave a machine under load. */
const SCENARIO_MINUTES_MAX = 60;

const { values: options } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    peers: { type: 'string' },
    out: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

try {
  process.exitCode = options.help ? help() : await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

function help(): number {
  const names = SCENARIOS.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join('\n');
  process.stdout.write(
    `npm run bench -- [--scenario NAME]... [--quick] [--json] [--peers DIR] [--out DIR] [--rounds N] [--seconds N]\n\n${names}\n`,
  );
  return 0;
}

async function main(): Promise<number> {
  const wanted = options.scenario ?? SCENARIOS.map(({ name }) => name);
  const scenarios = wanted.map((name) => SCENARIOS.find((scenario) => scenario.name === name));
  if (scenarios.includes(undefined)) {
    process.stderr.write(`unknown scenario; there are ${SCENARIOS.map(({ name }) => name).join(', ')}\n`);
    return 2;
  }
  buildOutboard();
  const programs = findPrograms(options.peers);
  const cores = chooseCores(allowedCores());
  const machine = describeMachine(cores, programs);
  // This process and all its threads stay off the proxy's core.
  const pinned = spawnSync('taskset', ['-a', '-p', '-c', String(cores.load), String(process.pid)]);
  if (pinned.status !== 0) throw new Error('taskset is needed and does not work: install util-linux');
  const usual = options.quick ? QUICK : FULL;
  const plan: Plan = {
    ...usual,
    rounds: count(options.rounds) ?? usual.rounds,
    seconds: count(options.seconds) ?? usual.seconds,
  };
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios as Scenario[]) {
    const result = await runOne(scenario, { programs, cores, plan });
    results.push(result);
    if (options.json) process.stdout.write(`${jsonLine(result)}\n`);
  }
  const run: RunResult = {
    date: new Date().toISOString(),
    quick: options.quick,
    machine,
    scenarios: results,
  };
  if (!options.json || options.out !== undefined) report(options.out ?? RESULTS, run);
  return 0;
}

async function runOne(
  scenario: Scenario,
  base: Pick<Parameters<typeof prepare>[0], 'programs' | 'cores' | 'plan'>,
): Promise<ScenarioResult> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const processes = new Processes();
  const directory = mkdtempSync(join(SCRATCH, 'outboard-bench-'));
  const abort = async (why: string): Promise<never> => {
    say(why);
    await processes.stopAll();
    rmSync(directory, { recursive: true, force: true });
    process.exit(1);
  };
  const onSignal = (signal: string): void => void abort(`stopped by ${signal}`);
  const timer = setTimeout(() => void abort('the time limit is reached'), SCENARIO_MINUTES_MAX * 60_000);
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    say(`# ${scenario.name}: ${scenario.what}`);
    return await scenario.run(await prepare({ ...base, processes, directory, say }));
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await processes.stopAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

function report(directory: string, run: RunResult): void {
  const stem = resultStem(directory, run);
  const table = markdown(run, basename(stem));
  writeFileSync(`${stem}.json`, `${JSON.stringify(run, null, 1)}\n`);
  writeFileSync(`${stem}.md`, table);
  const plots = writePlots(stem, run.scenarios);
  process.stderr.write(`written: ${stem}.json, ${stem}.md, ${plots.join(', ')}\n`);
  if (!options.json) process.stdout.write(table);
}

/** A whole number above 0; undefined where none was given. */
function count(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`expected a whole number above 0, found ${text}`);
  return Number(text);
}
