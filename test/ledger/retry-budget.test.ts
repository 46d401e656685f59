// Retry budgets: a share of recent requests with a floor for little traffic, exact over threads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachLedger, type RetryBudgetPolicy } from '../../src/ledger/index.ts';
import { Agent, CELL, go, makeControl, makeLedger, reached, seeded, set } from './kit.ts';

const POLICY: RetryBudgetPolicy = { percent: 20, intervalMs: 10_000, minCount: 10, minIntervalMs: 1_000 };

/** The most events of a sorted list of moments that fall into any `windowMs`. */
function busiest(momentsMs: readonly number[], windowMs: number): number {
  let most = 0;
  let first = 0;
  momentsMs.forEach((moment, index) => {
    while (moment - momentsMs[first] >= windowMs) first++;
    most = Math.max(most, index - first + 1);
  });
  return most;
}

test('500 failing requests a second make at most 610 attempts in any second, also from cold start', () => {
  const { budgets } = attachLedger(makeLedger(1).buffers, 0);
  const attempts: number[] = [];
  for (let nowMs = 0; nowMs < 60_000; nowMs += 2) {
    budgets.recordRequest(0, nowMs, POLICY);
    attempts.push(nowMs);
    while (budgets.tryRetry(0, nowMs, POLICY)) attempts.push(nowMs); // every attempt fails and asks again
  }
  assert.ok(busiest(attempts, 1_000) <= 610, `${busiest(attempts, 1_000)} attempts in the busiest second`);
  assert.ok(attempts.length >= 60 * 590, `${attempts.length} attempts in a minute: the budget is also used`);
});

test('four threads that ask at once never get more than one budget', async () => {
  const ledger = makeLedger(5);
  const control = makeControl();
  const service = ledger.allocateService('cart');
  const data = { job: 'retry', service, limit: 4 };
  const agents = [0, 1, 2, 3].map((worker) => new Agent(ledger, control, { ...data, worker }));
  await go(control, 4);
  const retries: number[] = [];
  const steps = 1_500;
  for (let step = 1; step <= steps; step++) {
    const nowMs = 8 * step; // four requests every 8 ms: 500 a second
    set(control, CELL.clock, nowMs);
    await reached(control, CELL.done, 4 * step);
    const allowed = control.subarray(CELL.tally, CELL.tally + 4).reduce((sum, tally) => sum + tally, 0);
    while (retries.length < allowed) retries.push(nowMs);
    const { requests, retries: counted } = ledger.readBudget(service, nowMs, POLICY);
    assert.ok(
      counted <= Math.max(0.2 * requests, POLICY.minCount),
      `${counted} retries of ${requests} requests`,
    );
  }
  set(control, CELL.clock, -1);
  await Promise.all(agents.map(({ ended }) => ended));
  assert.ok(busiest(retries, 1_000) <= 110, `${busiest(retries, 1_000)} retries in the busiest second`);
  assert.ok(retries.length >= 12 * 90, `${retries.length} retries in 12 s`);
});

test('the floor allows exactly its count in any interval, whatever the traffic', () => {
  const seed = (Math.random() * 2 ** 31) | 0;
  const random = seeded(seed);
  const { budgets } = attachLedger(makeLedger(1).buffers, 0);
  const retries: number[] = [];
  for (let nowMs = 5e9; retries.length < 2_000; nowMs += random() * 40) {
    if (budgets.tryRetry(0, nowMs, { ...POLICY, percent: 0 })) retries.push(nowMs);
  }
  assert.equal(busiest(retries, 1_000), 10, `seed ${seed}`);
});

test('a refused retry is counted and does not use the budget', () => {
  const ledger = makeLedger(1);
  const { budgets } = attachLedger(ledger.buffers, 0);
  const policy = { ...POLICY, minCount: 0 };
  for (let request = 0; request < 10; request++) budgets.recordRequest(0, 100, policy);
  const answers = Array.from({ length: 5 }, () => budgets.tryRetry(0, 100, policy));
  assert.deepEqual(answers, [true, true, false, false, false]);
  const reading = { requests: 10, retries: 2, recentRetries: 2, exhausted: 3 };
  assert.deepEqual(budgets.read(0, 100, policy), reading);
  assert.deepEqual(ledger.readBudget(0, 100, policy), reading);
});

test('requests and retries slide out of the window', () => {
  const { budgets } = attachLedger(makeLedger(1).buffers, 0);
  const policy = { ...POLICY, minCount: 0 };
  for (let request = 0; request < 10; request++) budgets.recordRequest(0, 0, policy);
  assert.equal(budgets.tryRetry(0, 0, policy), true);
  assert.equal(budgets.tryRetry(0, 9_999, policy), true);
  assert.equal(budgets.tryRetry(0, 10_700, policy), false, 'no request is recent');
});

test('the requests of all workers count, those of a worker that has ended included', () => {
  const ledger = makeLedger(3);
  const [first, second] = [0, 1].map((worker) => attachLedger(ledger.buffers, worker));
  const policy = { ...POLICY, minCount: 0 };
  for (let request = 0; request < 5; request++) first.budgets.recordRequest(0, 100, policy);
  ledger.giveBack(0, 100);
  assert.equal(second.budgets.tryRetry(0, 200, policy), true);
  assert.equal(second.budgets.tryRetry(0, 200, policy), false);
});

test('a budget that was idle for days starts anew, at any age of the clock', () => {
  for (const startMs of [0, 2 ** 31 - 500, 2 ** 32 - 500, 40 * 2 ** 32]) {
    const { budgets } = attachLedger(makeLedger(1).buffers, 0);
    for (let burst = 0; burst < 50; burst++) {
      const nowMs = startMs + burst * 7.3 * 86_400_000;
      for (let request = 0; request < 100; request++) budgets.recordRequest(0, nowMs, POLICY);
      let allowed = 0;
      while (budgets.tryRetry(0, nowMs + 900, POLICY)) allowed++;
      assert.equal(allowed, 20, `burst ${burst} from ${startMs}`);
    }
  }
});
