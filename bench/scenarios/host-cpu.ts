/**
 * Host CPU given back. The "host" core runs an application that works for its answers; beside it a sidecar that ends
 * TLS, or nothing, with Outboard on the "DPU" core ending TLS instead. What counts is the host core: the application's
 * throughput, and host CPU per request (application and sidecar). On two cores the DPU core is the load core as well.
 */
import { fileURLToPath } from 'node:url';
import { type Bench, newSpec } from '../harness/bench.ts';
import { freePorts } from '../harness/ports.ts';
import { portAnswers } from '../harness/processes.ts';
import { type Subject, startEnvoy, startOutboard } from '../harness/subjects.ts';
import { closedLoop, interleave, ratioOf } from '../harness/trials.ts';
import type { ServiceSpec } from '../setup/spec.ts';
import { type Scenario, standardNotes } from './scenario.ts';

const APP = fileURLToPath(new URL('../load/app.ts', import.meta.url));
const TLS = { name: 'tls', tls: true, mutual: false } as const;
const DPU = 'outboard-on-dpu';
const SIDECAR = 'sidecar-on-host';
const ALONE = 'no-proxy';

export const hostCpu: Scenario = {
  name: 'host-cpu',
  what: "the application's own throughput and host CPU per request, sidecar against Outboard on another core",
  async run(bench) {
    const subjects = [await withOutboard(bench)];
    if (bench.programs.envoy !== null) subjects.push(await withEnvoy(bench));
    const alone = await startApp(bench);
    subjects.push({
      name: ALONE,
      pids: [alone.pid],
      urls: { app: `http://127.0.0.1:${alone.port}` },
      logs: [],
      stop: alone.stop,
    });
    const load = (subject: Subject, seconds: number) =>
      closedLoop(bench, subject, { url: `${Object.values(subject.urls)[0]}/`, seconds });
    for (const subject of subjects) await load(subject, bench.plan.warmSeconds);
    const result = await interleave(bench, 'host-cpu', subjects, bench.plan.rounds, (subject) =>
      load(subject, bench.plan.seconds),
    );
    return {
      scenario: 'host-cpu',
      cases: [result],
      readings: [],
      curves: [],
      ratios: {
        app_rps: ratioOf(result, ({ rps }) => rps, DPU, SIDECAR),
        host_cpu: ratioOf(result, ({ cpuMicros }) => cpuMicros, DPU, SIDECAR),
        app_rps_over_no_proxy: ratioOf(result, ({ rps }) => rps, DPU, ALONE),
      },
      notes: standardNotes([result]),
    };
  },
};

async function withOutboard(bench: Bench): Promise<Subject> {
  const app = await startApp(bench);
  const services = servedBy(app.port);
  const spec = await newSpec(bench, DPU, [TLS], { services, core: bench.cores.backend });
  // Outboard's own CPU is the DPU's: the host's is the application's alone.
  return { ...(await startOutboard(bench, spec, DPU)), pids: [app.pid] };
}

async function withEnvoy(bench: Bench): Promise<Subject> {
  const app = await startApp(bench);
  const services = servedBy(app.port);
  const envoy = await startEnvoy(bench, await newSpec(bench, SIDECAR, [TLS], { services }), SIDECAR);
  return { ...envoy, pids: [app.pid, ...envoy.pids] };
}

function servedBy(port: number): ServiceSpec[] {
  return [{ name: 'app', hostname: null, ports: [port], protocol: 'http' }];
}

async function startApp(bench: Bench): Promise<{ port: number; pid: number; stop: () => Promise<void> }> {
  const [port = 0] = await freePorts(1);
  const running = await bench.processes.start('application', [process.execPath, APP, String(port)], {
    core: bench.cores.proxy,
    ready: () => portAnswers(port),
  });
  return { port, pid: running.pid, stop: running.stop };
}
