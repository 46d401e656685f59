import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceConfig } from '../../src/config/index.ts';
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { AVAILABLE, NOT_ADMITTED } from '../../src/ledger/index.ts';
import { below, freshSeed, seeded } from '../router/seeded.ts';
import { FakeView, picks, service } from './kit.ts';

const POLICIES = ['least-request', 'round-robin', 'random'] as const;
const WEIGHTS: readonly (readonly number[])[] = [
  [1, 1, 1],
  [1, 2, 3],
];

/** Every policy with equal and with unequal weights. */
function everyPicker(about: string, check: (make: (panicThreshold?: number) => ServiceConfig) => void): void {
  for (const policy of POLICIES) {
    for (const weights of WEIGHTS) {
      test(`${about}: ${policy} ${weights}`, () => {
        check((panicThreshold = 0) => service(policy, weights, panicThreshold));
      });
    }
  }
}

everyPicker('no endpoints, none with a weight, or none available', (make) => {
  const state = new PickState(new FakeView(3), seeded(1));
  assert.equal(compilePicker({ ...make(), endpoints: [] }).pick(state, 0, []), -1);
  const unweighted = {
    ...make(),
    endpoints: make().endpoints.map((endpoint) => ({ ...endpoint, weight: 0 })),
  };
  assert.equal(compilePicker(unweighted).size, 0);
  assert.equal(compilePicker(unweighted).pick(state, 0, []), -1);
  const view = new FakeView(3);
  view.available.fill(AVAILABLE.no);
  const none = new PickState(view, seeded(1));
  assert.equal(compilePicker(make()).pick(none, 0, []), -1);
  assert.equal(none.ticket, NOT_ADMITTED);
  assert.equal(view.admissions, 0);
});

everyPicker('an ejected endpoint gets nothing', (make) => {
  const view = new FakeView(3);
  view.available[1] = AVAILABLE.no;
  const counts = picks(compilePicker(make()), new PickState(view, seeded(1)), 300, 3);
  assert.equal(counts[1], 0);
  assert.equal((counts[0] as number) + (counts[2] as number), 300);
  assert.ok((counts[0] as number) > 20 && (counts[2] as number) > 20);
});

everyPicker('one request is the probe, and no ticket is taken in vain', (make) => {
  const view = new FakeView(3);
  view.available[1] = AVAILABLE.probe;
  const state = new PickState(view, seeded(1));
  const picker = compilePicker(make());
  const tickets: number[] = [];
  for (let i = 0; i < 100; i++) {
    const index = picker.pick(state, 0, []);
    if (index === 1) tickets.push(state.ticket);
  }
  assert.deepEqual(tickets, [3]);
  assert.equal(view.admissions, 100);
});

everyPicker('an endpoint that was tried is avoided while another may be used', (make) => {
  const view = new FakeView(3);
  const state = new PickState(view, seeded(1));
  const picker = compilePicker(make());
  assert.deepEqual(picks(picker, state, 100, 3, [0, 2]), [0, 100, 0]);
  view.available[1] = AVAILABLE.no;
  const counts = picks(picker, state, 100, 3, [0, 2]);
  assert.equal(counts[1], 0);
  assert.equal((counts[0] as number) + (counts[2] as number), 100);
});

everyPicker('a retry is a probe only when nothing else is untried', (make) => {
  const view = new FakeView(3);
  view.available[1] = AVAILABLE.probe;
  const state = new PickState(view, seeded(1));
  const picker = compilePicker(make());
  assert.deepEqual(picks(picker, state, 20, 3, [0]), [0, 0, 20]);
  assert.equal(picker.pick(state, 0, [0, 2]), 1);
  assert.equal(state.ticket, 3);
});

everyPicker('panic: below the threshold health is ignored, and nobody becomes a probe', (make) => {
  const view = new FakeView(3);
  view.available[1] = AVAILABLE.no;
  view.available[2] = AVAILABLE.probe;
  const state = new PickState(view, seeded(1));
  const counts = picks(compilePicker(make(50)), state, 300, 3);
  assert.ok(
    counts.every((count) => count > 20),
    `${counts}`,
  );
  assert.equal(state.panic, true);
  assert.equal(state.ticket, 4);
  assert.equal(view.admissions, 0);
  assert.equal(view.panicAdmissions, 300);
  assert.deepEqual(picks(compilePicker(make(50)), state, 50, 3, [0, 2]), [0, 50, 0]);
});

everyPicker('no panic at the threshold, nor without one', (make) => {
  const view = new FakeView(3);
  view.available[1] = AVAILABLE.no;
  for (const threshold of [0, 50, 66]) {
    const state = new PickState(view, seeded(1));
    assert.equal(picks(compilePicker(make(threshold)), state, 50, 3)[1], 0);
    assert.equal(state.panic, false);
  }
  const state = new PickState(view, seeded(1));
  compilePicker(make(67)).pick(state, 0, []);
  assert.equal(state.panic, true);
});

test('panic is looked at again after a tenth of a second, and at once for a new picker or when nobody may be used', () => {
  const view = new FakeView(3);
  const state = new PickState(view, seeded(1));
  const picker = compilePicker(service('random', [1, 1, 1], 50));
  const panicAt = (nowMs: number) => {
    picker.pick(state, nowMs, []);
    return state.panic;
  };
  assert.equal(panicAt(1_000), false);
  view.available.fill(AVAILABLE.no, 0, 2);
  assert.equal(panicAt(1_050), false);
  assert.equal(panicAt(1_100), true);
  view.available.fill(AVAILABLE.yes);
  assert.equal(panicAt(1_150), true);
  assert.equal(panicAt(1_200), false);
  view.available.fill(AVAILABLE.no);
  assert.equal(panicAt(1_250), true);
  view.available.fill(AVAILABLE.yes);
  compilePicker(service('random', [1, 1, 1], 50)).pick(state, 1_260, []);
  assert.equal(state.panic, false);
});

test('a state goes from picker to picker, larger or smaller', () => {
  const seed = freshSeed();
  const random = seeded(seed);
  const view = new FakeView(50);
  const state = new PickState(view, random);
  for (let round = 0; round < 500; round++) {
    const size = 1 + below(random, 50);
    const weights = Array.from({ length: size }, () => (round % 2 === 0 ? 1 : below(random, 4)));
    for (let i = 0; i < 50; i++) view.available[i] = below(random, 3) as 0 | 1 | 2;
    const usable = weights.some((weight, i) => weight > 0 && view.available[i] !== AVAILABLE.no);
    const picker = compilePicker(service(POLICIES[round % 3] as (typeof POLICIES)[number], weights));
    const index = picker.pick(state, round, [below(random, size)]);
    const said = `OUTBOARD_SEED=${seed}, round ${round}`;
    assert.equal(index >= 0, usable, said);
    if (index >= 0) assert.ok(index < size && (weights[index] as number) > 0, said);
  }
});
