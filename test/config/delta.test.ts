import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  applyDelta,
  buildSnapshot,
  diffSnapshots,
  type EndpointConfig,
  type Snapshot,
} from '../../src/config/index.ts';
import { draftOf, randomConfig, randomOf, slotAllocator } from './kit.ts';

const SEEDS = 60;

test('the delta between any two configurations turns the one into the other, through structured clone', () => {
  const slotOf = slotAllocator();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = randomOf(seed);
    let worker: Snapshot | null = null;
    let published: Snapshot | null = null;
    for (let version = 1; version <= 4; version++) {
      const snapshot = buildSnapshot(draftOf(JSON.stringify(randomConfig(random))), version, slotOf);
      const delta = structuredClone(diffSnapshots(published, snapshot));
      const next: Snapshot = applyDelta(worker, delta);
      assert.deepEqual(next, snapshot, `seed ${seed}, version ${version}`);
      assertShared(
        worker,
        next,
        delta.services.upserts.map((service) => service.name),
        seed,
      );
      published = snapshot;
      worker = next;
    }
  }
});

function assertShared(
  older: Snapshot | null,
  newer: Snapshot,
  changed: readonly string[],
  seed: number,
): void {
  for (const service of newer.services) {
    const before = older?.services.find((other) => other.name === service.name);
    if (before === undefined) continue;
    if (!changed.includes(service.name))
      assert.equal(service, before, `seed ${seed}: ${service.name} is shared`);
    for (const endpoint of service.endpoints) {
      const old: EndpointConfig | undefined = before.endpoints.find((other) => other.slot === endpoint.slot);
      if (isDeepStrictEqual(old, endpoint))
        assert.equal(endpoint, old, `seed ${seed}: endpoint of ${service.name}`);
    }
  }
}

function manyServices(count: number, slotOf = slotAllocator()): Snapshot {
  const services = Array.from({ length: count }, (_, i) => ({
    name: `s${i}`,
    endpoints: [{ address: `10.0.${i >> 8}.${i & 255}:80` }],
  }));
  return buildSnapshot(
    draftOf(JSON.stringify({ listeners: [{ name: 'web', address: ':80' }], services })),
    1,
    slotOf,
  );
}

test('ten changed services of two thousand make a delta of ten, and leave every other as it is', () => {
  const first = manyServices(2000);
  const worker = applyDelta(null, diffSnapshots(null, first));
  const services = first.services.map((service, i) =>
    i % 200 === 7 ? { ...service, panicThreshold: 1 } : service,
  );
  const delta = diffSnapshots(first, { ...first, version: 2, services });
  assert.equal(delta.services.upserts.length, 10);
  assert.equal(delta.services.order, null);
  assert.equal(delta.node, null);
  const next = applyDelta(worker, structuredClone(delta));
  assert.equal(next.listeners, worker.listeners);
  assert.equal(next.routes, worker.routes);
  const kept = next.services.filter((service, i) => service === worker.services[i]).length;
  assert.equal(kept, 1990);
  assert.equal(next.services[7]?.circuitBreaker, worker.services[7]?.circuitBreaker);
});

test('members added at the end and removed anywhere need no order; a member put in front does', () => {
  const first = manyServices(6);
  const [a, b, c, d, e, f] = first.services as [never, never, never, never, never, never];
  const to = (services: Snapshot['services']) =>
    diffSnapshots(first, { ...first, version: 2, services }).services;
  assert.deepEqual(to([a, c, d, f]), { upserts: [], removes: ['s1', 's4'], order: null });
  const last = { ...first.services[0], name: 'z' } as Snapshot['services'][number];
  assert.equal(to([a, b, c, d, e, f, last]).order, null);
  assert.deepEqual(to([last, a, b, c, d, e, f]).order, ['z', 's0', 's1', 's2', 's3', 's4', 's5']);
  assert.deepEqual(to([b, a, c, d, e, f]).upserts, []);
});

test('a delta from another version is a broken invariant', () => {
  const first = manyServices(1);
  const delta = diffSnapshots(first, { ...first, version: 2 });
  assert.throws(() => applyDelta(null, delta), /delta from version 1 applied to version 0/);
});

test('nothing of the older snapshot is modified', () => {
  const freeze = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
    Object.freeze(value);
    for (const member of Object.values(value)) freeze(member);
  };
  const slotOf = slotAllocator();
  const random = randomOf(99);
  const first = buildSnapshot(draftOf(JSON.stringify(randomConfig(random))), 1, slotOf);
  const second = buildSnapshot(draftOf(JSON.stringify(randomConfig(random))), 2, slotOf);
  freeze(first);
  freeze(second);
  assert.deepEqual(applyDelta(first, diffSnapshots(first, second)), second);
});
