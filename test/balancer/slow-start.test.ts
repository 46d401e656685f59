/** Slow start: the weight by Envoy's formula, and what of the requests a new endpoint gets by it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServiceConfig, SlowStartConfig } from '../../src/config/index.ts';
import { compilePicker, PickState } from '../../src/dataplane/balancer/index.ts';
import { slowStartFactor } from '../../src/dataplane/balancer/slow-start.ts';
import { seeded } from '../router/seeded.ts';
import { FakeView, picks, service } from './kit.ts';
import { share } from './spread.ts';

const SEED = 20_260_404;
const WINDOW: SlowStartConfig = { windowMs: 60_000, aggression: 1, minWeightPercent: 10 };

// Envoy's formula by hand: max(10 %, (seconds / 60) ^ (1 / aggression)).
for (const [aggression, seconds, factor] of [
  [1, 0, 0.1],
  [1, 3, 0.1],
  [1, 6, 0.1],
  [1, 15, 0.25],
  [1, 30, 0.5],
  [1, 59, 0.983_333],
  [1, 60, 1],
  [1, 600, 1],
  [2, 15, 0.5],
  [2, 30, Math.SQRT1_2],
  [0.5, 30, 0.25],
  [0.5, 15, 0.1],
] as const)
  test(`aggression ${aggression}, after ${seconds} s: ${factor} of the weight`, () => {
    const found = slowStartFactor({ ...WINDOW, aggression }, seconds * 1_000);
    assert.ok(Math.abs(found - factor) < 1e-6, `${found}`);
  });

test('the least weight is what is stated', () => {
  assert.equal(slowStartFactor({ ...WINDOW, minWeightPercent: 0 }, 0), 1 / 60_000);
  assert.equal(slowStartFactor({ ...WINDOW, minWeightPercent: 50 }, 6_000), 0.5);
});

function warming(
  policy: ServiceConfig['loadBalancer']['policy'],
  weights: readonly number[],
  slowStart = WINDOW,
): ServiceConfig {
  const made = service(policy, weights);
  return { ...made, loadBalancer: { ...made.loadBalancer, slowStart } };
}

for (const policy of ['round-robin', 'least-request'] as const) {
  describe(policy, () => {
    for (const aggression of [1, 2]) {
      test(`aggression ${aggression}: a new endpoint's share follows the curve`, (t) => {
        const view = new FakeView(4);
        const state = new PickState(view, seeded(SEED));
        const picker = compilePicker(warming(policy, [1, 1, 1, 1], { ...WINDOW, aggression }));
        const said: string[] = [];
        // Every half second 1,000 requests, from 0 to 70 s; the last share of each 10 s is looked at.
        for (let second = 0.5; second <= 70; second += 0.5) {
          view.inUseMs[3] = second * 1_000;
          const counts = new Array<number>(4).fill(0);
          for (let i = 0; i < 1_000; i++) {
            const index = picker.pick(state, second * 1_000, []);
            counts[index] = (counts[index] as number) + 1;
          }
          const factor = slowStartFactor({ ...WINDOW, aggression }, second * 1_000);
          const theory = (1_000 * factor) / (3 + factor);
          // A schedule is exact to a turn, and the turn before had the weight of then; two random choices are not.
          if (second >= 60 && policy === 'least-request') share(counts[3] as number, 1_000, 0.25);
          else
            assert.ok(
              Math.abs((counts[3] as number) - theory) <= 3,
              `${second} s: ${counts}, theory ${theory}`,
            );
          if (second % 10 === 0) said.push(`${second} s ${counts[3]} of ${theory.toFixed(0)}`);
        }
        t.diagnostic(said.join(', '));
      });
    }

    test('weights are diminished by the same part', () => {
      const view = new FakeView(3);
      view.inUseMs[2] = 30_000;
      const counts = picks(
        compilePicker(warming(policy, [1, 2, 4])),
        new PickState(view, seeded(SEED)),
        5_000,
        3,
      );
      [1_000, 2_000, 2_000].forEach((expected, i) => {
        assert.ok(Math.abs((counts[i] as number) - expected) <= 2, `${counts}`);
      });
    });

    test('all are new: all get the same', () => {
      const view = new FakeView(4);
      view.inUseMs.fill(1_000);
      const counts = picks(
        compilePicker(warming(policy, [1, 1, 1, 1])),
        new PickState(view, seeded(SEED)),
        4_000,
        4,
      );
      for (const count of counts) assert.ok(Math.abs(count - 1_000) <= 2, `${counts}`);
    });
  });
}

test('round robin is round robin again when the window is over', () => {
  const view = new FakeView(3);
  const state = new PickState(view, seeded(SEED));
  const picker = compilePicker(warming('round-robin', [1, 1, 1]));
  view.inUseMs[0] = 59_000;
  for (let i = 0; i < 30; i++) picker.pick(state, 59_000, []);
  view.inUseMs[0] = 61_000;
  const order = Array.from({ length: 9 }, () => picker.pick(state, 61_000, []));
  order.forEach((index, turn) => {
    assert.equal(index, ((order[0] as number) + turn) % 3, `${order}`);
  });
});
