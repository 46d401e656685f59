/**
 * gRPC in plain, as an application talks to the proxy of its node: unary calls with messages of 100 bytes and metadata of
 * their own, and streams that stay open on which such messages go out and come back. Client and backend are
 * programs of ours that do less than any gRPC library, so that the proxy is what is measured. Connections and streams as
 * in `http2`.
 */
import { type Bench, MULTIPLEXED, SERVICES } from '../harness/bench.ts';
import { freePorts } from '../harness/ports.ts';
import { portAnswers } from '../harness/processes.ts';
import type { Spread } from '../harness/stats.ts';
import { type Subject, startPair } from '../harness/subjects.ts';
import { type CaseResult, interleave, measured, ratioOf, type Trial } from '../harness/trials.ts';
import { call, grpcClientCommand, grpcServerCommand } from '../load/grpc.ts';
import { BACKEND_PORTS } from '../setup/backend.ts';
import { GRPC_RETRY, serviceList } from '../setup/spec.ts';
import { type Scenario, standardNotes } from './scenario.ts';

/** Every message of a stream that came back counts as a request. */
const CASES = [
  { name: 'grpc-unary', unary: true, rate: 'grpc_unary_rps', cpu: 'grpc_unary_cpu' },
  { name: 'grpc-stream', unary: false, rate: 'grpc_stream_msgs', cpu: 'grpc_stream_cpu' },
] as const;

export const grpc: Scenario = {
  name: 'grpc',
  what: 'gRPC, small messages: unary calls/s and messages/s on streams, CPU of each',
  async run(bench) {
    const { controlPort, ports } = await startPrograms(bench);
    const pair = await startPair(bench, {
      services: serviceList(SERVICES, ports, 2, 'grpc'),
      retry: GRPC_RETRY,
    });
    const cases: CaseResult[] = [];
    const ratios: Record<string, Spread> = {};
    const load = (subject: Subject, unary: boolean, seconds: number): Promise<Trial> => {
      const port = Number(new URL(subject.urls.plain as string).port);
      return measured(bench, subject, () => call(controlPort, { ...MULTIPLEXED, port, unary, seconds }));
    };
    try {
      for (const { name, unary, rate, cpu } of CASES) {
        for (const subject of pair) await load(subject, unary, bench.plan.warmSeconds);
        const result = await interleave(bench, name, pair, bench.plan.rounds, (subject) =>
          load(subject, unary, bench.plan.seconds),
        );
        cases.push(result);
        ratios[rate] = ratioOf(result, ({ rps }) => rps);
        ratios[cpu] = ratioOf(result, ({ cpuMicros }) => cpuMicros);
      }
    } finally {
      for (const subject of pair) await subject.stop();
    }
    return { scenario: 'grpc', cases, readings: [], curves: [], ratios, notes: standardNotes(cases) };
  },
};

async function startPrograms(bench: Bench): Promise<{ controlPort: number; ports: readonly number[] }> {
  const [controlPort = 0, ...ports] = await freePorts(BACKEND_PORTS + 1);
  const last = ports.at(-1) as number;
  await bench.processes.start('gRPC client', grpcClientCommand(controlPort), {
    core: bench.cores.load,
    ready: () => portAnswers(controlPort),
  });
  await bench.processes.start('gRPC backend', grpcServerCommand(ports), {
    core: bench.cores.backend,
    ready: () => portAnswers(last),
  });
  return { controlPort, ports };
}
