/** From pressures to actions: triggers, how fast an action comes and goes, and what it means for a request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OverloadManagerConfig, OverloadTriggerConfig } from '../../src/config/index.ts';
import { Overload, type Pressures } from '../../src/dataplane/policy/index.ts';
import { seeded } from '../router/seeded.ts';

type Actions = OverloadManagerConfig['actions'];

const NONE: Actions = {
  shrinkHeap: [],
  reduceTimeouts: [],
  disableHttpKeepalive: [],
  stopAcceptingRequests: [],
  rejectIncomingConnections: [],
  stopAcceptingConnections: [],
  resetAcceptQueue: [],
};

const QUIET: Pressures = { memory: 0, descriptors: 0, heap: 0, eventLoop: 0, acceptQueue: 0 };

function overloadOf(actions: Partial<Actions>): Overload {
  return new Overload({
    refreshIntervalMs: 250,
    monitors: { memory: null, heap: true, eventLoop: null, acceptQueue: null, descriptors: null },
    actions: { ...NONE, ...actions },
    minIdleTimeoutMs: 2_000,
  });
}

const scaled = (
  resource: OverloadTriggerConfig['resource'],
  scaling: number,
  saturation: number,
): OverloadTriggerConfig => ({ resource, scaling, saturation });

test("a scaled trigger, with the figures of Envoy's documentation", () => {
  const overload = overloadOf({ reduceTimeouts: [scaled('heap', 0.85, 0.95)] });
  overload.update({ ...QUIET, heap: 0.92 });
  assert.ok(Math.abs(overload.state('reduceTimeouts') - 0.7) < 1e-9);
  // 2 s + (600 s − 2 s) · (95 % − 92 %) / (95 % − 85 %)
  assert.equal(overload.idleTimeoutMs(600_000), 181_400);
  overload.update({ ...QUIET, heap: 0.95 });
  assert.equal(overload.idleTimeoutMs(600_000), 2_000);
  assert.equal(overload.idleTimeoutMs(1_000), 1_000, 'what is shorter already stays');
  assert.equal(overload.idleTimeoutMs(0), 2_000, 'what has none gets one');
});

test('of several triggers the one that asks for most counts, and is the cause', () => {
  const overload = overloadOf({
    stopAcceptingRequests: [scaled('memory', 0.8, 1), scaled('eventLoop', 0.5, 1)],
  });
  overload.update({ ...QUIET, memory: 0.85, eventLoop: 0.9 });
  assert.equal(overload.state('stopAcceptingRequests'), 0.8);
  assert.deepEqual([overload.cause, overload.causePressure], ['eventLoop', 0.9]);
});

test('a threshold that is reached holds until the pressure is five points below it', () => {
  const overload = overloadOf({ disableHttpKeepalive: [scaled('memory', 0.9, 0.9)] });
  const at = (memory: number): boolean => {
    overload.update({ ...QUIET, memory });
    return overload.disablesKeepalive;
  };
  assert.equal(at(0.899), false);
  assert.equal(at(0.9), true);
  for (let i = 0; i < 20; i++) assert.equal(at(i % 2 === 0 ? 0.86 : 0.91), true, 'it does not flap');
  // From there on a quarter each time.
  assert.deepEqual([at(0.84), at(0.84), at(0.84), at(0.84)], [true, true, true, false]);
});

test('an action is taken at once, and withdrawn by a quarter a refresh', () => {
  const overload = overloadOf({ stopAcceptingRequests: [scaled('memory', 0.8, 1)] });
  overload.update({ ...QUIET, memory: 1 });
  assert.equal(overload.state('stopAcceptingRequests'), 1);
  const falling: number[] = [];
  for (let i = 0; i < 5; i++) {
    overload.update(QUIET);
    falling.push(overload.state('stopAcceptingRequests'));
  }
  assert.deepEqual(falling, [0.75, 0.5, 0.25, 0, 0]);
});

test('a queue is reset once, not four times', () => {
  const overload = overloadOf({ resetAcceptQueue: [scaled('acceptQueue', 1, 1)] });
  overload.update({ ...QUIET, acceptQueue: 1.5 });
  assert.equal(overload.resetsQueue, true);
  overload.update(QUIET);
  assert.equal(overload.resetsQueue, false);
});

test('low priority goes first, then default, high never', () => {
  const seed = 5;
  const random = seeded(seed);
  const overload = overloadOf({ stopAcceptingRequests: [scaled('memory', 0, 1)] });
  for (const [state, low, usual] of [
    [0, 0, 0],
    [0.25, 0.5, 0],
    [0.5, 1, 0],
    [0.75, 1, 0.5],
    [1, 1, 1],
  ] as const) {
    overload.update({ ...QUIET, memory: state });
    const share = (priority: 'low' | 'default' | 'high'): number => {
      let refused = 0;
      for (let i = 0; i < 4_000; i++) if (overload.refuses(priority, random)) refused++;
      return refused / 4_000;
    };
    assert.ok(Math.abs(share('low') - low) < 0.03, `low at ${state}; seed ${seed}`);
    assert.ok(Math.abs(share('default') - usual) < 0.03, `default at ${state}; seed ${seed}`);
    assert.equal(share('high'), 0);
    for (let i = 0; i < 4; i++) overload.update(QUIET);
  }
});
