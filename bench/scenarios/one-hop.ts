/**
 * One hop: load → proxy → backend, the proxy alone on its core. First the two cases that most traffic is like (64-byte
 * answers over connections that stay open, plain and TLS), and p99 at half of Envoy's maximum at a fixed rate. In full
 * also larger bodies both ways, the baselines, a new TLS connection per request as CPU each, and memory per idle one.
 */
import { type Bench, CONNECTIONS } from '../harness/bench.ts';
import { median, pairedRatio, type Spread, spread } from '../harness/stats.ts';
import { ENVOY, emptyLogs, OUTBOARD, type Subject, startBaselines, startPair } from '../harness/subjects.ts';
import { type CaseResult, closedLoop, interleave, openLoop, ratioOf, type Trial } from '../harness/trials.ts';
import { handshakes } from './handshakes.ts';
import { idleMemory } from './idle.ts';
import { type Reading, type Scenario, type ScenarioResult, standardNotes } from './scenario.ts';

/** Keys of the JSON line, there whatever could be measured. */
const ALWAYS = ['plain_rps', 'plain_cpu', 'plain_p99', 'tls_rps', 'tls_cpu'];

const BODIES = [
  { name: '10k-down', path: '/10k', method: 'GET', bodyBytes: 0 },
  { name: '1m-down', path: '/1m', method: 'GET', bodyBytes: 0 },
  { name: '1m-up', path: '/upload', method: 'POST', bodyBytes: 1_048_576 },
] as const;

export const oneHop: Scenario = {
  name: 'one-hop',
  what: 'one proxy between load and backend: requests/s, CPU per request, p99, bodies, handshakes, memory',
  async run(bench) {
    const pair = await startPair(bench);
    const cases: CaseResult[] = [];
    const readings: Reading[] = [];
    const ratios: Record<string, Spread> = Object.fromEntries(ALWAYS.map((name) => [name, spread([])]));
    const notes: string[] = [];
    try {
      for (const subject of pair) await warm(bench, subject);
      const subjects = bench.plan.quick ? pair : [...pair, ...(await startBaselines(bench))];
      for (const kind of ['plain', 'tls'] as const) {
        const result = await interleave(bench, `${kind}-64`, subjects, bench.plan.rounds, (subject) =>
          closedLoop(bench, subject, { url: `${subject.urls[kind]}/64` }),
        );
        cases.push(result);
        ratios[`${kind}_rps`] = ratioOf(result, ({ rps }) => rps);
        ratios[`${kind}_cpu`] = ratioOf(result, ({ cpuMicros }) => cpuMicros);
      }
      for (const subject of subjects.slice(pair.length)) await subject.stop();
      const p99 = await atHalf(bench, pair, cases[0] as CaseResult, notes);
      if (p99 !== null) {
        cases.push(p99);
        ratios.plain_p99 = ratioOf(p99, ({ latencyMs }) => latencyMs.p99 as number);
      }
      if (!bench.plan.quick) {
        await bodies(bench, pair, cases, ratios);
        await connections(bench, pair, readings, ratios, notes);
      }
    } finally {
      for (const subject of pair) await subject.stop();
    }
    if (!bench.plan.quick) {
      const memory = await idleMemory(bench);
      readings.push(memory);
      ratios.idle_tls_memory = pairedRatio(memory.values[OUTBOARD] ?? [], memory.values[ENVOY] ?? []);
    }
    notes.push(...standardNotes(cases));
    return { scenario: 'one-hop', cases, readings, curves: [], ratios, notes } satisfies ScenarioResult;
  },
};

async function warm(bench: Bench, subject: Subject): Promise<void> {
  for (const base of Object.values(subject.urls)) {
    await closedLoop(bench, subject, { url: `${base}/64`, seconds: bench.plan.warmSeconds });
  }
}

/** The fixed rate is half of what Envoy managed, or of Outboard where Envoy is missing. */
async function atHalf(
  bench: Bench,
  pair: readonly Subject[],
  closed: CaseResult,
  notes: string[],
): Promise<CaseResult | null> {
  if (bench.programs.oha === null) {
    notes.push('oha not found: no latency at a fixed rate');
    return null;
  }
  const slower = closed.trials[ENVOY] ?? Object.values(closed.trials)[0] ?? [];
  const rate = median(slower.map(({ rps }: Trial) => rps)) / 2;
  const seconds = bench.plan.quick ? 2 : bench.plan.seconds;
  const rounds = bench.plan.quick ? 3 : bench.plan.rounds;
  return interleave(bench, 'plain-64-half', pair, rounds, (subject) =>
    openLoop(bench, subject, { url: `${subject.urls.plain}/64`, rate, seconds }),
  );
}

async function bodies(
  bench: Bench,
  pair: readonly Subject[],
  cases: CaseResult[],
  ratios: Record<string, Spread>,
): Promise<void> {
  for (const { name, path, method, bodyBytes } of BODIES) {
    for (const kind of ['plain', 'tls'] as const) {
      const connections = path === '/10k' ? CONNECTIONS : CONNECTIONS / 4;
      const result = await interleave(bench, `${kind}-${name}`, pair, bench.plan.rounds, (subject) =>
        closedLoop(bench, subject, { url: `${subject.urls[kind]}${path}`, method, bodyBytes, connections }),
      );
      cases.push(result);
      const key = `${kind}_${name.replace('-', '_')}`;
      ratios[`${key}_bytes`] = ratioOf(result, ({ bytesPerSecond }) => bytesPerSecond);
      ratios[`${key}_cpu`] = ratioOf(result, ({ cpuMicros }) => cpuMicros);
    }
  }
}

/** A connection per request: CPU of the proxy for each, request included. */
async function connections(
  bench: Bench,
  pair: readonly Subject[],
  readings: Reading[],
  ratios: Record<string, Spread>,
  notes: string[],
): Promise<void> {
  for (const kind of ['full', 'resume'] as const) {
    const values: Record<string, number[]> = Object.fromEntries(pair.map(({ name }) => [name, []]));
    for (let round = 0; round < bench.plan.rounds; round++) {
      for (const subject of pair) {
        emptyLogs(pair);
        const { micros, note } = await handshakes(bench, subject, kind);
        values[subject.name]?.push(micros);
        if (note !== null) notes.push(note);
      }
    }
    readings.push({ name: `cpu-per-tls-connection-${kind}`, unit: 'µs', values });
    ratios[`handshake_${kind}_cpu`] = pairedRatio(values[OUTBOARD] ?? [], values[ENVOY] ?? []);
  }
}
