/**
 * Windows in each of which one of several backends fails. All subjects run from beginning to end and are asked by turns, so
 * that what else the machine does meets each of them; every window has backends of its own, and every fault of a round a service
 * of its own, since ejections would carry over. A fault begins when the proxy has connections open and has settled at the rate that
 * is measured.
 */
import { fileURLToPath } from 'node:url';
import type { Fault } from '../load/faulty.ts';
import type { ProxySpec, ServiceSpec } from '../setup/spec.ts';
import { type Bench, newSpec } from './bench.ts';
import { freePorts } from './ports.ts';
import { portAnswers, type Running } from './processes.ts';
import { turnsOf } from './stats.ts';
import type { Subject } from './subjects.ts';
import { closedLoop, openLoop, type Trial } from './trials.ts';

const BACKENDS = fileURLToPath(new URL('../load/faulty.ts', import.meta.url));
/** Requests a second. */
const RATE = 500;
/** So few that making them is not among the slowest hundredth of a window. */
const CONNECTIONS = 16;
/** While backends that have just been started get warm. */
const WARM = { rate: 2_000, seconds: 2 } as const;
const SETTLE_SECONDS = 1;
/**
 * Length of a window of `mixed`, in ordinary ones. The backend is ejected after five failures in a row, which come by chance, once
 * in ten seconds or more: a short window shows whether they came.
 */
const MIXED_WINDOWS = 5;

export interface Contender {
  readonly name: string;
  readonly start: (bench: Bench, spec: ProxySpec) => Promise<Subject>;
  readonly changes: Partial<ProxySpec>;
}

export interface FaultPlan {
  /** One after the other in each round. */
  readonly faults: readonly Fault[];
  /** Of each service; the last one fails. */
  readonly backends: number;
  readonly rounds: number;
  /** At the rate that is measured, once for each contender. */
  readonly settleSeconds: number;
}

/** `reached`: requests that reached a backend. */
export interface FaultTrial {
  readonly trial: Trial;
  readonly reached: number;
}

/** Contender → its rounds, in order. */
export type FaultTrials = Readonly<Record<string, FaultTrial[]>>;

/** For each of the faults, in their order. */
export async function underFaults(
  bench: Bench,
  contenders: readonly Contender[],
  plan: FaultPlan,
): Promise<FaultTrials[]> {
  const { faults, backends: count, rounds } = plan;
  const healthy = await serviceOf(0, count);
  const broken: ServiceSpec[] = [];
  for (let i = 1; i <= rounds * faults.length; i++) broken.push(await serviceOf(i, count));
  const found = faults.map(
    (): FaultTrials => Object.fromEntries(contenders.map(({ name }): [string, FaultTrial[]] => [name, []])),
  );
  const running: { readonly name: string; readonly subject: Subject }[] = [];
  const well = await startBackends(bench, healthy, 'none', 0);
  try {
    for (const { name, start, changes } of contenders) {
      const spec = await newSpec(bench, name, [{ name: 'plain', tls: false, mutual: false }], {
        services: [healthy, ...broken],
        ...changes,
      });
      const subject = await start(bench, spec);
      running.push({ name, subject });
      const url = urlOf(subject);
      await closedLoop(bench, subject, { url, services: 1, seconds: bench.plan.warmSeconds });
      await openLoop(bench, subject, {
        url,
        rate: RATE,
        connections: CONNECTIONS,
        seconds: plan.settleSeconds,
      });
    }
    for (let round = 0; round < rounds; round++) {
      for (const [i, fault] of faults.entries()) {
        const service = broken[round * faults.length + i] as ServiceSpec;
        for (const { name, subject } of turnsOf(running, round)) {
          const one = await underFault(bench, subject, service, fault, round + 1);
          found[i]?.[name]?.push(one);
          bench.say(`${fault} round ${round + 1}, ${name}: ${told(one)}`);
        }
      }
    }
    return found;
  } finally {
    for (const { subject } of running) await subject.stop();
    await well.stop();
  }
}

async function underFault(
  bench: Bench,
  subject: Subject,
  service: ServiceSpec,
  fault: Fault,
  seed: number,
): Promise<FaultTrial> {
  const [port] = service.ports;
  const backends = await startBackends(bench, service, fault, seed);
  try {
    const asking = {
      url: urlOf(subject),
      host: service.hostname as string,
      rate: RATE,
      connections: CONNECTIONS,
    };
    await openLoop(bench, subject, { ...asking, ...WARM });
    await openLoop(bench, subject, { ...asking, seconds: SETTLE_SECONDS });
    await fetch(`http://127.0.0.1:${port}/break`);
    const ordinary = bench.plan.quick ? 4 : bench.plan.seconds;
    const seconds = fault === 'mixed' ? MIXED_WINDOWS * ordinary : ordinary;
    const trial = await openLoop(bench, subject, { ...asking, seconds });
    const counts = (await (await fetch(`http://127.0.0.1:${port}/counts`)).json()) as number[];
    return { trial, reached: counts.reduce((sum, each) => sum + each, 0) };
  } finally {
    await backends.stop();
  }
}

async function serviceOf(index: number, backends: number): Promise<ServiceSpec> {
  const name = `svc-${index}`;
  return {
    name,
    hostname: `${name}.bench.example`,
    ports: await freePorts(backends),
    protocol: 'http',
  };
}

function startBackends(bench: Bench, { ports }: ServiceSpec, fault: Fault, seed: number): Promise<Running> {
  const command = [process.execPath, BACKENDS, fault, ports.join(','), String(seed)];
  return bench.processes.start(`backends: ${fault}`, command, {
    core: bench.cores.backend,
    ready: () => portAnswers(ports.at(-2) as number),
  });
}

const urlOf = (subject: Subject): string => `${subject.urls.plain}/64`;

export const attemptsOf = ({ trial, reached }: FaultTrial): number => reached / trial.requests;

/** Of every trial, by contender. */
export function eachOf<T>(found: FaultTrials, value: (one: FaultTrial) => T): Record<string, T[]> {
  return Object.fromEntries(Object.entries(found).map(([name, trials]) => [name, trials.map(value)]));
}

function told(one: FaultTrial): string {
  const { errors, requests, latencyMs } = one.trial;
  return `${errors} of ${requests} failed, p99 ${latencyMs.p99?.toFixed(1)} ms, ${attemptsOf(one).toFixed(3)} attempts each`;
}
