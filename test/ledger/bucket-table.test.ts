// Each key has a bucket of its own, one for all workers, while there is room; then one that such keys share.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachLedger, bucketShape } from '../../src/ledger/index.ts';
import { keyedHash } from '../../src/ledger/keyed-hash.ts';
import { dieAt } from './death.ts';
import { Agent, CELL, go, makeControl, makeLedger, seeded, set, TOKENS } from './kit.ts';

test('a key uses up its own bucket and nobody else’s', () => {
  const bucket = attachLedger(makeLedger(1).buffers, 0).rateLimits.open(0, 0, bucketShape(1, 1_000, 3));
  const take = (key: string, nowMs: number): boolean[] => [1, 2, 3, 4].map(() => bucket.take(key, nowMs));
  assert.deepEqual(take('10.0.0.1', 1_000), [true, true, true, false]);
  assert.deepEqual(take('10.0.0.2', 1_000), [true, true, true, false]);
  assert.deepEqual(take('10.0.0.1', 2_000), [true, false, false, false]);
  assert.equal(bucket.overflowed, false);
});

test('keys of two limits are apart, and workers share each', () => {
  const ledger = makeLedger(2);
  const shape = bucketShape(1, 1_000, 1);
  const [a, b] = [0, 1].map((worker) => attachLedger(ledger.buffers, worker).rateLimits);
  assert.equal(a?.open(0, 0, shape).take('x', 1_000), true);
  assert.equal(b?.open(0, 0, shape).take('x', 1_000), false);
  assert.equal(b?.open(1, 1, shape).take('x', 1_000), true);
});

test('a token given back goes to the key that took it', () => {
  const bucket = attachLedger(makeLedger(1).buffers, 0).rateLimits.open(0, 0, bucketShape(1, 1_000, 1));
  assert.equal(bucket.take('y', 1_000), true);
  assert.equal(bucket.take('x', 1_000), true);
  bucket.giveBack(1_000);
  assert.deepEqual([bucket.take('x', 1_001), bucket.take('y', 1_001)], [true, false]);
});

test('14,000 keys find room; then keys share one bucket, until others are full again', (t) => {
  const bucket = attachLedger(makeLedger(1).buffers, 0).rateLimits.open(0, 0, bucketShape(1, 1_000, 2));
  let roomFor = 0;
  while (bucket.take(`key-${roomFor}`, 1_000) && !bucket.overflowed) roomFor++;
  t.diagnostic(`room for ${roomFor} keys before the first that found none`);
  assert.ok(roomFor >= 14_000, `room for ${roomFor}`);
  // What found no room shares two tokens, of which the loop took one.
  let shared = 1;
  let own = 0;
  for (let i = 0; i < 20_000; i++) {
    const taken = bucket.take(`more-${i}`, 1_000);
    if (!bucket.overflowed) own++;
    else if (taken) shared++;
  }
  assert.equal(shared, 2);
  assert.ok(roomFor + own <= 20_480, `${roomFor + own} keys in 20,480 buckets`);
  // Keys that are in the table are not touched by the crowd: each has its second token, and no third.
  for (let i = 0; i < roomFor; i += 97) {
    assert.deepEqual(
      [1, 2].map(() => bucket.take(`key-${i}`, 1_000)),
      [true, false],
      `key-${i}`,
    );
  }
  assert.equal(bucket.take('late', 4_000), true);
  assert.equal(bucket.overflowed, false);
});

test('four threads that enter the same keys at once give each key one bucket', async () => {
  const [requests, intervalMs, burst] = TOKENS;
  const KEYS = 100;
  const ledger = makeLedger(4);
  const control = makeControl();
  const agents = [0, 1, 2, 3].map(
    (worker) => new Agent(ledger, control, { job: 'tokens', worker, limit: KEYS }),
  );
  await go(control, agents.length);
  const endMs = 500;
  for (let nowMs = 1; nowMs <= endMs; nowMs++) set(control, CELL.clock, nowMs);
  set(control, CELL.stop, 1);
  await Promise.all(agents.map(({ ended }) => ended));
  const most = burst + (requests * endMs) / intervalMs;
  for (let key = 0; key < KEYS; key++) {
    assert.ok(control[CELL.tally + key] <= most, `key ${key}: ${control[CELL.tally + key]} of ${most}`);
    assert.ok(control[CELL.tally + key] >= burst, `key ${key}: ${control[CELL.tally + key]} of ${most}`);
  }
});

