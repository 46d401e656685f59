/**
 * Overload: three times as many requests as can be served, on schedule, from clients that wait a second and then leave. What
 * counts is goodput: answers that came in time, over the time in which was asked. Twice, with a different thing that is too small.
 *
 * `handshakes`: the proxy, whose certificate has an RSA key of 4,096 bits, so that a new connection costs it milliseconds, or
 * much less where oha resumes a session (about half of them), and its client next to nothing. `service`: the endpoint, with eight places of ten milliseconds.
 *
 * Beside Outboard with its overload manager, and with adaptive concurrency for the service, stands Outboard without them. The peak is the best of
 * three short windows of a closed loop before. A shared machine may give the proxy less of its core while it is overloaded;
 * goodput per second of its processor says what that was.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Bench, newSpec, required } from '../harness/bench.ts';
import { freePorts } from '../harness/ports.ts';
import { portAnswers } from '../harness/processes.ts';
import { median } from '../harness/stats.ts';
import { OUTBOARD, type Subject, startOutboard } from '../harness/subjects.ts';
import { runLoad, watched } from '../harness/trials.ts';
import { type OhaOptions, ohaCommand, parseOha } from '../load/oha.ts';
import { writeSlowCertificates } from '../setup/certificates.ts';
import type { Protection } from '../setup/spec.ts';
import type { Reading, Scenario } from './scenario.ts';

const NARROW = fileURLToPath(new URL('../load/narrow.ts', import.meta.url));
const PLACES = 8;
const WORK_MS = 10;

const LOAD = 3;
/** How many ask for the peak. */
const PEAK_CONNECTIONS = 32;
const DEADLINE_SECONDS = 1;
/** Normal is: at half the peak, in one window of a second, all but one request in twenty is served in time. */
const NORMAL_LOAD = 0.5;
const NORMAL_SHARE = 0.95;
const NORMAL_SECONDS_MAX = 20;

const CAP_BYTES = 384 * 1024 * 1024;
const WITHOUT = 'without protection';
const RSS_EVERY_MS = 100;

interface Outcome {
  readonly peakRps: number;
  /** Of the best window: what a second of the proxy's processor was worth. */
  readonly peakPerCpu: number;
  readonly goodputRps: number;
  readonly goodputPerCpu: number;
  readonly p99Ms: number;
  readonly rssMaxBytes: number;
  /** Until the first normal window ended; NaN: there was none. */
  readonly normalSeconds: number;
}

type Bottleneck = 'handshakes' | 'service';

export const overload: Scenario = {
  name: 'overload',
  what: 'goodput, memory and recovery at three times the capacity, of the proxy and of a service',
  async run(bench) {
    const readings: Reading[] = [];
    const notes: string[] = [];
    for (const bottleneck of ['handshakes', 'service'] as const) {
      const outcomes: Record<string, Outcome[]> = {};
      for (let round = 0; round < (bench.plan.quick ? 1 : bench.plan.rounds); round++) {
        for (const name of [OUTBOARD, WITHOUT]) {
          const protection = name === OUTBOARD ? protectionOf(bottleneck) : null;
          const outcome = await overloaded(bench, bottleneck, `${bottleneck}-${round}`, protection);
          outcomes[name] ??= [];
          outcomes[name].push(outcome);
          bench.say(`${bottleneck} round ${round + 1}, ${name}: ${told(outcome)}`);
        }
      }
      readings.push(...readingsOf(bottleneck, outcomes));
      notes.push(...faultsOf(bottleneck, outcomes[OUTBOARD] ?? []));
    }
    return { scenario: 'overload', cases: [], readings, curves: [], ratios: {}, notes };
  },
};

/** What is watched is what is too small: adaptive concurrency takes a late event loop for a slow service. */
function protectionOf(bottleneck: Bottleneck): Protection {
  return { memoryBytes: CAP_BYTES, adaptiveConcurrency: bottleneck === 'service' };
}

async function overloaded(
  bench: Bench,
  bottleneck: Bottleneck,
  name: string,
  protection: Protection | null,
): Promise<Outcome> {
  const [port = 0] = await freePorts(1);
  const service = await bench.processes.start(
    'narrow service',
    [process.execPath, NARROW, String(port), String(PLACES), String(WORK_MS)],
    { core: bench.cores.backend, ready: () => portAnswers(port) },
  );
  const isTls = bottleneck === 'handshakes';
  const ports = isTls ? bench.backend.ports.slice(0, 1) : [port];
  const spec = await newSpec(bench, name, [{ name: 'web', tls: isTls, mutual: false }], {
    services: [{ name: 'svc-0', hostname: 'svc-0.bench.example', ports, protocol: 'http' }],
    protection,
    ...(isTls ? { tls: writeSlowCertificates(bench.directory) } : {}),
  });
  const subject = await startOutboard(bench, spec);
  try {
    return await measure(bench, subject, {
      url: `${subject.urls.web}/64`,
      host: 'svc-0.bench.example',
      keepAlive: !isTls,
      timeoutSeconds: DEADLINE_SECONDS,
      waits: false,
    });
  } finally {
    await subject.stop();
    await service.stop();
  }
}

type Asking = Pick<OhaOptions, 'url' | 'host' | 'keepAlive' | 'timeoutSeconds' | 'waits'>;

