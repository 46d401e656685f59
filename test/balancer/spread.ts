/** Picks from services of 100 endpoints in each priority or locality, counted by the health of who was picked. */
import assert from 'node:assert/strict';
import type { EndpointConfig, ServiceConfig } from '../../src/config/index.ts';
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { AVAILABLE } from '../../src/ledger/index.ts';
import { seeded } from '../router/seeded.ts';
import { FakeView, service } from './kit.ts';

const SEED = 20_260_402;
const SIZE = 100;
export const NODE = { region: 'eu', zone: 'eu-0', subZone: '' };

interface Wanted {
  /** Percent healthy and degraded, by priority. */
  readonly priorities: readonly (readonly [healthy: number, degraded: number])[];
  /** In place of one priority of 100. */
  readonly localities?: readonly { readonly weight: number; readonly healthy: number }[];
  readonly panicThreshold: number;
  readonly picks: number;
}

export class Spread {
  readonly counts: readonly number[];
  private readonly view: FakeView;
  private readonly endpoints: readonly EndpointConfig[];

  constructor(counts: readonly number[], view: FakeView, endpoints: readonly EndpointConfig[]) {
    this.counts = counts;
    this.view = view;
    this.endpoints = endpoints;
  }

  of(priority: number): number {
    return this.sum((at) => at.priority === priority, null);
  }

  healthy(priority: number): number {
    return this.sum((at) => at.priority === priority, AVAILABLE.yes);
  }

  degraded(priority: number): number {
    return this.sum((at) => at.priority === priority, AVAILABLE.degraded);
  }

  unhealthy(priority: number): number {
    return this.sum((at) => at.priority === priority, AVAILABLE.no);
  }

  inLocality(index: number): number {
    return this.sum((at) => at.locality?.zone === `eu-${index}`, null);
  }

  get localities(): string {
    return [0, 1, 2].map((index) => this.inLocality(index)).join(' ');
  }

  private sum(is: (at: EndpointConfig) => boolean, available: number | null): number {
    return this.counts.reduce((sum, count, i) => {
      if (!is(this.endpoints[i] as EndpointConfig)) return sum;
      return available === null || this.view.available[i] === available ? sum + count : sum;
    }, 0);
  }
}

export function spread({ priorities, localities, panicThreshold, picks }: Wanted): Spread {
  const groups = localities ?? priorities;
  const made = service('random', new Array<number>(SIZE * groups.length).fill(1), panicThreshold);
  const endpoints = made.endpoints.map((endpoint, i) => {
    const group = Math.floor(i / SIZE);
    return localities === undefined
      ? { ...endpoint, priority: group }
      : { ...endpoint, locality: { ...NODE, zone: `eu-${group}` } };
  });
  const locality: ServiceConfig['loadBalancer']['locality'] =
    localities === undefined
      ? null
      : {
          type: 'distribute',
          distribute: [
            {
              from: '*',
              to: localities.map(({ weight }, i) => ({ locality: `eu/eu-${i}/*`, weight })),
            },
          ],
        };
  const view = new FakeView(endpoints.length);
  groups.forEach((group, i) => {
    const [healthy, degraded] = 'weight' in group ? [group.healthy, 0] : group;
    view.available.fill(AVAILABLE.no, i * SIZE, (i + 1) * SIZE);
    view.available.fill(AVAILABLE.yes, i * SIZE, i * SIZE + healthy);
    view.available.fill(AVAILABLE.degraded, i * SIZE + healthy, i * SIZE + healthy + degraded);
  });
  const config = { ...made, endpoints, loadBalancer: { ...made.loadBalancer, locality } };
  const picker = compilePicker(config, { locality: NODE, service: () => undefined });
  const state = new PickState(view, seeded(SEED));
  const counts = new Array<number>(endpoints.length).fill(0);
  for (let i = 0; i < picks; i++) {
    const index = picker.pick(state, i / 100, []);
    if (index >= 0) counts[index] = (counts[index] as number) + 1;
  }
  return new Spread(counts, view, endpoints);
}

/** Of so many picks `count` is the share `p`, within what theory exceeds once in a million runs. */
export function share(count: number, picks: number, p: number): void {
  const bound = 4.9 * Math.sqrt(picks * p * (1 - p)) + 1e-9;
  assert.ok(Math.abs(count - picks * p) <= bound, `${count} of ${picks}, expected ${picks * p} ± ${bound}`);
}
