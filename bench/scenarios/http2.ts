/**
 * HTTP/2: load → TLS → proxy → backend over HTTP/2 and over HTTP/1.1, 64-byte answers. Four clients, each of a service of
 * its own, with four connections and eight requests at a time on each, as pods that talk to one another have them.
 */
import { type Bench, SERVICES } from '../harness/bench.ts';
import { freePorts } from '../harness/ports.ts';
import { portAnswers } from '../harness/processes.ts';
import { type Spread, spread } from '../harness/stats.ts';
import { startPair } from '../harness/subjects.ts';
import { type CaseResult, http2Loop, interleave, ratioOf } from '../harness/trials.ts';
import { http2BackendCommand } from '../setup/backend.ts';
import { serviceList, type UpstreamProtocol } from '../setup/spec.ts';
import { type Scenario, standardNotes } from './scenario.ts';

/** Keys of the JSON line, there whatever could be measured. */
const ALWAYS = ['h2_h2_rps', 'h2_h2_cpu', 'h2_h1_rps', 'h2_h1_cpu'];
/** Endpoints of the HTTP/2 backend, each a process. */
const BACKENDS = 2;

export const http2: Scenario = {
  name: 'http2',
  what: 'HTTP/2 over TLS in, HTTP/2 or HTTP/1.1 out: requests/s, CPU per request',
  async run(bench) {
    const cases: CaseResult[] = [];
    const ratios: Record<string, Spread> = Object.fromEntries(ALWAYS.map((name) => [name, spread([])]));
    const notes: string[] = [];
    const add = async (name: string, ports: readonly number[], protocol: UpstreamProtocol): Promise<void> => {
      const result = await measure(bench, name, ports, protocol);
      const key = name.replace('-', '_');
      cases.push(result);
      ratios[`${key}_rps`] = ratioOf(result, ({ rps }) => rps);
      ratios[`${key}_cpu`] = ratioOf(result, ({ cpuMicros }) => cpuMicros);
    };
    if (bench.programs.h2load === null) notes.push('h2load (nghttp2) not found: nothing measured');
    else {
      const ports = await startBackends(bench);
      if (ports === null) notes.push('nghttpd (nghttp2) not found: no HTTP/2 to the backend');
      else await add('h2-h2', ports, 'http2');
      await add('h2-h1', bench.backend.ports, 'http');
    }
    notes.push(...standardNotes(cases));
    return { scenario: 'http2', cases, readings: [], curves: [], ratios, notes };
  },
};

async function measure(
  bench: Bench,
  name: string,
  ports: readonly number[],
  protocol: UpstreamProtocol,
): Promise<CaseResult> {
  const pair = await startPair(bench, { services: serviceList(SERVICES, ports, 2, protocol) });
  try {
    for (const subject of pair)
      await http2Loop(bench, subject, `${subject.urls.tls}/64`, bench.plan.warmSeconds);
    return await interleave(bench, name, pair, bench.plan.rounds, (subject) =>
      http2Loop(bench, subject, `${subject.urls.tls}/64`),
    );
  } finally {
    for (const subject of pair) await subject.stop();
  }
}

/** Their ports, or null where nghttpd is missing. */
async function startBackends(bench: Bench): Promise<readonly number[] | null> {
  const { nghttpd } = bench.programs;
  if (nghttpd === null) return null;
  const ports = await freePorts(BACKENDS);
  for (const port of ports) {
    const command = http2BackendCommand(nghttpd.path, bench.directory, port);
    await bench.processes.start('HTTP/2 backend', command, {
      core: bench.cores.backend,
      ready: () => portAnswers(port),
    });
  }
  return ports;
}