async function measure(bench: Bench, subject: Subject, asking: Asking): Promise<Outcome> {
  const closed = (): Promise<Window> => ask(bench, subject, asking, 2, PEAK_CONNECTIONS, null);
  await closed();
  const peaks = [await closed(), await closed(), await closed()];
  const peakRps = Math.max(...peaks.map(({ goodput }) => goodput));
  const peakPerCpu = Math.max(...peaks.map(({ perCpu }) => perCpu));
  const [pid = 0] = subject.pids;
  const memory = watchMemory(pid);
  const seconds = bench.plan.quick ? 6 : 10;
  // So many that all leave on schedule even when none is answered.
  const connections = Math.ceil(LOAD * peakRps * DEADLINE_SECONDS);
  const { goodput, perCpu, p99Ms } = await ask(bench, subject, asking, seconds, connections, LOAD * peakRps);
  const started = performance.now();
  let normalSeconds = Number.NaN;
  while (performance.now() - started < NORMAL_SECONDS_MAX * 1e3) {
    const { share } = await ask(bench, subject, asking, 1, PEAK_CONNECTIONS, NORMAL_LOAD * peakRps);
    if (share < NORMAL_SHARE) continue;
    normalSeconds = (performance.now() - started) / 1e3;
    break;
  }
  return {
    peakRps,
    peakPerCpu,
    goodputRps: goodput,
    goodputPerCpu: perCpu,
    p99Ms,
    rssMaxBytes: await memory.stop(),
    normalSeconds,
  };
}

interface Window {
  readonly goodput: number;
  /** Per second of the proxy's processor. */
  readonly perCpu: number;
  /** Of what was asked, how much was served in time. */
  readonly share: number;
  readonly p99Ms: number;
}

/** `rate` null: as many as get answered. */
async function ask(
  bench: Bench,
  subject: Subject,
  asking: Asking,
  seconds: number,
  connections: number,
  rate: number | null,
): Promise<Window> {
  const command = ohaCommand(required(bench.programs, 'oha'), { ...asking, seconds, connections, rate });
  const { result, usage } = await watched(bench, subject, async () =>
    parseOha(await runLoad(bench, command, seconds)),
  );
  const { requests, errorShare } = result;
  const good = requests * (1 - errorShare);
  return {
    goodput: good / result.seconds,
    perCpu: good / usage.cpu,
    share: requests === 0 ? 0 : 1 - errorShare,
    p99Ms: result.latencyMs.p99,
  };
}

function watchMemory(pid: number): { stop(): Promise<number> } {
  let most = 0;
  let over = false;
  const watching = (async () => {
    while (!over) {
      const status = readFileSync(join('/proc', String(pid), 'status'), 'utf8');
      most = Math.max(most, Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024);
      await sleep(RSS_EVERY_MS);
    }
  })();
  return {
    async stop() {
      over = true;
      await watching;
      return most;
    },
  };
}

function readingsOf(
  bottleneck: Bottleneck,
  outcomes: Readonly<Record<string, readonly Outcome[]>>,
): Reading[] {
  const reading = (name: string, unit: string, value: (outcome: Outcome) => number): Reading => ({
    name: `${bottleneck}-${name}`,
    unit,
    values: Object.fromEntries(Object.entries(outcomes).map(([subject, all]) => [subject, all.map(value)])),
  });
  return [
    reading('peak-goodput', 'rps', ({ peakRps }) => peakRps),
    reading('goodput-at-3x', 'rps', ({ goodputRps }) => goodputRps),
    reading('goodput-share', '%', ({ peakRps, goodputRps }) => (100 * goodputRps) / peakRps),
    reading('goodput-per-cpu-share', '%', (one) => (100 * one.goodputPerCpu) / one.peakPerCpu),
    reading('p99-of-answers', 'ms', ({ p99Ms }) => p99Ms),
    reading('memory-max', 'MB', ({ rssMaxBytes }) => rssMaxBytes / 1e6),
    reading('back-to-normal', 's', ({ normalSeconds }) => normalSeconds),
  ];
}

/** What was promised and not kept. */
function faultsOf(bottleneck: Bottleneck, outcomes: readonly Outcome[]): string[] {
  const share = median(outcomes.map(({ peakRps, goodputRps }) => goodputRps / peakRps));
  const rss = Math.max(...outcomes.map(({ rssMaxBytes }) => rssMaxBytes));
  const slow = outcomes.some(({ normalSeconds }) => !(normalSeconds <= 10));
  return [
    ...(share < 0.85 ? [`overload, ${bottleneck}: goodput ${(share * 100).toFixed(0)} % of its peak`] : []),
    ...(rss > CAP_BYTES
      ? [`overload, ${bottleneck}: ${(rss / 1e6).toFixed(0)} MB of memory, over the cap`]
      : []),
    ...(slow ? [`overload, ${bottleneck}: not back to normal within 10 s`] : []),
  ];
}

function told({
  peakRps,
  peakPerCpu,
  goodputRps,
  goodputPerCpu,
  p99Ms,
  rssMaxBytes,
  normalSeconds,
}: Outcome): string {
  const share = ((100 * goodputRps) / peakRps).toFixed(0);
  const perCpu = ((100 * goodputPerCpu) / peakPerCpu).toFixed(0);
  const normal = Number.isNaN(normalSeconds)
    ? `not normal within ${NORMAL_SECONDS_MAX} s`
    : `normal after ${normalSeconds.toFixed(1)} s`;
  return `peak ${peakRps.toFixed(0)} rps, at ${LOAD} × ${goodputRps.toFixed(0)} rps (${share} %, ${perCpu} % per CPU), p99 ${p99Ms.toFixed(0)} ms, ${(rssMaxBytes / 1e6).toFixed(0)} MB, ${normal}`;
}
