/**
 * The programs a run stands on: found in `--peers DIR`, on PATH, in /usr/sbin, or where peers are usually kept. One
 * that is missing is said and its part left out; figures always come from the rest.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

export const PROGRAMS = {
  envoy: ['--version'],
  nginx: ['-v'],
  haproxy: ['-v'],
  wrk: ['-v'],
  oha: ['--version'],
  h2load: ['--version'],
  nghttpd: ['--version'],
} as const satisfies Record<string, readonly string[]>;

export type ProgramName = keyof typeof PROGRAMS;

export interface Program {
  readonly path: string;
  readonly version: string;
}

export type Programs = Readonly<Record<ProgramName, Program | null>>;

export function findPrograms(peersDirectory: string | undefined): Programs {
  const places = [
    ...(peersDirectory === undefined ? [] : [peersDirectory, join(peersDirectory, 'bin')]),
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/sbin',
    join(homedir(), '.cache', 'peers', 'bin'),
  ];
  const find = (name: ProgramName): Program | null => {
    const path = places.map((place) => join(place, name)).find(isProgram);
    return path === undefined ? null : { path, version: versionOf(path, PROGRAMS[name]) };
  };
  return {
    envoy: find('envoy'),
    nginx: find('nginx'),
    haproxy: find('haproxy'),
    wrk: find('wrk'),
    oha: find('oha'),
    h2load: find('h2load'),
    nghttpd: find('nghttpd'),
  };
}

/** The first x.y or x.y.z that it prints; wrk ends with 1 when asked. */
function versionOf(path: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(path, [...args], { encoding: 'utf8', timeout: 10_000 });
  return /\d+\.\d+(?:\.\d+)?/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown';
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
