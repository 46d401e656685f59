/**
 * Growth: 10 to 5,000 services of 10 endpoints. Requests go to ten of them, so that what
 * grows is the configuration and not the number of connections. A change adds a host and is timed from the
 * moment the file is in place until that host answers; then one change a second runs under a fixed rate. Both read files:
 * Outboard its whole configuration, Envoy its routes (file-based RDS) - in a cluster both get deltas, so the time to
 * apply says how they scale, not how long a mesh takes.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, newSpec } from '../harness/bench.ts';
import { pssBytes } from '../harness/proc.ts';
import { median, pairedRatio, type Spread } from '../harness/stats.ts';
import { ENVOY, OUTBOARD, type Subject, startEnvoy, startOutboard } from '../harness/subjects.ts';
import { type CaseResult, closedLoop, interleave, openLoop, ratioOf } from '../harness/trials.ts';
import { envoyRoutes, envoyRoutesFile } from '../setup/envoy.ts';
import { outboardConfig, outboardConfigFile } from '../setup/outboard.ts';
import { type ProxySpec, serviceList } from '../setup/spec.ts';
import { type Curve, type Reading, type Scenario, standardNotes } from './scenario.ts';

const COUNTS = [10, 100, 1_000, 5_000];
const COUNTS_QUICK = [10, 1_000];
const ENDPOINTS = 10;
/** Services that requests go to; the others are there. */
const BUSY = 10;
/** Changes that are timed; the median counts. */
const CHANGES = 5;
const CHANGE_TIMEOUT_MS = 60_000;
/** Low enough for the larger configurations; latency under change is the question, not throughput. */
const RATE = 2_000;
const MIB = 2 ** 20;

interface Grown {
  readonly subject: Subject;
  readonly spec: ProxySpec;
  /** Puts the spec in force with one host more; the number makes it new. */
  readonly change: (number: number) => void;
}

export const growth: Scenario = {
  name: 'growth',
  what: 'from 10 to 5,000 services: CPU per request, memory, time to apply a change, p99 while changes arrive',
  async run(bench) {
    const cases: CaseResult[] = [];
    const readings: Reading[] = [];
    const ratios: Record<string, Spread> = {};
    const lines: Record<'cpu' | 'memory' | 'apply', Record<string, [number, number][]>> = {
      cpu: {},
      memory: {},
      apply: {},
    };
    const base: Record<string, number> = {};
    for (const count of bench.plan.quick ? COUNTS_QUICK : COUNTS) {
      const grown = await start(bench, count);
      const subjects = grown.map(({ subject }) => subject);
      const load = (subject: Subject, seconds: number) =>
        closedLoop(bench, subject, { url: `${subject.urls.plain}/64`, services: BUSY, seconds });
      for (const subject of subjects) await load(subject, bench.plan.warmSeconds);
      const steady = await interleave(bench, `${count}-services`, subjects, bench.plan.rounds, (subject) =>
        load(subject, bench.plan.seconds),
      );
      cases.push(steady);
      const apply: Record<string, number[]> = {};
      const memory: Record<string, number[]> = {};
      for (const { subject, change } of grown) {
        memory[subject.name] = [pssBytes(subject.pids) / MIB];
        apply[subject.name] = [];
        for (let i = 0; i < CHANGES; i++) apply[subject.name]?.push(await timed(subject, change, i));
        bench.say(
          `${count} services, ${subject.name}: a change takes ${median(apply[subject.name] ?? []).toFixed(0)} ms`,
        );
      }
      readings.push({ name: `memory-${count}-services`, unit: 'MiB', values: memory });
      readings.push({ name: `apply-${count}-services`, unit: 'ms', values: apply });
      const changing = await underChange(bench, count, grown);
      if (changing !== null) {
        cases.push(changing);
        ratios[`p99_under_change_${count}`] = ratioOf(changing, ({ latencyMs }) => latencyMs.p99 as number);
      }
      ratios[`memory_${count}`] = pairedRatio(memory[OUTBOARD] ?? [], memory[ENVOY] ?? []);
      ratios[`apply_${count}`] = pairedRatio(apply[OUTBOARD] ?? [], apply[ENVOY] ?? []);
      ratios[`cpu_${count}`] = ratioOf(steady, ({ cpuMicros }) => cpuMicros);
      for (const { name } of subjects) {
        const cpu = median((steady.trials[name] ?? []).map(({ cpuMicros }) => cpuMicros));
        base[name] ??= cpu;
        ratios[`own_cpu_${count}_over_10_${name}`] = pairedRatio([cpu], [base[name] as number]);
        point(lines.cpu, name, count, cpu);
        point(lines.memory, name, count, median(memory[name] ?? []));
        point(lines.apply, name, count, median(apply[name] ?? []));
      }
      for (const subject of subjects) await subject.stop();
    }
    const curve = (plot: string, y: string, of: Curve['lines']): Curve => ({
      plot,
      x: 'services',
      y,
      logarithmic: true,
      lines: of,
    });
    const curves = [
      curve('growth-cpu', 'µs CPU per request', lines.cpu),
      curve('growth-memory', 'MiB (PSS)', lines.memory),
      curve('growth-apply', 'ms to apply a change', lines.apply),
    ];
    return { scenario: 'growth', cases, readings, curves, ratios, notes: standardNotes(cases) };
  },
};

