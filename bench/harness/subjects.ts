/** What is measured: one proxy or several in a row, running, with what the measurement needs to know of them. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BaselineSpec,
  baselineLog,
  haproxyCommand,
  httpProxyCommand,
  nginxCommand,
} from '../setup/baselines.ts';
import { envoyCommand, envoyLog } from '../setup/envoy.ts';
import { outboardCommand, outboardLog } from '../setup/outboard.ts';
import type { ProxySpec } from '../setup/spec.ts';
import { type Bench, newSpec, required } from './bench.ts';
import { portAnswers } from './processes.ts';

export interface Subject {
  readonly name: string;
  /** Whose CPU and memory count. */
  readonly pids: readonly number[];
  /** Listener name → base URL. */
  readonly urls: Readonly<Record<string, string>>;
  readonly logs: readonly string[];
  stop(): Promise<void>;
}

export const OUTBOARD = 'outboard';
export const ENVOY = 'envoy';

/** The two listeners of a hop. */
export const HOP = [
  { name: 'plain', tls: false, mutual: false },
  { name: 'tls', tls: true, mutual: false },
] as const;

export async function startOutboard(
  bench: Bench,
  spec: ProxySpec,
  name: string = OUTBOARD,
): Promise<Subject> {
  const command = outboardCommand(spec);
  const ready = (): Promise<boolean> => answers200(`http://127.0.0.1:${spec.adminPort}/ready`);
  return subject(bench, name, command, spec, outboardLog(spec), ready);
}

export async function startEnvoy(bench: Bench, spec: ProxySpec, name: string = ENVOY): Promise<Subject> {
  const command = envoyCommand(required(bench.programs, 'envoy'), spec);
  const ready = (): Promise<boolean> => answers200(`http://127.0.0.1:${spec.adminPort}/ready`);
  return subject(bench, name, command, spec, envoyLog(spec), ready);
}

/** Outboard, and Envoy where it is found, each with the two listeners of a hop. */
export async function startPair(bench: Bench, changes: Partial<ProxySpec> = {}): Promise<Subject[]> {
  const subjects = [await startOutboard(bench, await newSpec(bench, 'outboard', HOP, changes))];
  if (bench.programs.envoy === null) bench.say('envoy not found: left out, so there are no ratios');
  else subjects.push(await startEnvoy(bench, await newSpec(bench, 'envoy', HOP, changes)));
  return subjects;
}

/** nginx, HAProxy and http-proxy, those that are found. */
export async function startBaselines(bench: Bench): Promise<Subject[]> {
  const pemFile = join(bench.directory, 'both.pem');
  writeFileSync(pemFile, readFileSync(bench.tls.certFile, 'utf8') + readFileSync(bench.tls.keyFile, 'utf8'), {
    mode: 0o600,
  });
  const subjects: Subject[] = [];
  const add = async (name: string, command: (spec: BaselineSpec) => string[]): Promise<void> => {
    const spec = { ...(await newSpec(bench, `${name}-baseline`, HOP)), pemFile };
    const [{ port } = { port: 0 }] = spec.listeners;
    const ready = (): Promise<boolean> => portAnswers(port);
    try {
      subjects.push(await subject(bench, name, command(spec), spec, baselineLog(spec, name), ready));
    } catch (error) {
      bench.say(`left out: ${(error as Error).message}`);
    }
  };
  const { nginx, haproxy } = bench.programs;
  if (nginx !== null) await add('nginx', (spec) => nginxCommand(nginx.path, spec));
  if (haproxy === null) bench.say('haproxy not found: left out');
  else await add('haproxy', (spec) => haproxyCommand(haproxy.path, spec));
  await add('http-proxy', httpProxyCommand);
  return subjects;
}

/** Several subjects in a row as one: the first is spoken to, all of them count. */
export function chain(name: string, links: readonly Subject[]): Subject {
  const [first] = links;
  if (first === undefined) throw new Error('a chain needs a first link');
  return {
    name,
    pids: links.flatMap(({ pids }) => pids),
    urls: first.urls,
    logs: links.flatMap(({ logs }) => logs),
    stop: async () => {
      for (const link of links) await link.stop();
    },
  };
}

/** Logs grow by some 25 MB a second; both kinds of proxy append, so they go on at the new end. */
export function emptyLogs(subjects: readonly Subject[]): void {
  for (const log of subjects.flatMap(({ logs }) => logs)) {
    try {
      truncateSync(log, 0);
    } catch {
      // Not written to yet.
    }
  }
}

async function subject(
  bench: Bench,
  name: string,
  command: readonly string[],
  spec: ProxySpec,
  log: string,
  ready: () => Promise<boolean>,
): Promise<Subject> {
  const running = await bench.processes.start(name, command, { core: spec.core, ready });
  const urls = spec.listeners.map(({ name, port, tls }) => [
    name,
    `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
  ]);
  return { name, pids: [running.pid], urls: Object.fromEntries(urls), logs: [log], stop: running.stop };
}

async function answers200(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await answer.text();
    return answer.status === 200;
  } catch {
    return false;
  }
}
