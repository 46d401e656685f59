import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { attachLedger, createLedger, FAILED, isProbe, OUTLIER } from '../../src/ledger/index.ts';
import { OUTLIER_POLICY } from '../ledger/kit.ts';
import { seeded } from '../router/seeded.ts';
import { service } from './kit.ts';

const POLICY = {
  ...OUTLIER_POLICY,
  consecutive5xxErrors: 2,
  consecutiveGatewayErrors: 0,
  consecutiveLocalOriginFailures: 0,
  baseEjectionMs: 1_000,
  maxEjectionMs: 1_000,
};

test('picks from a real ledger: an ejected endpoint is left out, returns by one probe, and load is compared', () => {
  const ledger = createLedger({ workers: 1, maxServices: 1, maxEndpoints: 4 });
  ledger.workerStarting(0, 0);
  const slot = ledger.allocateService('s');
  const made = service('least-request', [1, 1, 1]);
  const endpoints = made.endpoints.map((endpoint, i) => ({
    ...endpoint,
    slot: ledger.endpoints.allocate(slot, `${i}`),
  }));
  const picker = compilePicker({ ...made, slot, endpoints });
  const { endpoints: table } = attachLedger(ledger.buffers, 0);
  const state = new PickState(table, seeded(7));
  const bad = endpoints[1]?.slot as number;
  const picked = (nowMs: number, times: number) => {
    const tickets = new Map<number, number[]>();
    for (let i = 0; i < times; i++) {
      const index = picker.pick(state, nowMs, []);
      tickets.set(index, [...(tickets.get(index) ?? []), state.ticket]);
    }
    return tickets;
  };

  const before = picked(0, 90);
  assert.deepEqual([...before.keys()].sort(), [0, 1, 2]);
  const [first, second] = before.get(1) as [number, number];
  assert.equal(table.reportFailure(bad, first, FAILED.serverError, 0, 3, POLICY), OUTLIER.counted);
  assert.equal(table.reportFailure(bad, second, FAILED.serverError, 0, 3, POLICY), OUTLIER.ejected);

  assert.deepEqual([...picked(500, 90).keys()].sort(), [0, 2]);
  const probes = picked(1_001, 90).get(1) as number[];
  assert.deepEqual(probes.map(isProbe), [true]);
  table.reportSuccess(bad, probes[0] as number, 1_001);

  for (const index of [0, 2]) assert.ok(table.acquire(endpoints[index]?.slot as number, 10));
  const loaded = picked(1_002, 90);
  assert.ok((loaded.get(1)?.length ?? 0) > 45, 'the idle endpoint wins whenever it is drawn');
});
