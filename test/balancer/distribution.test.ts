/** Seeded, so that a bound which theory exceeds once in a million runs is exceeded never or always. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { AVAILABLE } from '../../src/ledger/index.ts';
import { seeded } from '../router/seeded.ts';
import { chiSquare, FakeView, picks, service } from './kit.ts';

const SEED = 20_260_401;
const PICKS = 60_000;

/** Beyond this a chi-square value with `n` cells has probability about 1e-6 (Wilson–Hilferty, z = 4.75). */
function chiSquareBound(n: number): number {
  const freedom = n - 1;
  return freedom * (1 - 2 / (9 * freedom) + 4.75 * Math.sqrt(2 / (9 * freedom))) ** 3;
}

const EQUAL = [1, 1, 1, 1, 1, 1, 1];
const UNEQUAL = [1, 2, 3, 10, 0, 1];

for (const [policy, weights] of [
  ['random', EQUAL],
  ['random', UNEQUAL],
  ['least-request', EQUAL],
] as const) {
  test(`${policy} over ${weights} in proportion to the weights`, () => {
    const state = new PickState(new FakeView(weights.length), seeded(SEED));
    const counts = picks(compilePicker(service(policy, weights)), state, PICKS, weights.length);
    assert.ok(chiSquare(counts, weights) < chiSquareBound(weights.length), `${counts}`);
  });
}

test('random over 5,000 endpoints with weights', () => {
  const weights = Array.from({ length: 5_000 }, (_, i) => 1 + (i % 5));
  const state = new PickState(new FakeView(weights.length), seeded(SEED));
  const counts = picks(compilePicker(service('random', weights)), state, 500_000, weights.length);
  assert.ok(chiSquare(counts, weights) < chiSquareBound(weights.length));
});

test('round robin gives everyone a turn, from a random start', () => {
  const starts = new Set<number>();
  for (let seed = 1; seed <= 40; seed++) {
    const state = new PickState(new FakeView(5), seeded(seed));
    const picker = compilePicker(service('round-robin', [1, 1, 1, 1, 1]));
    const order = Array.from({ length: 10 }, () => picker.pick(state, 0, []));
    starts.add(order[0] as number);
    order.forEach((index, turn) => {
      assert.equal(index, ((order[0] as number) + turn) % 5);
    });
  }
  assert.equal(starts.size, 5);
});

test('weighted round robin is exact to one turn, and spreads the turns', () => {
  const weights = [5, 1, 1, 3];
  for (let seed = 1; seed <= 20; seed++) {
    const state = new PickState(new FakeView(4), seeded(seed));
    const picker = compilePicker(service('round-robin', weights));
    const counts = picks(picker, state, 10_000, 4);
    counts.forEach((count, i) => {
      assert.ok(Math.abs(count - 1_000 * (weights[i] as number)) <= 1, `seed ${seed}: ${counts}`);
    });
    const next = Array.from({ length: 40 }, () => picker.pick(state, 0, []));
    assert.ok(!next.join('').includes('000'), `the heavy endpoint three times in a row: ${next}`);
  }
});

test('a weighted schedule keeps its precision over many picks', () => {
  const state = new PickState(new FakeView(2), seeded(SEED));
  const picker = compilePicker(service('round-robin', [0.000_1, 0.000_2]));
  const counts = picks(picker, state, 3_000, 2);
  assert.ok(Math.abs((counts[1] as number) - 2_000) <= 1, `${counts}`);
});

test('least request takes the less loaded of the two it drew', () => {
  const view = new FakeView(10);
  view.load.fill(3);
  view.load[4] = 0;
  view.load[7] = 50;
  const counts = picks(
    compilePicker(service('least-request', new Array(10).fill(1))),
    new PickState(view, seeded(SEED)),
    PICKS,
    10,
  );
  // Of 45 pairs 9 hold the idle endpoint; the loaded one never wins; the others win the rest evenly.
  const shares = view.load.map((load) => (load === 0 ? 9 : load === 50 ? 0 : 36 / 8));
  assert.ok(chiSquare(counts, shares) < chiSquareBound(10), `${counts}`);
});

test('least request evens the load out where random leaves a tail', () => {
  const longest = (policy: 'least-request' | 'random') => {
    const view = new FakeView(100);
    const state = new PickState(view, seeded(SEED));
    const picker = compilePicker(service(policy, new Array(100).fill(1)));
    for (let i = 0; i < 10_000; i++) {
      const index = picker.pick(state, 0, []);
      view.load[index] = (view.load[index] as number) + 1;
    }
    return Math.max(...view.load) - 100;
  };
  // Theory: ln ln n / ln 2, about 2, above the mean for two choices; about sqrt(2 m ln n / n), 30, for one.
  assert.ok(longest('least-request') <= 6);
  assert.ok(longest('random') >= 15);
});

test('least request with weights: in proportion to weight / (active + 1)', () => {
  const weights = [1, 2, 4];
  const idle = new FakeView(3);
  const counts = picks(
    compilePicker(service('least-request', weights)),
    new PickState(idle, seeded(1)),
    7_000,
    3,
  );
  counts.forEach((count, i) => {
    assert.ok(Math.abs(count - 1_000 * (weights[i] as number)) <= 1, `${counts}`);
  });
  const busy = new FakeView(3);
  busy.load[2] = 3;
  const fewer = picks(
    compilePicker(service('least-request', weights)),
    new PickState(busy, seeded(1)),
    4_000,
    3,
  );
  [1_000, 2_000, 1_000].forEach((expected, i) => {
    assert.ok(Math.abs((fewer[i] as number) - expected) <= 1, `${fewer}`);
  });
});

for (const policy of ['least-request', 'round-robin', 'random'] as const) {
  test(`${policy}: the few usable among many ejected endpoints share evenly`, () => {
    const size = 1_000;
    const view = new FakeView(size);
    view.available.fill(AVAILABLE.no);
    const usable = [3, 4, 500, 999];
    for (const index of usable) view.available[index] = AVAILABLE.yes;
    const state = new PickState(view, seeded(SEED));
    const counts = picks(compilePicker(service(policy, new Array(size).fill(1))), state, 4_000, size);
    const shared = usable.map((index) => counts[index] as number);
    assert.equal(
      shared.reduce((sum, count) => sum + count, 0),
      4_000,
    );
    assert.ok(chiSquare(shared, [1, 1, 1, 1]) < chiSquareBound(4), `${shared}`);
  });
}
