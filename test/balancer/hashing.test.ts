/** Consistent hashing: who keeps a key, how even the shares are, what moves when an endpoint goes, and the bound on load. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConsistentHashConfig } from '../../src/config/index.ts';
import { compilePicker, type Picker, PickState } from '../../src/dataplane/balancer/index.ts';
import { AVAILABLE } from '../../src/ledger/index.ts';
import { seeded } from '../router/seeded.ts';
import { chiSquare, FakeView, service } from './kit.ts';

const KEYS = 20_000;
const POLICIES = ['ring-hash', 'maglev'] as const;

type Policy = (typeof POLICIES)[number];

function picker(
  policy: Policy,
  weights: readonly number[],
  changes: Partial<ConsistentHashConfig> = {},
): Picker {
  const config: ConsistentHashConfig = {
    key: { type: 'header', name: 'x-key' },
    minimumRingSize: 1_024,
    maximumRingSize: 65_536,
    tableSize: 65_537,
    hashBalanceFactor: 0,
    ...changes,
  };
  return compilePicker(service(policy, weights, 0, config));
}

const equal = (count: number): number[] => new Array<number>(count).fill(1);
const stateOf = (view: FakeView): PickState => new PickState(view, seeded(1));

function pick(from: Picker, state: PickState, key: string | null, tried: readonly number[] = []): number {
  state.hashBy(key);
  return from.pick(state, 0, tried);
}

/** The endpoint of every key. */
const owners = (from: Picker, state: PickState): number[] =>
  Array.from({ length: KEYS }, (_, i) => pick(from, state, `key-${i}`));

const moved = (before: readonly number[], after: readonly number[]): number[] =>
  before.filter((owner, i) => owner !== after[i]);

function counted(all: readonly number[], size: number): number[] {
  const counts = new Array<number>(size).fill(0);
  for (const index of all) counts[index] = (counts[index] as number) + 1;
  return counts;
}

for (const policy of POLICIES) {
  describe(policy, () => {
    test('a key has an endpoint, and a request without one goes anywhere', () => {
      const state = stateOf(new FakeView(5));
      const made = picker(policy, equal(5));
      assert.deepEqual(owners(made, state), owners(picker(policy, equal(5)), state));
      const anywhere = new Set(Array.from({ length: 200 }, () => pick(made, state, null)));
      assert.equal(anywhere.size, 5);
    });

    test('when an endpoint is ejected its keys are shared out, no other moves, and they come back with it', () => {
      const view = new FakeView(10);
      const state = stateOf(view);
      const made = picker(policy, equal(10));
      const before = owners(made, state);
      view.available[3] = AVAILABLE.no;
      const during = owners(made, state);
      assert.deepEqual(new Set(moved(before, during)), new Set([3]));
      assert.ok(!during.includes(3));
      // Not all to one neighbour.
      const heirs = new Set(during.filter((_, i) => before[i] === 3));
      assert.ok(heirs.size >= 7, `${[...heirs]}`);
      view.available[3] = AVAILABLE.yes;
      assert.deepEqual(owners(made, state), before);
    });

    test('a retry goes to another endpoint, the same for the same key', () => {
      const state = stateOf(new FakeView(4));
      const made = picker(policy, equal(4));
      for (let i = 0; i < 100; i++) {
        const first = pick(made, state, `key-${i}`);
        const second = pick(made, state, `key-${i}`, [first]);
        assert.notEqual(second, first);
        assert.equal(pick(made, state, `key-${i}`, [first]), second);
        assert.ok(![first, second].includes(pick(made, state, `key-${i}`, [first, second])));
        // All tried: rather one of them than none.
        assert.ok(pick(made, state, `key-${i}`, [0, 1, 2, 3]) >= 0);
      }
    });

    test('weights are respected, and 0 takes nothing', () => {
      const weights = [1, 2, 3, 0, 10];
      const state = stateOf(new FakeView(5));
      // Many points, so that what differs is the keys' own randomness.
      const counts = counted(owners(picker(policy, weights, { minimumRingSize: 65_536 }), state), 5);
      assert.equal(counts[3], 0);
      counts.forEach((count, i) => {
        const share = (weights[i] as number) / 16;
        assert.ok(Math.abs(count / KEYS - share) < 0.02, `${counts}`);
      });
    });

    test('nobody may be used', () => {
      const view = new FakeView(3);
      view.available.fill(AVAILABLE.no);
      assert.equal(pick(picker(policy, equal(3)), stateOf(view), 'key'), -1);
      assert.equal(pick(picker(policy, []), stateOf(view), 'key'), -1);
    });

    test('a bound on load is never passed, and a key stays where it is below it', () => {
      const view = new FakeView(5);
      const state = stateOf(view);
      const free = picker(policy, equal(5));
      const bounded = picker(policy, equal(5), { hashBalanceFactor: 125 });
      const home = pick(free, state, 'hot');
      for (let inFlight = 0; inFlight < 500; inFlight++) {
        const chosen = pick(bounded, state, 'hot');
        const bound = Math.max(1, Math.ceil(((inFlight + 1) * 1.25) / 5));
        const { load } = view;
        assert.equal(chosen === home, (load[home] as number) < bound);
        load[chosen] = (load[chosen] as number) + 1;
        assert.ok((load[chosen] as number) <= bound, `${load} of ${inFlight + 1} with a bound of ${bound}`);
      }
    });
  });
}

test('ring-hash: shares differ as theory has it, by one over the root of the points', (t) => {
  const state = stateOf(new FakeView(100));
  const points = 100;
  const counts = counted(
    owners(picker('ring-hash', equal(100), { minimumRingSize: 100 * points }), state),
    100,
  );
  const mean = KEYS / 100;
  const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / 100;
  // Arcs of a random ring, and the draw of the keys itself.
  const expected = Math.sqrt(1 / points + 1 / mean);
  const measured = Math.sqrt(variance) / mean;
  t.diagnostic(`deviation ${(100 * measured).toFixed(1)} %, theory ${(100 * expected).toFixed(1)} %`);
  assert.ok(Math.abs(measured - expected) < 0.25 * expected);
});

test('maglev: shares are even', () => {
  const state = stateOf(new FakeView(100));
  const counts = counted(owners(picker('maglev', equal(100)), state), 100);
  // Chi-square with 99 degrees of freedom: 1e-6 beyond 177.
  assert.ok(chiSquare(counts, equal(100)) < 177);
});

test('an endpoint that leaves the list: how many keys move', (t) => {
  const figures: Record<string, number> = {};
  for (const policy of POLICIES) {
    const state = stateOf(new FakeView(10));
    const before = owners(picker(policy, equal(10)), state);
    // The last one, so that the others keep their indexes.
    const after = owners(picker(policy, equal(9)), state);
    const needless = moved(before, after).filter((owner) => owner !== 9).length / KEYS;
    figures[policy] = needless;
    t.diagnostic(`${policy}: ${(100 * needless).toFixed(1)} % of all keys move that need not`);
  }
  // The ring gets 114 points for each of nine, where ten had 103: 11 of 114 places are new.
  assert.ok((figures['ring-hash'] as number) < 0.13);
  // Eisenbud et al., figure 6: with tables a hundred times the endpoints few others move.
  assert.ok((figures.maglev as number) < 0.13);
});
