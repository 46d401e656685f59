/** Whatever a service's priorities, localities, policy and health: who may be used is found, and nobody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LocalityConfig, ServiceConfig } from '../../src/config/index.ts';
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { AVAILABLE, type Availability } from '../../src/ledger/index.ts';
import { below, freshSeed, seeded } from '../router/seeded.ts';
import { FakeView, service } from './kit.ts';

const ROUNDS = 3_000;
const POLICIES = ['least-request', 'round-robin', 'random', 'peak-ewma', 'ring-hash', 'maglev'] as const;
const HEALTH = [AVAILABLE.no, AVAILABLE.yes, AVAILABLE.probe, AVAILABLE.degraded] as const;
const HASHING = {
  key: { type: 'source' },
  minimumRingSize: 64,
  maximumRingSize: 1_024,
  tableSize: 53,
  hashBalanceFactor: 0,
} as const;
const ZONES = ['a', 'b', 'c'];

function randomLocality(random: () => number, hashing: boolean): LocalityConfig | null {
  switch (below(random, hashing ? 3 : 4)) {
    case 0:
      return { type: 'failover', failover: [{ from: 'eu', to: 'us' }] };
    case 1:
      return {
        type: 'distribute',
        distribute: [
          {
            from: '*',
            to: [
              { locality: 'eu/a', weight: 60 },
              { locality: 'eu/b', weight: 40 },
            ],
          },
        ],
      };
    case 2:
      return null;
    default:
      return { type: 'zone-aware', localService: 's', minClusterSize: below(random, 6), routingEnabled: 100 };
  }
}

function randomService(random: () => number): ServiceConfig {
  const size = 1 + below(random, 12);
  const policy = POLICIES[below(random, POLICIES.length)] as (typeof POLICIES)[number];
  const hashing = policy === 'ring-hash' || policy === 'maglev';
  const equal = below(random, 2) === 0;
  const weights = Array.from({ length: size }, () => (equal ? 1 : 1 + below(random, 4)));
  const made = service(policy, weights, [0, 50, 100][below(random, 3)] as number, hashing ? HASHING : null);
  const slow = policy === 'least-request' || policy === 'round-robin';
  return {
    ...made,
    endpoints: made.endpoints.map((endpoint) => ({
      ...endpoint,
      priority: below(random, 3),
      locality: { region: 'eu', zone: ZONES[below(random, 3)] as string, subZone: '' },
    })),
    loadBalancer: {
      ...made.loadBalancer,
      slowStart:
        slow && below(random, 2) === 0 ? { windowMs: 1_000, aggression: 1, minWeightPercent: 10 } : null,
      locality: randomLocality(random, hashing),
    },
  };
}

test('3,000 services: a pick finds who may be used, and avoids who was tried', () => {
  const seed = freshSeed();
  const random = seeded(seed);
  const view = new FakeView(12);
  const state = new PickState(view, random);
  for (let round = 0; round < ROUNDS; round++) {
    const said = `OUTBOARD_SEED=${seed}, round ${round}`;
    const config = randomService(random);
    const size = config.endpoints.length;
    const picker = compilePicker(config, {
      locality: { region: 'eu', zone: 'a', subZone: '' },
      service: () => config,
    });
    for (let pick = 0; pick < 4; pick++) {
      for (let i = 0; i < size; i++) {
        view.available[i] = HEALTH[below(random, 4)] as Availability;
        view.inUseMs[i] = below(random, 2_000);
        view.load[i] = below(random, 5);
      }
      const before = [...view.available];
      const tried = Array.from({ length: below(random, 3) }, () => below(random, size));
      const listed = (i: number): boolean =>
        config.loadBalancer.locality?.type !== 'distribute' || config.endpoints[i]?.locality?.zone !== 'c';
      const usable = before.map((available, i) => i < size && available !== AVAILABLE.no && listed(i));
      state.hashBy(`${pick}`);
      const index = picker.pick(state, round * 50 + pick, tried);
      if (index < 0) {
        assert.ok(!usable.includes(true), said);
        continue;
      }
      assert.ok(index < size && listed(index), said);
      if (state.panic) continue;
      assert.ok(usable[index], `${said}: ${before[index]}`);
      const untried = usable.some((is, i) => is && !tried.includes(i));
      // In panic elsewhere an endpoint may be had whatever its health.
      if (untried) assert.ok(!tried.includes(index), `${said}: tried ${tried}, picked ${index}`);
    }
  }
});