function point(lines: Record<string, [number, number][]>, name: string, x: number, y: number): void {
  lines[name] ??= [];
  lines[name].push([x, y]);
}

async function start(bench: Bench, count: number): Promise<Grown[]> {
  const listeners = [{ name: 'plain', tls: false, mutual: false }];
  const changes = { services: serviceList(count, bench.backend.ports, ENDPOINTS), changing: true };
  const ours = await newSpec(bench, `growth-outboard-${count}`, listeners, changes);
  const grown: Grown[] = [
    {
      subject: await startOutboard(bench, ours),
      spec: ours,
      change: (number) => replace(outboardConfigFile(ours), outboardConfig(withHost(ours, number))),
    },
  ];
  if (bench.programs.envoy === null) return grown;
  const theirs = await newSpec(bench, `growth-envoy-${count}`, listeners, changes);
  grown.push({
    subject: await startEnvoy(bench, theirs),
    spec: theirs,
    change: (number) => replace(envoyRoutesFile(theirs), envoyRoutes(withHost(theirs, number), number + 1)),
  });
  return grown;
}

/** The first service answers under another name; its cluster stays, so that Envoy has routes to change only. */
function withHost(spec: ProxySpec, number: number): ProxySpec {
  const [first, ...rest] = spec.services;
  return { ...spec, services: [{ ...first!, hostname: changedHost(number) }, ...rest] };
}

const changedHost = (number: number): string => `changed-${number}.bench.example`;

function replace(file: string, content: unknown): void {
  writeFileSync(`${file}.new`, JSON.stringify(content));
  renameSync(`${file}.new`, file);
}

/** Milliseconds from the file's being in place to the first answer under its name. */
async function timed(subject: Subject, change: (number: number) => void, number: number): Promise<number> {
  change(number);
  const started = performance.now();
  while (!(await answers(subject.urls.plain as string, changedHost(number)))) {
    if (performance.now() - started > CHANGE_TIMEOUT_MS) {
      throw new Error(`${subject.name} has not applied a change within ${CHANGE_TIMEOUT_MS / 1e3} s`);
    }
    await sleep(2);
  }
  return performance.now() - started;
}

function answers(base: string, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request(`${base}/64`, { headers: { host } }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode === 200));
    });
    sent.once('error', () => resolve(false));
    sent.end();
  });
}

/** p99 at a fixed rate to services that do not change, with one change a second beside it. */
async function underChange(bench: Bench, count: number, grown: readonly Grown[]): Promise<CaseResult | null> {
  if (bench.programs.oha === null) return null;
  const rounds = bench.plan.quick ? 1 : 3;
  const seconds = Math.max(5, bench.plan.seconds);
  let number = CHANGES;
  return interleave(
    bench,
    `${count}-services-changing`,
    grown.map(({ subject }) => subject),
    rounds,
    async (subject) => {
      const change = grown.find((candidate) => candidate.subject === subject)?.change;
      const timer = setInterval(() => change?.(number++), 1_000);
      try {
        const url = `${subject.urls.plain}/64`;
        return await openLoop(bench, subject, { url, host: 'svc-1.bench.example', rate: RATE, seconds });
      } finally {
        clearInterval(timer);
      }
    },
  );
}
