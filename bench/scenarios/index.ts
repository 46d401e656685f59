/** Every scenario, in the order a full run goes through them. */
import { faults } from './faults.ts';
import { fixedRate } from './fixed-rate.ts';
import { growth } from './growth.ts';
import { grpc } from './grpc.ts';
import { hedging } from './hedging.ts';
import { hostCpu } from './host-cpu.ts';
import { http2 } from './http2.ts';
import { memory } from './memory.ts';
import { meshPath } from './mesh-path.ts';
import { neighbours } from './neighbours.ts';
import { oneHop } from './one-hop.ts';
import { overload } from './overload.ts';
import type { Scenario } from './scenario.ts';

export const SCENARIOS: readonly Scenario[] = [
  oneHop,
  http2,
  grpc,
  meshPath,
  fixedRate,
  memory,
  hostCpu,
  growth,
  faults,
  hedging,
  overload,
  neighbours,
];
