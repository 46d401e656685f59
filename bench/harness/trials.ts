/**
 * One measured window and rounds of them. Around every window stand two readings of /proc: CPU of the subject, of the
 * proxy's core (what of it was not the subject's is noise, and shown as `foreign`) and of the load core. Below 15 % idle
 * there the load generator was the limit: requests per second then say too little of a fast proxy, CPU per request holds.
 */
import { h2loadCommand, parseH2load, together } from '../load/h2load.ts';
import { type OhaOptions, ohaCommand, parseOha } from '../load/oha.ts';
import { type LoadResult, parseWrk, type WrkOptions, wrkCommand } from '../load/wrk.ts';
import { type Bench, CONNECTIONS, MULTIPLEXED, required, SERVICES } from './bench.ts';
import { coreTime, cpuSeconds, idleShare } from './proc.ts';
import { pairedRatio, type Spread, spread, turnsOf } from './stats.ts';
import { ENVOY, emptyLogs, OUTBOARD, type Subject } from './subjects.ts';

/** Below this share of idle time the load core counts as the limit. */
export const LOAD_BOUND = 0.15;
/** Beyond its own duration, how long a load generator may take to end. */
const GRACE_MS = 15_000;

export interface Usage {
  /** CPU seconds of the subject. */
  readonly cpu: number;
  /** Of one core, 0 to 1; above 1 where the subject has more than one. */
  readonly proxyBusy: number;
  /** Share of the proxy's core that others took. */
  readonly foreign: number;
  readonly loadIdle: number;
}

export interface Trial extends Usage {
  readonly requests: number;
  readonly errors: number;
  readonly rps: number;
  readonly bytesPerSecond: number;
  readonly cpuMicros: number;
  readonly latencyMs: Readonly<Record<string, number>>;
}

export async function watched<T>(
  bench: Bench,
  subject: Subject,
  work: () => Promise<T>,
): Promise<{ result: T; usage: Usage }> {
  const { cores } = bench;
  const before = { cpu: cpuSeconds(subject.pids), proxy: coreTime(cores.proxy), load: coreTime(cores.load) };
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1e3;
  const cpu = cpuSeconds(subject.pids) - before.cpu;
  const proxyBusy = cpu / seconds;
  const coreBusy = 1 - idleShare(before.proxy, coreTime(cores.proxy));
  const foreign = Math.max(0, coreBusy - proxyBusy);
  return {
    result,
    usage: { cpu, proxyBusy, foreign, loadIdle: idleShare(before.load, coreTime(cores.load)) },
  };
}

/** As many requests as it takes, by wrk. */
export async function closedLoop(
  bench: Bench,
  subject: Subject,
  options: Partial<WrkOptions> & { readonly url: string },
): Promise<Trial> {
  const all: WrkOptions = {
    seconds: bench.plan.seconds,
    connections: CONNECTIONS,
    services: SERVICES,
    method: 'GET',
    bodyBytes: 0,
    ...options,
  };
  // wrk counts whole seconds only.
  const seconds = Math.max(1, Math.round(all.seconds));
  const command = wrkCommand(required(bench.programs, 'wrk'), { ...all, seconds });
  return measured(bench, subject, async () => {
    const result = parseWrk(await runLoad(bench, command, seconds));
    return { ...result, bytes: result.bytes + all.bodyBytes * result.requests };
  });
}

/** As many requests as it takes over HTTP/2, by h2load: a process for each service that is called, all at once. */
export async function http2Loop(
  bench: Bench,
  subject: Subject,
  url: string,
  seconds: number = bench.plan.seconds,
): Promise<Trial> {
  const { services, connections, streams } = MULTIPLEXED;
  const h2load = required(bench.programs, 'h2load');
  const one = async (service: number): Promise<LoadResult> => {
    const options = { url, service, seconds, connections: connections / services, streams };
    return parseH2load(await runLoad(bench, h2loadCommand(h2load, options), seconds));
  };
  return measured(bench, subject, async () =>
    together(await Promise.all(Array.from({ length: services }, (_, service) => one(service)))),
  );
}

