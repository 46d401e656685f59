/**
 * What picking an endpoint costs, by policy, among 3 and among 5,000 endpoints, with the node's ledger behind it. The
 * best of several rounds, as the machine is shared. `node bench/micro/pick.ts`
 */
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { attachLedger, createLedger } from '../../src/ledger/index.ts';
import { service } from '../../test/balancer/kit.ts';
import { seeded } from '../../test/router/seeded.ts';

const PICKS = 500_000;
const ROUNDS = 9;
const HASHING = {
  key: { type: 'header', name: 'x-key' },
  minimumRingSize: 1_024,
  maximumRingSize: 65_536,
  tableSize: 65_537,
  hashBalanceFactor: 0,
} as const;

const CASES = [
  ['least-request', 'equal'],
  ['least-request', 'unequal'],
  ['round-robin', 'equal'],
  ['round-robin', 'unequal'],
  ['random', 'unequal'],
  ['maglev', 'equal'],
] as const;

for (const size of [3, 5_000]) {
  for (const [policy, weights] of CASES) {
    const ledger = createLedger({ workers: 1, maxServices: 1, maxEndpoints: size });
    ledger.workerStarting(0, 0);
    const slot = ledger.allocateService('s');
    const list = Array.from({ length: size }, (_, i) => (weights === 'equal' ? 1 : 1 + (i % 3)));
    const made = service(policy, list, 50, policy === 'maglev' ? HASHING : null);
    const endpoints = made.endpoints.map((endpoint, i) => ({
      ...endpoint,
      slot: ledger.endpoints.allocate(slot, `${i}`),
    }));
    const picker = compilePicker({ ...made, slot, endpoints });
    const { endpoints: table } = attachLedger(ledger.buffers, 0);
    const state = new PickState(table, seeded(7));
    let bestNs = Number.POSITIVE_INFINITY;
    let picked = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const startNs = process.hrtime.bigint();
      for (let i = 0; i < PICKS; i++) {
        // One millisecond passes for every 50 picks.
        if (picker.pick(state, i / 50, []) >= 0) picked++;
      }
      bestNs = Math.min(bestNs, Number(process.hrtime.bigint() - startNs) / PICKS);
    }
    if (picked !== ROUNDS * PICKS) throw new Error('every pick finds an endpoint');
    process.stdout.write(`${policy}, ${weights} weights, ${size}: ${bestNs.toFixed(0)} ns\n`);
  }
}
