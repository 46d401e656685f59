/** What localities and priorities do to picks: nearness, stated shares, zones, and the way back of who was ill. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EndpointConfig, Locality, LocalityConfig, ServiceConfig } from '../../src/config/index.ts';
import {
  compilePicker,
  type Picker,
  PickState,
  type Surroundings,
} from '../../src/dataplane/balancer/index.ts';
import { localityName, matchesLocality } from '../../src/dataplane/balancer/locality.ts';
import { AVAILABLE } from '../../src/ledger/index.ts';
import { seeded } from '../router/seeded.ts';
import { FakeView, FIRST_SLOT, service } from './kit.ts';
import { share } from './spread.ts';

const SEED = 20_260_403;
const PICKS = 20_000;
const at = (name: string): Locality => {
  const [region = '', zone = '', subZone = ''] = name.split('/');
  return { region, zone, subZone };
};

/** A service with an endpoint at each of these localities. */
function located(places: readonly string[], parts: Partial<EndpointConfig>[] = []): ServiceConfig {
  const made = service('random', new Array<number>(places.length).fill(1));
  return {
    ...made,
    endpoints: made.endpoints.map((endpoint, i) => ({
      ...endpoint,
      locality: at(places[i] as string),
      ...parts[i],
    })),
  };
}

function balanced(
  config: ServiceConfig,
  locality: LocalityConfig | null,
  policy = config.loadBalancer.policy,
): ServiceConfig {
  return { ...config, loadBalancer: { ...config.loadBalancer, policy, locality } };
}

const from = (node: string, others: readonly ServiceConfig[] = []): Surroundings => ({
  locality: at(node),
  service: (name) => others.find((one) => one.name === name),
});

/** A moment later each time, so that health is counted anew. */
function picked(picker: Picker, state: PickState, picks: number, size: number, fromMs = 0): number[] {
  const counts = new Array<number>(size).fill(0);
  for (let i = 0; i < picks; i++) {
    const index = picker.pick(state, fromMs + i / 10, []);
    if (index >= 0) counts[index] = (counts[index] as number) + 1;
  }
  return counts;
}

describe('failover: the nearer first', () => {
  // Istio's own example: docs/tasks/traffic-management/locality-load-balancing/failover.
  const places = ['region1/zone1/a', 'region1/zone1/b', 'region1/zone2', 'region3/zone4', 'region2/zone3'];
  const failover: LocalityConfig = { type: 'failover', failover: [{ from: 'region1', to: 'region2' }] };
  const order = [0, 1, 2, 4, 3];

  test('sub-zone, zone, region, the region to fail over to, others: each takes over when those before are gone', () => {
    const config = balanced(located(places), failover);
    const view = new FakeView(places.length);
    const state = new PickState(view, seeded(SEED));
    const picker = compilePicker(config, from('region1/zone1/a'));
    order.forEach((endpoint, gone) => {
      const counts = picked(picker, state, 100, places.length, gone * 1_000);
      assert.equal(counts[endpoint], 100, `${gone} gone: ${counts}`);
      assert.equal(state.group?.name, `priority ${gone}`);
      view.available[endpoint] = AVAILABLE.no;
    });
    assert.equal(picker.pick(state, 9_000, []), -1);
  });

  test('without a region stated all others are alike', () => {
    const config = balanced(located(places), { type: 'failover', failover: [] });
    const view = new FakeView(places.length);
    view.available.fill(AVAILABLE.no, 0, 3);
    const counts = picked(
      compilePicker(config, from('region1/zone1/a')),
      new PickState(view, seeded(SEED)),
      PICKS,
      5,
    );
    share(counts[3] as number, PICKS, 0.5);
    share(counts[4] as number, PICKS, 0.5);
  });

  test('part of what is near is ill: what it can bear stays', () => {
    const near = new Array<string>(4).fill('r/z');
    const config = balanced(located([...near, 'r/y']), { type: 'failover', failover: [] });
    const view = new FakeView(5);
    view.available.fill(AVAILABLE.no, 0, 2);
    const counts = picked(compilePicker(config, from('r/z')), new PickState(view, seeded(SEED)), PICKS, 5);
    share(counts[4] as number, PICKS, 0.3);
  });
});

test('an endpoint that gets no load is probed when its ejection is over, by one request', () => {
  const config = balanced(located(['r/z', 'r/y']), { type: 'failover', failover: [] });
  const view = new FakeView(2);
  const state = new PickState(view, seeded(SEED));
  const picker = compilePicker(config, from('r/z'));
  view.available[0] = AVAILABLE.no;
  assert.deepEqual(picked(picker, state, 50, 2), [0, 50]);
  view.available[0] = AVAILABLE.probe;
  assert.deepEqual(picked(picker, state, 50, 2, 1_000), [1, 49]);
  view.available[0] = AVAILABLE.yes;
  assert.deepEqual(picked(picker, state, 50, 2, 2_000), [50, 0]);
});

