/**
 * What picking an endpoint costs, by policy, among 3 and among 5,000 endpoints, and where load is shared among priorities and
 * localities, with the node's ledger behind it. The best of several rounds, as the machine may be shared.
 * `node bench/micro/pick.ts`
 */
import type { LocalityConfig, ServiceConfig } from '../../src/config/index.ts';
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { attachLedger, createLedger } from '../../src/ledger/index.ts';
import { service } from '../../test/balancer/kit.ts';
import { seeded } from '../../test/router/seeded.ts';

const PICKS = 500_000;
const ROUNDS = 9;
const NODE = { region: 'eu', zone: 'a', subZone: '' };
const HASHING = {
  key: { type: 'header', name: 'x-key' },
  minimumRingSize: 1_024,
  maximumRingSize: 65_536,
  tableSize: 65_537,
  hashBalanceFactor: 0,
} as const;
const LOCALITIES: Readonly<Record<string, LocalityConfig>> = {
  'half of the nearest zone ejected': { type: 'failover', failover: [] },
  'shares by locality': {
    type: 'distribute',
    distribute: [
      {
        from: '*',
        to: ['a', 'b', 'c'].map((zone, i) => ({ locality: `eu/${zone}`, weight: [50, 30, 20][i] as number })),
      },
    ],
  },
  'zone aware': { type: 'zone-aware', localService: 's', minClusterSize: 3, routingEnabled: 100 },
};

for (const size of [3, 5_000]) {
  for (const policy of ['least-request', 'round-robin', 'random', 'maglev', 'peak-ewma'] as const) {
    const plain = service(policy, new Array<number>(size).fill(1), 50, policy === 'maglev' ? HASHING : null);
    measure(`${policy}, ${size}`, plain);
  }
  const unequal = Array.from({ length: size }, (_, i) => 1 + (i % 3));
  for (const policy of ['least-request', 'round-robin'] as const)
    measure(`${policy}, unequal weights, ${size}`, service(policy, unequal, 50));
}
for (const [name, locality] of Object.entries(LOCALITIES)) {
  const made = service('least-request', new Array<number>(30).fill(1), 50);
  const endpoints = made.endpoints.map((endpoint, i) => ({
    ...endpoint,
    locality: { ...NODE, zone: ['a', 'b', 'c'][i % 3] as string },
  }));
  measure(`${name}, 30`, { ...made, endpoints, loadBalancer: { ...made.loadBalancer, locality } });
}

function measure(name: string, made: ServiceConfig): void {
  const size = made.endpoints.length;
  const ledger = createLedger({ workers: 1, maxServices: 1, maxEndpoints: size });
  ledger.workerStarting(0, 0);
  const slot = ledger.allocateService('s');
  const endpoints = made.endpoints.map((endpoint, i) => ({
    ...endpoint,
    slot: ledger.endpoints.allocate(slot, `${i}`),
  }));
  if (name.startsWith('half'))
    for (const i of [0, 3, 6, 9, 12]) ledger.endpoints.setHealth(endpoints[i]?.slot as number, false);
  const config = { ...made, slot, endpoints };
  const picker = compilePicker(config, { locality: NODE, service: () => config });
  const { endpoints: table } = attachLedger(ledger.buffers, 0);
  const state = new PickState(table, seeded(7));
  let bestNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const startNs = process.hrtime.bigint();
    // One millisecond passes for every 50 picks.
    for (let i = 0; i < PICKS; i++)
      if (picker.pick(state, i / 50, []) < 0) throw new Error('every pick finds an endpoint');
    bestNs = Math.min(bestNs, Number(process.hrtime.bigint() - startNs) / PICKS);
  }
  process.stdout.write(`${name}: ${bestNs.toFixed(0)} ns\n`);
}
