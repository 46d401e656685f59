/**
 * The mesh path. Sidecars: load → client Envoy → mTLS → server Envoy → application, as Istio sets them up. Outboard:
 * load → Outboard → application where both pods are on one node, and through two Outboards where they are not, in mTLS
 * and plain; the plain pair has a plain pair of Envoys beside it. All proxies of a path share the one proxy core, so
 * requests per CPU second compare whole paths.
 */

import type { Bench } from '../harness/bench.ts';
import { newSpec, SERVICES } from '../harness/bench.ts';
import { chain, type Subject, startEnvoy, startOutboard } from '../harness/subjects.ts';
import { closedLoop, interleave, ratioOf } from '../harness/trials.ts';
import type { ProxySpec, ServiceSpec } from '../setup/spec.ts';
import { serviceList } from '../setup/spec.ts';
import { type Scenario, standardNotes } from './scenario.ts';

type Start = (bench: Bench, spec: ProxySpec, name?: string) => Promise<Subject>;

export const meshPath: Scenario = {
  name: 'mesh-path',
  what: 'pod to pod: a pair of sidecars against one Outboard on one node, two on two',
  async run(bench) {
    const one = await startOutboard(bench, await newSpec(bench, 'outboard-one', [PLAIN]), SAME_NODE);
    const subjects = [one, await pairOf(bench, startOutboard, 'outboard', true)];
    subjects.push(await pairOf(bench, startOutboard, 'outboard', false));
    if (bench.programs.envoy === null) bench.say('envoy not found: left out, so there are no ratios');
    else {
      subjects.push(await pairOf(bench, startEnvoy, 'envoy', true));
      subjects.push(await pairOf(bench, startEnvoy, 'envoy', false));
    }
    for (const subject of subjects) {
      await closedLoop(bench, subject, { url: `${subject.urls.plain}/64`, seconds: bench.plan.warmSeconds });
    }
    const result = await interleave(bench, 'mesh-64', subjects, bench.plan.rounds, (subject) =>
      closedLoop(bench, subject, { url: `${subject.urls.plain}/64` }),
    );
    const perCpu = (over: string, under: string) =>
      ratioOf(result, ({ cpuMicros }) => 1e6 / cpuMicros, over, under);
    return {
      scenario: 'mesh-path',
      cases: [result],
      readings: [],
      curves: [],
      ratios: {
        same_node_per_cpu: perCpu(SAME_NODE, 'envoy-pair-mtls'),
        two_node_mtls_per_cpu: perCpu('outboard-pair-mtls', 'envoy-pair-mtls'),
        two_node_plain_per_cpu: perCpu('outboard-pair-plain', 'envoy-pair-plain'),
        two_node_plain_over_mtls_per_cpu: perCpu('outboard-pair-plain', 'envoy-pair-mtls'),
        same_node_rps: ratioOf(result, ({ rps }) => rps, SAME_NODE, 'envoy-pair-mtls'),
        same_node_p99: ratioOf(
          result,
          ({ latencyMs }) => latencyMs.p99 as number,
          SAME_NODE,
          'envoy-pair-mtls',
        ),
      },
      notes: standardNotes([result]),
    };
  },
};

const SAME_NODE = 'outboard-same-node';
const PLAIN = { name: 'plain', tls: false, mutual: false } as const;

/** Client half in front of server half; the server half knows its own application only. */
async function pairOf(bench: Bench, start: Start, proxy: string, mutual: boolean): Promise<Subject> {
  const name = `${proxy}-pair-${mutual ? 'mtls' : 'plain'}`;
  const inbound = { name: 'inbound', tls: mutual, mutual };
  const [appPort = 0] = bench.backend.ports;
  const app: ServiceSpec = { name: 'inbound', hostname: null, ports: [appPort], protocol: 'http' };
  const serverSpec = await newSpec(bench, `${name}-server`, [inbound], { services: [app] });
  const server = await start(bench, serverSpec, `${name}-server`);
  const port = serverSpec.listeners[0]?.port as number;
  const services = serviceList(SERVICES, [port], 1);
  const clientSpec = await newSpec(bench, `${name}-client`, [PLAIN], { services, upstreamTls: mutual });
  return chain(name, [await start(bench, clientSpec, `${name}-client`), server]);
}
