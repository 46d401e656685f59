/** What a figure can't be read without: the machine, the kernel, the versions. */
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { allowedCores, type Cores } from './cores.ts';
import type { ProgramName, Programs } from './programs.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly pinning: Cores;
  readonly versions: Readonly<Record<string, string>>;
}

export function describeMachine(pinning: Cores, programs: Programs): Machine {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const versions: Record<string, string> = {
    outboard: manifest.version,
    node: process.versions.node,
    openssl: process.versions.openssl,
  };
  for (const name of Object.keys(programs) as ProgramName[]) {
    const program = programs[name];
    if (program !== null) versions[name] = program.version;
  }
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: allowedCores().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    pinning,
    versions,
  };
}