test('health that changes between two counts: the request goes where it can', () => {
  const config = balanced(located(['r/z', 'r/y']), { type: 'failover', failover: [] });
  const view = new FakeView(2);
  const state = new PickState(view, seeded(SEED));
  const picker = compilePicker(config, from('r/z'));
  assert.equal(picker.pick(state, 0, []), 0);
  view.available[0] = AVAILABLE.no;
  assert.equal(picker.pick(state, 1, []), 1);
});

test('a retry goes to an endpoint that was not tried, whatever its priority', () => {
  const config = balanced(located(['r/z', 'r/z', 'r/y']), { type: 'failover', failover: [] });
  const state = new PickState(new FakeView(3), seeded(SEED));
  const picker = compilePicker(config, from('r/z'));
  for (let i = 0; i < 50; i++) {
    assert.equal(picker.pick(state, i, [0]), 1);
    assert.equal(picker.pick(state, i, [0, 1]), 2);
    assert.notEqual(picker.pick(state, i, [0, 1, 2]), -1);
  }
});

test('a key keeps its priority while loads stay', () => {
  const made = service('maglev', [1, 1, 1, 1], 0, {
    key: { type: 'source' },
    minimumRingSize: 1_024,
    maximumRingSize: 65_536,
    tableSize: 257,
    hashBalanceFactor: 0,
  });
  const config = {
    ...made,
    endpoints: made.endpoints.map((one, i) => ({ ...one, priority: i < 2 ? 0 : 1 })),
  };
  const view = new FakeView(4);
  view.available[0] = AVAILABLE.no;
  const state = new PickState(view, seeded(SEED));
  const picker = compilePicker(config);
  let second = 0;
  for (let key = 0; key < 5_000; key++) {
    state.hashBy(`key-${key}`);
    const index = picker.pick(state, key / 10, []);
    state.hashBy(`key-${key}`);
    assert.equal(picker.pick(state, key / 10, []), index);
    if (index >= 2) second++;
  }
  share(second, 5_000, 0.3);
});

describe('distribute', () => {
  const distribute: LocalityConfig = {
    type: 'distribute',
    distribute: [
      { from: 'us/*', to: [{ locality: '*', weight: 100 }] },
      {
        from: 'eu/a/*',
        to: [
          { locality: 'eu/a/*', weight: 70 },
          { locality: 'eu/*', weight: 30 },
        ],
      },
    ],
  };
  // Two endpoints at eu/b and one at eu/c share what `eu/*` gets; us gets nothing.
  const places = ['eu/a', 'eu/b', 'eu/b', 'eu/c', 'us/a'];

  test('shares by the first pattern that fits, divided by weight where it fits several; others get none', () => {
    const state = new PickState(new FakeView(5), seeded(SEED));
    const picker = compilePicker(balanced(located(places), distribute), from('eu/a'));
    const counts = picked(picker, state, PICKS, 5);
    [0.7, 0.1, 0.1, 0.1, 0].forEach((p, i) => {
      share(counts[i] as number, PICKS, p);
    });
    const names = new Set(
      Array.from({ length: 50 }, () => picker.pick(state, 1, []) >= 0 && state.group?.name),
    );
    assert.deepEqual(names, new Set(['eu/a', 'eu/b', 'eu/c']));
  });

  test('a locality that is gone leaves its share to the others, and nothing to those that have none', () => {
    const view = new FakeView(5);
    view.available[0] = AVAILABLE.no;
    const picker = compilePicker(balanced(located(places), distribute), from('eu/a'));
    const counts = picked(picker, new PickState(view, seeded(SEED)), PICKS, 5);
    [0, 1 / 3, 1 / 3, 1 / 3, 0].forEach((p, i) => {
      share(counts[i] as number, PICKS, p);
    });
    view.available.fill(AVAILABLE.no, 0, 4);
    assert.equal(picker.pick(new PickState(view, seeded(SEED)), 0, []), -1);
  });

  test('a node that nothing is stated for disregards localities', () => {
    const picker = compilePicker(balanced(located(places), distribute), from('asia/a'));
    const counts = picked(picker, new PickState(new FakeView(5), seeded(SEED)), PICKS, 5);
    for (const count of counts) share(count, PICKS, 0.2);
  });

  test('a key finds its endpoint by the shares of localities', () => {
    const hashing = {
      key: { type: 'source' },
      minimumRingSize: 1_024,
      maximumRingSize: 65_536,
      tableSize: 65_537,
      hashBalanceFactor: 0,
    } as const;
    const config = balanced(located(places), distribute, 'maglev');
    const picker = compilePicker(
      { ...config, loadBalancer: { ...config.loadBalancer, consistentHash: hashing } },
      from('eu/a'),
    );
    const state = new PickState(new FakeView(5), seeded(SEED));
    const counts = new Array<number>(5).fill(0);
    for (let key = 0; key < PICKS; key++) {
      state.hashBy(`${key}`);
      const index = picker.pick(state, 0, []);
      counts[index] = (counts[index] as number) + 1;
    }
    [0.7, 0.1, 0.1, 0.1, 0].forEach((p, i) => {
      share(counts[i] as number, PICKS, p);
    });
  });

  for (const [pattern, fits, fitsNot] of [
    ['*', ['eu/a/x', ''], []],
    ['eu', ['eu', 'eu/a', 'eu/a/x'], ['us/a']],
    ['eu/a/*', ['eu/a', 'eu/a/x'], ['eu/b', 'us/a']],
    ['eu/*/x', ['eu/a/x', 'eu/b/x'], ['eu/a/y']],
  ] as const)
    test(`pattern ${pattern}`, () => {
      for (const name of fits) assert.ok(matchesLocality(at(name), pattern), name);
      for (const name of fitsNot) assert.ok(!matchesLocality(at(name), pattern), name);
    });
});

