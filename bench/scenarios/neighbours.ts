/**
 * Noisy neighbours: what a workload's 99th percentile is while nothing else goes on, beside a neighbour that opens 5,000 connections
 * (Outboard lets it have 1,000; Envoy knows no such limit), and beside one that sends 1 GB slowly. Both proxies run all the time
 * and are asked by turns; a neighbour begins with the window and ends with it. It gives way to the workload, whose processor it
 * shares: what is to be seen is what it makes the proxy do.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bench, newSpec } from '../harness/bench.ts';
import { freePorts } from '../harness/ports.ts';
import { pairedRatio, type Spread, turnsOf } from '../harness/stats.ts';
import { OUTBOARD, type Subject, startEnvoy, startOutboard } from '../harness/subjects.ts';
import { caseResult, closedLoop, openLoop, ratioOf, type Trial } from '../harness/trials.ts';
import { type Reading, type Scenario, standardNotes } from './scenario.ts';

const NEIGHBOUR = fileURLToPath(new URL('../load/neighbour.ts', import.meta.url));
const CONNECTIONS_MAX = 1_000;
/** Of the workload that is watched. */
const ASKING = { rate: 500, connections: 16 } as const;
/** See the faults. */
const SETTLE_SECONDS = 60;
/** The crowd takes five to ask once for each of its connections, and goes on asking for those that were reset. */
const SECONDS_MIN = 10;

const KINDS = ['quiet', 'crowd', 'upload'] as const;
type Kind = (typeof KINDS)[number];

export const neighbours: Scenario = {
  name: 'neighbours',
  what: 'p99 of a workload beside a neighbour with 5,000 connections, and beside one that sends 1 GB slowly',
  async run(bench) {
    const [sink = 0] = await freePorts(1);
    const subjects = await start(bench, sink);
    const { quick } = bench.plan;
    const seconds = Math.max(SECONDS_MIN, bench.plan.seconds);
    const found = new Map<Kind, Record<string, Trial[]>>(
      KINDS.map((kind) => [kind, Object.fromEntries(subjects.map(({ name }) => [name, []]))]),
    );
    try {
      for (const subject of subjects) {
        const url = urlOf(subject);
        await closedLoop(bench, subject, { url, services: 1, seconds: bench.plan.warmSeconds });
        const settleSeconds = quick ? bench.plan.warmSeconds : SETTLE_SECONDS;
        await openLoop(bench, subject, { url, ...ASKING, seconds: settleSeconds });
        // It has met such neighbours before.
        for (const kind of KINDS) await beside(bench, subject, kind, sink, seconds);
      }
      for (let round = 0; round < (quick ? 2 : bench.plan.rounds); round++) {
        for (const kind of KINDS) {
          for (const subject of turnsOf(subjects, round)) {
            const { trial, counts } = await beside(bench, subject, kind, sink, seconds);
            found.get(kind)?.[subject.name]?.push(trial);
            bench.say(
              `${kind} round ${round + 1}, ${subject.name}: p99 ${trial.latencyMs.p99?.toFixed(2)} ms, ${trial.errors} errors${counts}`,
            );
          }
        }
      }
    } finally {
      for (const subject of subjects) await subject.stop();
    }
    const cases = KINDS.map((kind) => caseResult(`neighbour-${kind}`, found.get(kind) ?? {}));
    const readings: Reading[] = [];
    const ratios: Record<string, Spread> = {};
    for (const kind of KINDS) {
      if (kind === 'quiet') continue;
      const multiples = Object.fromEntries(
        subjects.map(({ name }) => [name, times(p99s(found, kind, name), p99s(found, 'quiet', name))]),
      );
      readings.push({ name: `${kind}-p99-over-quiet`, unit: '', values: multiples });
      ratios[`own_${kind}_p99`] = pairedRatio(p99s(found, kind, OUTBOARD), p99s(found, 'quiet', OUTBOARD));
    }
    for (const result of cases)
      ratios[`${result.name.slice('neighbour-'.length)}_p99`] = ratioOf(
        result,
        ({ latencyMs }) => latencyMs.p99 as number,
      );
    return { scenario: 'neighbours', cases, readings, curves: [], ratios, notes: standardNotes(cases) };
  },
};

async function start(bench: Bench, sink: number): Promise<Subject[]> {
  const services = [
    { name: 'svc-0', hostname: 'svc-0.bench.example', ports: bench.backend.ports, protocol: 'http' },
    { name: 'sink', hostname: 'sink.bench.example', ports: [sink], protocol: 'http' },
  ] as const;
  const listeners = [{ name: 'plain', tls: false, mutual: false }];
  const ours = await newSpec(bench, 'ours', listeners, { services, callerConnections: CONNECTIONS_MAX });
  const subjects = [await startOutboard(bench, ours)];
  if (bench.programs.envoy !== null)
    subjects.push(await startEnvoy(bench, await newSpec(bench, 'theirs', listeners, { services })));
  return subjects;
}

async function beside(
  bench: Bench,
  subject: Subject,
  kind: Kind,
  sink: number,
  seconds: number,
): Promise<{ trial: Trial; counts: string }> {
  const url = urlOf(subject);
  const ask = (): Promise<Trial> => openLoop(bench, subject, { url, ...ASKING, seconds });
  if (kind === 'quiet') return { trial: await ask(), counts: '' };
  const file = join(bench.directory, 'neighbour');
  rmSync(file, { force: true });
  const command = [process.execPath, NEIGHBOUR, kind, new URL(url).port, file, String(sink)];
  const neighbour = await bench.processes.start(`neighbour: ${kind}`, command, {
    core: bench.cores.load,
    givesWay: true,
    ready: async () => existsSync(file),
  });
  let trial: Trial;
  try {
    trial = await ask();
  } finally {
    await neighbour.stop();
  }
  const { open, reset } = JSON.parse(readFileSync(file, 'utf8')) as { open: number; reset: number };
  return { trial, counts: kind === 'crowd' ? `, neighbour has ${open}, was reset ${reset} times` : '' };
}

function p99s(
  found: ReadonlyMap<Kind, Readonly<Record<string, readonly Trial[]>>>,
  kind: Kind,
  name: string,
): number[] {
  return (found.get(kind)?.[name] ?? []).map(({ latencyMs }) => latencyMs.p99 as number);
}

const times = (over: readonly number[], under: readonly number[]): number[] =>
  over.map((value, i) => value / (under[i] as number));

const urlOf = (subject: Subject): string => `${subject.urls.plain}/64`;
