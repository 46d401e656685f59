/** Peak EWMA: of two random endpoints the one with the smaller latency times requests, by the node's ledger. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { attachLedger, createLedger } from '../../src/ledger/index.ts';
import { seeded } from '../router/seeded.ts';
import { chiSquare, FakeView, picks, service } from './kit.ts';

const SEED = 20_260_405;
const PICKS = 60_000;

test('the cheaper of two wins each time; alike they share evenly', () => {
  const even = picks(
    compilePicker(service('peak-ewma', [1, 1, 1, 1])),
    new PickState(new FakeView(4), seeded(SEED)),
    PICKS,
    4,
  );
  // Three degrees of freedom: 1e-6 beyond 30.7.
  assert.ok(chiSquare(even, [1, 1, 1, 1]) < 30.7, `${even}`);
  const view = new FakeView(4);
  // Costs: 10 · 2, 5 · 3, 30 · 1, 100 · 1.
  view.latency.splice(0, 4, 10, 5, 30, 100);
  view.load.splice(0, 4, 1, 2, 0, 0);
  const counts = picks(
    compilePicker(service('peak-ewma', [1, 1, 1, 1])),
    new PickState(view, seeded(SEED)),
    PICKS,
    4,
  );
  // Of six pairs the cheapest wins three, then two, one, none.
  assert.ok(chiSquare(counts, [2, 3, 1, 0]) < 30.7, `${counts}`);
});

test('a weight divides the cost', () => {
  const view = new FakeView(2);
  view.latency.splice(0, 2, 10, 15);
  const counts = picks(
    compilePicker(service('peak-ewma', [1, 2])),
    new PickState(view, seeded(SEED)),
    100,
    2,
  );
  assert.deepEqual(counts, [0, 100]);
});

test('one slow replica of five: far fewer requests than by requests in flight alone', (t) => {
  // A closed loop of 20 clients: each request ends after its endpoint's latency.
  const run = (policy: 'peak-ewma' | 'least-request'): number => {
    const size = 5;
    const ledger = createLedger({ workers: 1, maxServices: 1, maxEndpoints: size });
    ledger.workerStarting(0, 0);
    const slot = ledger.allocateService('s');
    const made = service(policy, new Array<number>(size).fill(1));
    const endpoints = made.endpoints.map((endpoint, i) => ({
      ...endpoint,
      slot: ledger.endpoints.allocate(slot, `${i}`),
    }));
    const { endpoints: table } = attachLedger(ledger.buffers, 0);
    const state = new PickState(table, seeded(SEED));
    const picker = compilePicker({ ...made, slot, endpoints });
    const takesMs = (index: number): number => (index === 0 ? 200 : 5);
    const clients = Array.from({ length: 20 }, () => ({ index: -1, sentMs: 0, doneMs: 0 }));
    let toSlow = 0;
    let all = 0;
    for (let nowMs = 0; nowMs < 20_000; nowMs++) {
      for (const client of clients) {
        if (client.doneMs > nowMs) continue;
        if (client.index >= 0) {
          const at = endpoints[client.index]?.slot as number;
          table.release(at);
          table.observeLatency(at, nowMs - client.sentMs, nowMs, 10_000);
        }
        client.index = picker.pick(state, nowMs, []);
        table.acquire(endpoints[client.index]?.slot as number, Number.POSITIVE_INFINITY);
        client.sentMs = nowMs;
        client.doneMs = nowMs + takesMs(client.index);
        all++;
        if (client.index === 0) toSlow++;
      }
    }
    return toSlow / all;
  };
  const ewma = run('peak-ewma');
  const least = run('least-request');
  t.diagnostic(
    `to the slow replica: peak-ewma ${(100 * ewma).toFixed(2)} %, least-request ${(100 * least).toFixed(2)} %`,
  );
  // It is drawn in two of five pairs, and wins only where the other has so many in flight that 5 ms are 200.
  assert.ok(ewma < least / 3, `${ewma} against ${least}`);
});