test('a thread that dies at any step of entering a key leaves nothing locked once it is given back', () => {
  for (let step = 0; ; step++) {
    for (const isAfter of [false, true]) {
      const ledger = makeLedger(2);
      ledger.rateLimits.allocateTable('limit');
      const shape = bucketShape(1, 1_000, 5);
      ledger.workerStarting(0, 0);
      ledger.workerStarting(1, 0);
      const dying = attachLedger(ledger.buffers, 0).rateLimits.open(0, 0, shape);
      const other = attachLedger(ledger.buffers, 1).rateLimits.open(0, 0, shape);
      const died = dieAt(step, isAfter, () => dying.take('x', 1_000));
      ledger.giveBack(0, 1_000);
      const left = [1, 2, 3, 4, 5, 6].filter(() => other.take('x', 1_000)).length;
      assert.equal(other.overflowed, false, `step ${step}`);
      if (!died) {
        assert.equal(left, 4);
        assert.ok(step > 3, 'it has steps to die at');
        return;
      }
      assert.ok(left === 4 || left === 5, `${left} left at step ${step}`);
    }
  }
});

test('while a group is locked its new keys share a bucket, and known keys have their own', () => {
  const ledger = makeLedger(2);
  const shape = bucketShape(1, 1_000, 2);
  const dying = attachLedger(ledger.buffers, 0).rateLimits.open(0, 0, shape);
  const other = attachLedger(ledger.buffers, 1).rateLimits.open(0, 0, shape);
  // After the lock was taken: the first compare-and-swap.
  assert.ok(dieAt(0, true, () => dying.take('x', 1_000)));
  assert.equal(other.take('x', 1_000), true);
  assert.equal(other.overflowed, true);
  assert.equal(other.take('y', 1_000), true);
  assert.equal(other.overflowed, false);
});

test('a removed limit gives its slot and its table to the next one, both full', () => {
  const ledger = makeLedger(1);
  ledger.workerStarting(0, 0);
  const { rateLimits } = attachLedger(ledger.buffers, 0);
  const shape = bucketShape(1, 60_000, 1);
  for (let round = 1; round <= 20; round++) {
    const slot = ledger.rateLimits.allocate(`limit-${round}`);
    const table = ledger.rateLimits.allocateTable(`limit-${round}`);
    for (const bucket of [rateLimits.open(slot, -1, shape), rateLimits.open(slot, table, shape)])
      assert.deepEqual([bucket.take('x', 1_000), bucket.take('x', 1_000)], [true, false], `round ${round}`);
    assert.deepEqual(ledger.rateLimits.read(slot, table, shape, 1_000), { remaining: 0, keys: 1 });
    ledger.rateLimits.free(`limit-${round}`, round);
    attachLedger(ledger.buffers, 0).acknowledge(round);
  }
});

test('hashes of keys that differ in one place, or in length, differ; the secret decides them', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seeded(seed);
  const out = new Int32Array(2);
  const hash = (key: string, secret = 1): string => {
    keyedHash(key, secret, 2, out);
    return `${out[0]}/${out[1]}`;
  };
  const seen = new Map<string, string>();
  for (let i = 0; i < 20_000; i++) {
    const key = Array.from({ length: Math.floor(random() * 9) }, () =>
      String.fromCharCode(97 + Math.floor(random() * 3)),
    ).join('');
    const known = seen.get(hash(key));
    assert.ok(known === undefined || known === key, `seed ${seed}: "${key}" and "${known}"`);
    seen.set(hash(key), key);
  }
  assert.notEqual(hash('10.0.0.1', 1), hash('10.0.0.1', 2));
  assert.notEqual(hash('a'), hash('a\0'));
});
