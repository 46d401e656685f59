// What hedging may cost: a part of the requests, exact over threads, and little of it saved up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachLedger } from '../../src/ledger/index.ts';
import { Agent, CELL, go, makeControl, makeLedger } from './kit.ts';

test('four threads spend what they have earned, and nothing more', async () => {
  const ledger = makeLedger(4);
  const control = makeControl();
  const service = ledger.allocateService('cart');
  const data = { job: 'hedge', service, limit: 5, rounds: 20_000 };
  const agents = [0, 1, 2, 3].map((worker) => new Agent(ledger, control, { ...data, worker }));
  await go(control, 4);
  await Promise.all(agents.map(({ ended }) => ended));
  const { hedges } = attachLedger(ledger.buffers, 0);
  let spent = control.subarray(CELL.tally, CELL.tally + 4).reduce((sum, tally) => sum + tally, 0);
  while (hedges.spend(service)) spent++;
  assert.equal(spent, (4 * 20_000 * 5) / 100);
});

test('ten can be saved up', () => {
  const { hedges } = attachLedger(makeLedger(1).buffers, 0);
  for (let request = 0; request < 10_000; request++) hedges.earn(0, 5);
  let spent = 0;
  while (hedges.spend(0)) spent++;
  assert.equal(spent, 10);
});

test('0 % earns nothing, 100 % one for each request', () => {
  const { hedges } = attachLedger(makeLedger(1).buffers, 0);
  hedges.earn(0, 0);
  assert.equal(hedges.spend(0), false);
  hedges.earn(0, 100);
  assert.deepEqual([hedges.spend(0), hedges.spend(0)], [true, false]);
});
