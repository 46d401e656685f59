/**
 * One measured window in which one of several backends fails: a fresh proxy and fresh backends, the fault from the moment at which
 * the proxy is warm and has settled at the rate that is measured.
 */
import { fileURLToPath } from 'node:url';
import type { Fault } from '../load/faulty.ts';
import type { ProxySpec } from '../setup/spec.ts';
import { type Bench, newSpec } from './bench.ts';
import { freePorts } from './ports.ts';
import { portAnswers } from './processes.ts';
import type { Subject } from './subjects.ts';
import { closedLoop, openLoop, type Trial } from './trials.ts';

const BACKENDS = fileURLToPath(new URL('../load/faulty.ts', import.meta.url));
/** Requests a second. */
const RATE = 500;

export interface FaultPlan {
  readonly fault: Fault;
  /** Of which the last one fails. */
  readonly backends: number;
  readonly seed: number;
}

/** `reached`: requests that reached a backend. */
export async function underFault(
  bench: Bench,
  start: (bench: Bench, spec: ProxySpec) => Promise<Subject>,
  { fault, backends: count, seed }: FaultPlan,
  changes: Partial<ProxySpec>,
): Promise<{ trial: Trial; reached: number }> {
  const ports = await freePorts(count);
  const [first = 0] = ports;
  const backends = await bench.processes.start(
    'faulty backends',
    [process.execPath, BACKENDS, fault, ports.join(','), String(seed)],
    { core: bench.cores.backend, ready: () => portAnswers(ports[count - 2] as number) },
  );
  const spec = await newSpec(bench, `fault-${fault}`, [{ name: 'plain', tls: false, mutual: false }], {
    services: [{ name: 'svc-0', hostname: 'svc-0.bench.example', ports, protocol: 'http' }],
    ...changes,
  });
  const subject = await start(bench, spec);
  try {
    const seconds = bench.plan.quick ? 4 : bench.plan.seconds;
    const url = `${subject.urls.plain}/64`;
    await closedLoop(bench, subject, { url, services: 1, seconds: bench.plan.warmSeconds });
    await openLoop(bench, subject, { url, rate: RATE, seconds: bench.plan.warmSeconds });
    await fetch(`http://127.0.0.1:${first}/break`);
    const trial = await openLoop(bench, subject, { url, rate: RATE, seconds });
    const counts = (await (await fetch(`http://127.0.0.1:${first}/counts`)).json()) as number[];
    return { trial, reached: counts.reduce((sum, count) => sum + count, 0) };
  } finally {
    await subject.stop();
    await backends.stop();
  }
}
