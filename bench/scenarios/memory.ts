/**
 * Memory by pods: one Envoy in each pod against one Outboard with a listener for each. Proportional set size summed, so
 * that pages which Envoys share count once. Every pod has a few connections open that have carried a request, and every
 * proxy knows the same 100 services.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, newSpec } from '../harness/bench.ts';
import { pssBytes } from '../harness/proc.ts';
import { pairedRatio, type Spread } from '../harness/stats.ts';
import { ENVOY, OUTBOARD, type Subject, startEnvoy, startOutboard } from '../harness/subjects.ts';
import { idleClient } from './idle.ts';
import type { Scenario } from './scenario.ts';

const PODS = [1, 10, 30, 100];
const PODS_QUICK = [1, 10, 30];
const CONNECTIONS_PER_POD = 8;
const SETTLE_MS = 3_000;
const MIB = 2 ** 20;

export const memory: Scenario = {
  name: 'memory',
  what: 'memory of a node by the number of its pods: N sidecars against one Outboard',
  async run(bench) {
    const counts = bench.plan.quick ? PODS_QUICK : PODS;
    const outboard: [number, number][] = [];
    const envoy: [number, number][] = [];
    for (const pods of counts) {
      outboard.push([pods, await outboardFor(bench, pods)]);
      if (bench.programs.envoy !== null) envoy.push([pods, await envoysFor(bench, pods)]);
      bench.say(
        `${pods} pods: Outboard ${outboard.at(-1)?.[1]} MiB, Envoy ${envoy.at(-1)?.[1] ?? 'left out'} MiB`,
      );
    }
    const ratios: Record<string, Spread> = {};
    counts.forEach((pods, i) => {
      ratios[`memory_${pods}_pods`] = pairedRatio(
        [outboard[i]?.[1] ?? Number.NaN],
        [envoy[i]?.[1] ?? Number.NaN],
      );
    });
    const lines = { [OUTBOARD]: outboard, ...(envoy.length > 0 ? { [ENVOY]: envoy } : {}) };
    return {
      scenario: 'memory',
      cases: [],
      readings: counts.map((pods, i) => ({
        name: `memory-${pods}-pods`,
        unit: 'MiB',
        values: Object.fromEntries(
          Object.entries(lines).map(([name, points]) => [name, [points[i]?.[1] as number]]),
        ),
      })),
      curves: [{ plot: 'memory-by-pods', x: 'pods', y: 'MiB (PSS)', logarithmic: true, lines }],
      ratios,
      notes: bench.programs.envoy === null ? ['envoy not found: left out'] : [],
    };
  },
};

async function outboardFor(bench: Bench, pods: number): Promise<number> {
  const listeners = Array.from({ length: pods }, (_, i) => ({ name: `pod-${i}`, tls: false, mutual: false }));
  const spec = await newSpec(bench, `memory-outboard-${pods}`, listeners);
  const subject = await startOutboard(bench, spec);
  return used(bench, [subject], `outboard-${pods}`);
}

async function envoysFor(bench: Bench, pods: number): Promise<number> {
  const subjects: Subject[] = [];
  for (let i = 0; i < pods; i++) {
    const listeners = [{ name: 'pod', tls: false, mutual: false }];
    subjects.push(await startEnvoy(bench, await newSpec(bench, `memory-envoy-${pods}-${i}`, listeners)));
  }
  return used(bench, subjects, `envoy-${pods}`);
}

/** MiB with connections open on every pod; ends the subjects. */
async function used(bench: Bench, subjects: readonly Subject[], label: string): Promise<number> {
  const ports = subjects.flatMap(({ urls }) => Object.values(urls).map((url) => Number(new URL(url).port)));
  const file = join(bench.directory, `open-${label}`);
  const client = await idleClient(bench, file, ports.length * CONNECTIONS_PER_POD, ports, 'plain');
  await sleep(SETTLE_MS);
  const bytes = pssBytes(subjects.flatMap(({ pids }) => pids));
  await client.stop();
  await Promise.all(subjects.map((subject) => subject.stop()));
  return Math.round((bytes / MIB) * 10) / 10;
}
