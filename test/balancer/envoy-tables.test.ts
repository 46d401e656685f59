/** Load is shared as Envoy shares it: every worked example of its documentation, by the arithmetic and by picking. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { effectiveWeight } from '../../src/dataplane/balancer/loads.ts';
import { type HealthCount, priorityLoad } from '../../src/dataplane/balancer/priority-load.ts';
import { zoneRouting } from '../../src/dataplane/balancer/zone-routing.ts';
import {
  DEGRADED,
  type Health,
  LOCALITY_WEIGHTS,
  PANIC,
  PANIC_DISREGARDED,
  type PriorityRow,
  SCALED_DEGRADED,
  THREE_PRIORITIES,
  THREE_SCALED,
  TOTAL_PANIC,
  TWO_PRIORITIES,
  TWO_UNHEALTHY,
  ZONES,
} from './envoy-tables.ts';
import { share, spread } from './spread.ts';

const FACTOR = 140;
const PICKS = 20_000;

const counts = (health: readonly Health[]): HealthCount[] =>
  health.map(([healthy, degraded]) => ({ total: 100, healthy, degraded }));

function holds(row: PriorityRow, panicThreshold: number): void {
  const found = priorityLoad(counts(row.health), FACTOR, panicThreshold);
  assert.deepEqual(found.healthy, row.load);
  assert.deepEqual(found.degraded, row.degradedLoad ?? row.load.map(() => 0));
  if (row.panic) assert.deepEqual(found.panic, row.panic);
  if (row.normalizedTotal) assert.equal(found.availability, row.normalizedTotal);
  // Where the documentation rounds otherwise, by one percent.
  row.documented?.forEach((load, i) => {
    assert.ok(Math.abs(load - (row.load[i] as number)) <= 1);
  });
}

/** 100 endpoints of each priority, of which so many are well, asked 20,000 times. */
function isPicked(row: PriorityRow, panicThreshold: number): void {
  const found = spread({ priorities: row.health, panicThreshold, picks: PICKS });
  row.load.forEach((load, priority) => {
    const degraded = row.degradedLoad?.[priority] ?? 0;
    share(found.healthy(priority), PICKS, load / 100);
    share(found.degraded(priority), PICKS, degraded / 100);
  });
}

const TABLES = [
  ['two priorities, the second healthy', TWO_PRIORITIES, 0],
  ['two priorities', TWO_UNHEALTHY, 0],
  ['three priorities', THREE_PRIORITIES, 0],
  ['three priorities that are not enough', [THREE_SCALED], 0],
  ['panic disregarded, as the second priority is healthy', PANIC_DISREGARDED, 50],
  ['degraded endpoints', DEGRADED, 0],
] as const;

for (const [name, rows, threshold] of TABLES) {
  describe(name, () => {
    for (const row of rows) {
      test(`health ${row.health.join(' ')} → load ${row.load.join(' ')}`, () => {
        holds(row, threshold);
        isPicked(row, threshold);
      });
    }
  });
}

describe('panic, both priorities unhealthy', () => {
  for (const row of PANIC) {
    test(`health ${row.health.join(' ')} → load ${row.load.join(' ')}, panic ${row.panic?.join(' ')}`, () => {
      holds(row, 50);
      const found = spread({ priorities: row.health, panicThreshold: 50, picks: PICKS });
      row.load.forEach((load, priority) => {
        share(found.of(priority), PICKS, load / 100);
        const [healthy] = row.health[priority] as Health;
        // In panic whatever the health; else to nobody unhealthy.
        const expected = row.panic?.[priority] === true ? (load / 100) * (1 - healthy / 100) : 0;
        share(found.unhealthy(priority), PICKS, expected);
      });
    });
  }
});

test('what endpoints of three priorities can bear, healthy and degraded, scaled up', () => {
  const { factor, health, load, degradedLoad } = SCALED_DEGRADED;
  const found = priorityLoad(counts(health), factor, 0);
  assert.deepEqual(found.healthy, load);
  assert.deepEqual(found.degraded, degradedLoad);
});

for (const { sizes, load } of TOTAL_PANIC) {
  test(`everybody in panic: sizes ${sizes.join(' ')} → load ${load.join(' ')}`, () => {
    const nobody = sizes.map((total) => ({ total, healthy: 0, degraded: 0 }));
    assert.deepEqual(priorityLoad(nobody, FACTOR, 50).healthy, load);
  });
}

test('without panic nobody is asked when nobody is healthy; with it the first priority without endpoints gets nothing', () => {
  const found = spread({
    priorities: [
      [0, 0],
      [0, 0],
    ],
    panicThreshold: 0,
    picks: 100,
  });
  assert.equal(found.of(0) + found.of(1), 0);
  const empty = { total: 0, healthy: 0, degraded: 0 };
  assert.deepEqual(
    priorityLoad([empty, { total: 3, healthy: 0, degraded: 0 }], FACTOR, 50).healthy,
    [0, 100],
  );
});

describe('localities of weights 1 and 2, the second healthy', () => {
  for (const { healthy, load, ...row } of LOCALITY_WEIGHTS) {
    test(`${healthy} % healthy → load ${load.join(' ')}`, () => {
      const weights = [effectiveWeight(1, healthy, 100, FACTOR), effectiveWeight(2, 100, 100, FACTOR)];
      const total = (weights[0] as number) + (weights[1] as number);
      assert.deepEqual(
        weights.map((weight) => Math.round((100 * weight) / total)),
        load,
      );
      // The documentation's own formula, with what a locality can bear in whole percent.
      const borne = Math.min(100, Math.floor((FACTOR * healthy) / 100));
      const first = Math.round((100 * borne) / (borne + 200));
      assert.deepEqual([first, 100 - first], 'documented' in row ? row.documented : load);
      const found = spread({
        priorities: [[100, 0]],
        localities: [
          { weight: 1, healthy },
          { weight: 2, healthy: 100 },
        ],
        panicThreshold: 0,
        picks: PICKS,
      });
      // A schedule, so exact to a pick or two.
      weights.forEach((weight, locality) => {
        assert.ok(
          Math.abs(found.inLocality(locality) - (PICKS * weight) / total) <= 2,
          `${found.localities}`,
        );
      });
    });
  }
});

test('zones: what fits stays, and the rest goes where there is room, in proportion', () => {
  const { local, upstream, parts } = ZONES;
  const at = (zone: number) => ({ upstream: upstream[zone] as number, local: local[zone] as number });
  const found = zoneRouting([at(0), at(1), at(2)], 100, true);
  assert.deepEqual(found, { kind: 'residual', stay: 6_250, parts });
  // "if local percentage is 20% and upstream is 10% we can route only 50% of requests directly"
  const half = zoneRouting(
    [
      { upstream: 10, local: 20 },
      { upstream: 90, local: 80 },
    ],
    100,
    true,
  );
  assert.equal(half.kind === 'residual' && half.stay, 5_000);
  // More endpoints than callers: all may stay.
  assert.deepEqual(
    zoneRouting(
      [
        { upstream: 30, local: 20 },
        { upstream: 70, local: 80 },
      ],
      100,
      true,
    ),
    {
      kind: 'direct',
    },
  );
  // No endpoint here: nothing stays.
  const away = zoneRouting(
    [
      { upstream: 50, local: 40 },
      { upstream: 50, local: 20 },
    ],
    100,
    false,
  );
  assert.equal(away.kind === 'residual' && away.stay, 0);
});
