/**
 * The results as Markdown: the machine, then per scenario its ratios with their spread, what each subject did, other
 * readings and what a reader has to know. Figures stand as measured, those in which Outboard loses too.
 */
import { median, rounded } from '../harness/stats.ts';
import type { CaseResult } from '../harness/trials.ts';
import { percent, type Reading, type ScenarioResult } from '../scenarios/scenario.ts';
import type { RunResult } from './json.ts';
import { plotsOf } from './plots.ts';
import { verdict } from './verdict.ts';

/** @param stem the files of this run begin with it */
export function markdown(run: RunResult, stem: string): string {
  const { machine } = run;
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `# Benchmarks of ${run.date.slice(0, 10)}${run.quick ? ' (quick)' : ''}`,
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, ${machine.kernel}. ` +
      `Proxy on core ${machine.pinning.proxy}, backend on ${machine.pinning.backend}, load on ${machine.pinning.load}.`,
    '',
    `${versions.join(', ')}.`,
    ...run.scenarios.flatMap((result) => section(result, stem)),
    '',
  ].join('\n');
}

function section(result: ScenarioResult, stem: string): string[] {
  const lines = ['', `## ${result.scenario}`];
  const ratios = Object.entries(result.ratios).filter(([, { rounds }]) => rounds > 0);
  if (ratios.length > 0) {
    lines.push(
      '',
      '| Outboard over Envoy (`own_`: over itself) | Ratio | Spread | Rounds | |',
      '|---|---|---|---|---|',
    );
    for (const [name, ratio] of ratios) {
      lines.push(
        `| ${name} | **${show(ratio.median)}** | ${show(ratio.min)} – ${show(ratio.max)} | ${ratio.rounds} | ${verdict(name, ratio)} |`,
      );
    }
  }
  if (result.cases.length > 0) {
    lines.push(
      '',
      '| Case | Subject | Requests/s | MB/s | CPU µs each | p50 ms | p99 ms | Busy | Load core idle |',
      '|---|---|---|---|---|---|---|---|---|',
      ...result.cases.flatMap(rows),
    );
  }
  if (result.readings.length > 0) {
    lines.push('', '| Reading | Subject | Median | Spread |', '|---|---|---|---|');
    lines.push(...result.readings.flatMap(readingRows));
  }
  for (const plot of plotsOf(result)) lines.push('', `![${plot}](${stem}-${plot}.svg)`);
  if (result.notes.length > 0) lines.push('', ...result.notes.map((note) => `- ${note}`));
  return lines;
}

function rows({ name, trials, loadBound }: CaseResult): string[] {
  return Object.entries(trials).map(([subject, rounds]) => {
    const of = (value: (trial: (typeof rounds)[number]) => number): number => median(rounds.map(value));
    const cells = [
      loadBound ? `${name} (load-bound)` : name,
      subject,
      show(of(({ rps }) => rps)),
      show(of(({ bytesPerSecond }) => bytesPerSecond / 1e6)),
      show(of(({ cpuMicros }) => cpuMicros)),
      show(of(({ latencyMs }) => latencyMs.p50 ?? Number.NaN)),
      show(of(({ latencyMs }) => latencyMs.p99 ?? Number.NaN)),
      percent(of(({ proxyBusy }) => proxyBusy)),
      percent(of(({ loadIdle }) => loadIdle)),
    ];
    return `| ${cells.join(' | ')} |`;
  });
}

function readingRows({ name, unit, values }: Reading): string[] {
  return Object.entries(values).map(
    ([subject, rounds]) =>
      `| ${name} | ${subject} | ${show(median(rounds))} ${unit} | ${show(Math.min(...rounds))} – ${show(Math.max(...rounds))} |`,
  );
}

function show(value: number): string {
  const number = rounded(value);
  return number === null ? '–' : number.toLocaleString('en', { maximumSignificantDigits: 3 });
}