describe('zone aware', () => {
  const zones = (...sizes: number[]): string[] =>
    sizes.flatMap((size, zone) => new Array<string>(size).fill(`r/z${zone}`));
  type ZoneAware = Extract<LocalityConfig, { readonly type: 'zone-aware' }>;
  const setting: ZoneAware = {
    type: 'zone-aware',
    localService: 'callers',
    minClusterSize: 6,
    routingEnabled: 100,
  };

  interface Zones {
    readonly callers: readonly number[];
    readonly endpoints: readonly number[];
    readonly node?: string;
    readonly change?: Partial<ZoneAware>;
    readonly ill?: (view: FakeView) => void;
  }

  /** Shares of the zones, by 20,000 picks. Callers have the slots after the endpoints. */
  function zoned({ callers, endpoints, node = 'r/z0', change = {}, ill }: Zones): {
    counts: number[];
    zone: number;
  } {
    const config = balanced(located(zones(...endpoints)), { ...setting, ...change });
    const size = config.endpoints.length;
    const made = located(zones(...callers));
    const local = {
      ...made,
      name: 'callers',
      endpoints: made.endpoints.map((one, i) => ({ ...one, slot: FIRST_SLOT + size + i })),
    };
    const view = new FakeView(size + local.endpoints.length);
    ill?.(view);
    const state = new PickState(view, seeded(SEED));
    const counts = picked(compilePicker(config, from(node, [local])), state, PICKS, size);
    const byZone = endpoints.map((_, zone) =>
      counts.reduce(
        (sum, count, i) =>
          localityName(config.endpoints[i]?.locality as Locality) === `r/z${zone}` ? sum + count : sum,
        0,
      ),
    );
    return { counts: byZone, zone: state.zone };
  }

  const shares = (found: { readonly counts: readonly number[] }, wanted: readonly number[]): void => {
    wanted.forEach((p, zone) => {
      share(found.counts[zone] as number, PICKS, p);
    });
  };

  test("Envoy's example: 62.5 % stay, the rest goes 2 to 1", () => {
    shares(zoned({ callers: [8, 8, 4], endpoints: [5, 10, 5] }), [0.625, 0.25, 0.125]);
  });

  test('a greater share of endpoints than of callers: all stay', () => {
    shares(zoned({ callers: [2, 8], endpoints: [5, 5] }), [1, 0]);
  });

  test('no endpoint in this zone: where others have room', () => {
    const found = zoned({ callers: [2, 4, 4], endpoints: [0, 7, 3], node: 'r/z0' });
    // 70 % of endpoints and 40 % of callers; 30 % and 40 %.
    shares(found, [0, 1, 0]);
  });

  for (const [why, wanted, parts] of [
    ['fewer endpoints than minClusterSize', [0.2, 0.8], { endpoints: [1, 4] }],
    ['callers in one zone only', [0.5, 0.5], { callers: [10, 0] }],
    ['no caller in this zone', [0.5, 0.5], { callers: [0, 5, 5] }],
    ['no callers', [0.5, 0.5], { callers: [0, 0] }],
    ['half of the requests only', [0.75, 0.25], { change: { routingEnabled: 50 }, callers: [2, 8] }],
    ['a smaller minClusterSize', [1, 0], { endpoints: [2, 2], change: { minClusterSize: 3 } }],
  ] as const)
    test(`${why}`, () => {
      shares(zoned({ callers: [5, 5], endpoints: [5, 5], ...parts }), wanted);
    });

  test('ill endpoints and callers don’t count', () => {
    // Of 5 and 5 endpoints 4 and 4 are left, of 8 and 8 callers 8 and 2: 50 of 80 % stay.
    const ill = (view: FakeView): void => {
      view.available[0] = AVAILABLE.no;
      view.available[5] = AVAILABLE.no;
      view.available.fill(AVAILABLE.no, 20, 26);
    };
    shares(zoned({ callers: [8, 8], endpoints: [5, 5], ill }), [0.625, 0.375]);
  });
});
