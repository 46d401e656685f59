/**
 * What the kernel says about processes and cores. CPU time is utime + stime of /proc/PID/stat over the process and its
 * descendants, in ticks of 10 ms, so windows of a second or more are exact to 1 %. Idleness of a core comes from
 * /proc/stat. Memory is PSS: pages shared by N processes count 1/N each, so that a sum over processes counts them once.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** The process and everything below it that still lives. */
export function processTree(pid: number): number[] {
  const found = [pid];
  for (let i = 0; i < found.length; i++) {
    for (const task of entries(`/proc/${found[i]}/task`)) {
      const children = read(`/proc/${found[i]}/task/${task}/children`);
      found.push(...children.split(' ').filter(Boolean).map(Number));
    }
  }
  return found;
}

/** Seconds of CPU used so far by the processes and their descendants. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids.flatMap(processTree)) ticks += parseStatTicks(read(`/proc/${pid}/stat`));
  return ticks / TICKS_PER_SECOND;
}

/** utime + stime; 0 for a process that is gone. The name in brackets may hold spaces and brackets. */
export function parseStatTicks(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.length < 13 ? 0 : Number(fields[11]) + Number(fields[12]);
}

export interface CoreTime {
  readonly busy: number;
  readonly idle: number;
}

/** Ticks since boot of one core, or of all for null. Steal counts as busy: it is time the core was not ours. */
export function coreTime(core: number | null): CoreTime {
  return parseCoreTime(read('/proc/stat'), core);
}

export function parseCoreTime(stat: string, core: number | null): CoreTime {
  const name = core === null ? 'cpu' : `cpu${core}`;
  const line = stat.split('\n').find((candidate) => candidate.startsWith(`${name} `)) ?? '';
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { busy: user + nice + system + irq + soft + steal, idle: idle + wait };
}

/** Share of the time between two readings that the core had nothing to do, 0 to 1. */
export function idleShare(before: CoreTime, after: CoreTime): number {
  const idle = after.idle - before.idle;
  const total = idle + after.busy - before.busy;
  return total <= 0 ? 1 : idle / total;
}

/** Proportional set size in bytes of the processes and their descendants. */
export function pssBytes(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids.flatMap(processTree)) {
    kib += Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  }
  return kib * 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
