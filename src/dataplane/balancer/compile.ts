/** Which pickers a service's policy, weights, priorities and localities call for. */
import type { Locality, ServiceConfig } from '../../config/index.ts';
import { LeastRequestPicker } from './least-request.ts';
import { levelsOf } from './levels.ts';
import { MaglevPicker } from './maglev.ts';
import { PeakEwmaPicker } from './peak-ewma.ts';
import type { Picker } from './picker.ts';
import type { Group, PolicyPicker } from './policy-picker.ts';
import { RandomPicker } from './random.ts';
import { RingHashPicker } from './ring-hash.ts';
import { RoundRobinPicker } from './round-robin.ts';
import { ServicePicker } from './service-picker.ts';
import { SlowStartPicker } from './slow-start-picker.ts';
import { WeightedPicker } from './weighted.ts';

/** What a picker has to know besides its service. */
export interface Surroundings {
  /** Where this node is; null: not known. */
  readonly locality: Locality | null;
  /** Another service of the snapshot in force. */
  service(name: string): ServiceConfig | undefined;
}

/**
 * A picker for this moment of the service, or of its endpoints at `indexes`, which are called `name`. Costs one pass over the
 * endpoints.
 */
export function compilePicker(
  service: ServiceConfig,
  around: Surroundings = NOTHING,
  name = '',
  indexes: readonly number[] = service.endpoints.map((_, index) => index),
): Picker {
  const { locality: node } = around;
  const { locality: setting } = service.loadBalancer;
  const levels = levelsOf(service, indexes, name, node, policyPicker);
  const callers =
    setting?.type === 'zone-aware' && node !== null
      ? { node, service: () => around.service(setting.localService) }
      : null;
  return new ServicePicker(service, levels, callers);
}

const NOTHING: Surroundings = { locality: null, service: () => undefined };

function policyPicker(group: Group): PolicyPicker {
  const { policy, slowStart } = group.loadBalancer;
  if (policy === 'random') return new RandomPicker(group);
  if (policy === 'ring-hash') return new RingHashPicker(group);
  if (policy === 'maglev') return new MaglevPicker(group);
  if (policy === 'peak-ewma') return new PeakEwmaPicker(group);
  const settled = settledPicker(group);
  return slowStart === null ? settled : new SlowStartPicker(group, slowStart, settled);
}

/** Without endpoints in their slow start. */
function settledPicker(group: Group): PolicyPicker {
  if (new Set(group.members.map(({ weight }) => weight)).size > 1) {
    return new WeightedPicker({ ...group, loadBalancer: { ...group.loadBalancer, slowStart: null } });
  }
  return group.loadBalancer.policy === 'least-request'
    ? new LeastRequestPicker(group)
    : new RoundRobinPicker(group);
}
