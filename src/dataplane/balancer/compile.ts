/** Which picker a service's policy and weights call for. */
import type { ServiceConfig } from '../../config/index.ts';
import { LeastRequestPicker } from './least-request.ts';
import { MaglevPicker } from './maglev.ts';
import type { Picker } from './picker.ts';
import { RandomPicker } from './random.ts';
import { RingHashPicker } from './ring-hash.ts';
import { RoundRobinPicker } from './round-robin.ts';
import { WeightedPicker } from './weighted.ts';

/** A picker for this moment of the service. Costs one pass over the endpoints. */
export function compilePicker(service: ServiceConfig): Picker {
  const { policy } = service.loadBalancer;
  if (policy === 'random') return new RandomPicker(service);
  if (policy === 'ring-hash') return new RingHashPicker(service);
  if (policy === 'maglev') return new MaglevPicker(service);
  const weights = new Set(service.endpoints.map(({ weight }) => weight).filter((weight) => weight > 0));
  if (weights.size > 1) return new WeightedPicker(service, policy === 'least-request');
  return policy === 'least-request' ? new LeastRequestPicker(service) : new RoundRobinPicker(service);
}