/** Runs a load generator to its end; what it printed. */
export function runLoad(bench: Bench, command: readonly string[], seconds: number): Promise<string> {
  return bench.processes.run(command, { core: bench.cores.load, timeoutMs: seconds * 1e3 + GRACE_MS });
}

/** A closed loop as a trial: what the load generator counted, beside what the kernel says of the subject. */
export async function measured(
  bench: Bench,
  subject: Subject,
  load: () => Promise<LoadResult>,
): Promise<Trial> {
  const { result, usage } = await watched(bench, subject, load);
  return {
    ...usage,
    requests: result.requests,
    errors: result.errors,
    rps: result.requests / result.seconds,
    bytesPerSecond: result.bytes / result.seconds,
    cpuMicros: (usage.cpu / result.requests) * 1e6,
    latencyMs: result.latencyMs,
  };
}

/** A fixed number of requests a second, by oha. */
export async function openLoop(
  bench: Bench,
  subject: Subject,
  options: Partial<OhaOptions> & { readonly url: string; readonly rate: number },
): Promise<Trial> {
  const all: OhaOptions = {
    seconds: bench.plan.seconds,
    connections: CONNECTIONS,
    host: 'svc-0.bench.example',
    ...options,
  };
  const command = ohaCommand(required(bench.programs, 'oha'), all);
  const { result, usage } = await watched(bench, subject, async () =>
    parseOha(await runLoad(bench, command, all.seconds)),
  );
  return {
    ...usage,
    requests: result.requests,
    errors: Math.round(result.errorShare * result.requests),
    rps: result.rps,
    bytesPerSecond: Number.NaN,
    cpuMicros: (usage.cpu / result.requests) * 1e6,
    latencyMs: result.latencyMs,
  };
}

export interface CaseResult {
  readonly name: string;
  /** Subject → its rounds, in order. */
  readonly trials: Readonly<Record<string, readonly Trial[]>>;
  readonly loadIdle: Spread;
  readonly loadBound: boolean;
}

/** Every subject once per round, `rounds` times, in turns. */
export async function interleave(
  bench: Bench,
  name: string,
  subjects: readonly Subject[],
  rounds: number,
  measure: (subject: Subject) => Promise<Trial>,
): Promise<CaseResult> {
  const trials: Record<string, Trial[]> = Object.fromEntries(subjects.map((subject) => [subject.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const subject of turnsOf(subjects, round)) {
      emptyLogs(subjects);
      const trial = await measure(subject);
      trials[subject.name]?.push(trial);
      bench.say(describe(name, round, subject.name, trial));
    }
  }
  return caseResult(name, trials);
}

export function caseResult(name: string, trials: Readonly<Record<string, readonly Trial[]>>): CaseResult {
  const loadIdle = spread(
    Object.values(trials)
      .flat()
      .map((trial) => trial.loadIdle),
  );
  return { name, trials, loadIdle, loadBound: loadIdle.min < LOAD_BOUND };
}

/** Outboard over Envoy, round by round; NaN where either is missing. */
export function ratioOf(
  result: CaseResult,
  value: (trial: Trial) => number,
  over: string = OUTBOARD,
  under: string = ENVOY,
): Spread {
  return pairedRatio((result.trials[over] ?? []).map(value), (result.trials[under] ?? []).map(value));
}

function describe(name: string, round: number, subject: string, trial: Trial): string {
  const { rps, cpuMicros, proxyBusy, foreign, loadIdle, errors, latencyMs } = trial;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  return [
    `${name} round ${round + 1}, ${subject}: ${Math.round(rps)}/s`,
    `${cpuMicros.toFixed(1)} µs CPU each`,
    ...(Number.isFinite(latencyMs.p99) ? [`p99 ${latencyMs.p99?.toFixed(2)} ms`] : []),
    `busy ${percent(proxyBusy)}`,
    `others on its core ${percent(foreign)}`,
    `load core idle ${percent(loadIdle)}${loadIdle < LOAD_BOUND ? ' (load-bound)' : ''}`,
    ...(errors > 0 ? [`${errors} errors`] : []),
  ].join(', ');
}
