/** What every scenario is handed: where to run, with what, for how long, and whom to tell. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { BACKEND_PORTS, backendCommand } from '../setup/backend.ts';
import { writeCertificates } from '../setup/certificates.ts';
import { type ListenerSpec, type ProxySpec, RETRY, serviceList, type TlsFiles } from '../setup/spec.ts';
import type { Cores } from './cores.ts';
import { freePorts } from './ports.ts';
import { type Processes, portAnswers } from './processes.ts';
import type { Programs } from './programs.ts';

/** How long and how often; `--quick` fits a scenario into a minute. */
export interface Plan {
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmSeconds: number;
}

export const FULL: Plan = { quick: false, rounds: 5, seconds: 8, warmSeconds: 4 };
export const QUICK: Plan = { quick: true, rounds: 6, seconds: 1, warmSeconds: 2 };

export const SERVICES = 100;
export const CONNECTIONS = 64;
/** HTTP/2 clients keep few connections, each to one service, with streams at a time on each. */
export const MULTIPLEXED = { services: 4, connections: 16, streams: 8 } as const;

export interface Backend {
  readonly ports: readonly number[];
  readonly collectorPort: number;
}

export interface Bench {
  readonly plan: Plan;
  readonly cores: Cores;
  readonly programs: Programs;
  readonly processes: Processes;
  /** Of this run; removed at its end. */
  readonly directory: string;
  readonly tls: TlsFiles;
  readonly backend: Backend;
  /** For the person watching; results are returned. */
  readonly say: (line: string) => void;
}

/** Starts the backend, which every scenario needs, and makes the certificates. */
export async function prepare(base: Omit<Bench, 'backend' | 'tls'>): Promise<Bench> {
  const { programs, processes, directory, cores } = base;
  const nginx = required(programs, 'nginx');
  const [collectorPort = 0, ...ports] = await freePorts(BACKEND_PORTS + 1);
  const home = join(directory, 'backend');
  mkdirSync(home);
  const command = backendCommand(nginx, { directory: home, ports, collectorPort });
  await processes.start('backend', command, {
    core: cores.backend,
    ready: () => portAnswers(collectorPort),
  });
  return { ...base, backend: { ports, collectorPort }, tls: writeCertificates(directory) };
}

/** The program's path, or an error that names the cure. */
export function required(programs: Programs, name: keyof Programs): string {
  const program = programs[name];
  if (program === null) throw new Error(`${name} is needed and not found: install it, or give --peers DIR`);
  return program.path;
}

/** A spec with everything on; each call has a directory and an admin port of its own. */
export async function newSpec(
  bench: Bench,
  name: string,
  listeners: readonly Omit<ListenerSpec, 'port'>[],
  changes: Partial<ProxySpec> = {},
): Promise<ProxySpec> {
  const directory = mkdtempSync(join(bench.directory, `${name}-`));
  const [adminPort = 0, ...ports] = await freePorts(listeners.length + 1);
  return {
    directory,
    core: bench.cores.proxy,
    adminPort,
    listeners: listeners.map((listener, i) => ({ ...listener, port: ports[i] as number })),
    services: serviceList(SERVICES, bench.backend.ports),
    tls: bench.tls,
    upstreamTls: false,
    retry: RETRY,
    hedging: null,
    mirrorToNobody: false,
    changing: false,
    protection: null,
    callerConnections: null,
    collectorPort: bench.backend.collectorPort,
    ...changes,
  };
}
