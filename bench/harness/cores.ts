/**
 * Which processor cores do what. The proxy has one core to itself, so that requests per second are its own; load and
 * backend share what is left: on two cores one, from three cores on one each. Cores are taken from what this process
 * may use (a container's cpuset), not from what the machine has.
 */
import { readFileSync } from 'node:fs';

export interface Cores {
  readonly proxy: number;
  readonly backend: number;
  readonly load: number;
}

export function chooseCores(allowed: readonly number[]): Cores {
  const [load = 0] = allowed;
  const proxy = allowed.at(-1) ?? load;
  const backend = allowed.length >= 3 ? (allowed.at(-2) ?? load) : load;
  return { proxy, backend, load };
}

export function allowedCores(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  return parseCoreList(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '0');
}

/** The kernel's list format: `0-2,5`. */
export function parseCoreList(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
