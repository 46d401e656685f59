// Callers: found by address, bounded over all threads, forgotten when they have gone, and given back when a worker ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachLedger, type Ledger, NO_CALLER, type WorkerLedger } from '../../src/ledger/index.ts';
import { dieAt } from './death.ts';
import { Agent, CELL, go, makeControl, makeLedger, seeded } from './kit.ts';

const POD = '10.1.2.3';
const POLICY = { burst: 3, refillMs: 1_000, penaltyMs: 5_000 };

function enter(worker: WorkerLedger, address: string, limit = 0, nowMs = 1_000): number {
  return worker.callers.enter(address, 64, limit, nowMs);
}

function twoWorkers(): { ledger: Ledger; first: WorkerLedger; second: WorkerLedger } {
  const ledger = makeLedger(2);
  ledger.workerStarting(0, 0);
  ledger.workerStarting(1, 0);
  return { ledger, first: attachLedger(ledger.buffers, 0), second: attachLedger(ledger.buffers, 1) };
}

const SAME: readonly (readonly [string, string, boolean])[] = [
  ['10.0.0.1', '::ffff:10.0.0.1', true],
  ['10.0.0.1', '10.0.0.2', false],
  ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
  ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
  ['fd00:1:2:3::1', 'fd00:1:2:3::2', false],
  ['fe80::1%eth0', 'fe80::1%eth1', true],
  ['fe80::1', 'fe80::2', false],
  ['::1', '::2', false],
  ['2001:db8::', '2001:db8:0:0:1::', true],
];

for (const [one, other, same] of SAME) {
  test(`${one} and ${other} are ${same ? 'one caller' : 'two callers'}`, () => {
    const { first } = twoWorkers();
    assert.equal(enter(first, one) === enter(first, other), same);
  });
}

test('callers are shown as people write them, whoever holds most connections first', () => {
  const { ledger, first } = twoWorkers();
  const addresses = ['::ffff:10.0.0.1', 'fd00:0:0:1::a', '2001:db8:0:7:1::', '::1'];
  for (const [i, address] of addresses.entries()) for (let n = 0; n <= i; n++) enter(first, address);
  assert.deepEqual(
    ledger.callers.read(0, 64).map(({ address, connections }) => [address, connections]),
    [
      ['::1', 4],
      ['2001:db8:0:7::/64', 3],
      ['fd00:0:0:1::a', 2],
      ['10.0.0.1', 1],
    ],
  );
});

test('a text that is no address passes uncounted', () => {
  const { ledger, first } = twoWorkers();
  for (const text of [
    '',
    'pod',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1::2::3',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
  ])
    assert.equal(enter(first, text), NO_CALLER.untracked, text);
  assert.equal(ledger.callers.usage(0).used, 0);
});

test('a limit holds over all workers, refusals are counted, and 0 is none', () => {
  const { ledger, first, second } = twoWorkers();
  const slot = enter(first, POD, 3);
  assert.equal(enter(second, POD, 3), slot);
  assert.equal(enter(first, POD, 3), slot);
  assert.equal(enter(second, POD, 3), NO_CALLER.full);
  assert.notEqual(enter(second, '10.1.2.4', 3), NO_CALLER.full);
  first.callers.leave(slot);
  assert.equal(enter(second, POD, 3), slot);
  assert.equal(enter(second, POD, 0), slot);
  const [caller] = ledger.callers.read(0, 64);
  assert.equal(caller?.connections, 4);
  assert.equal(caller?.connectionsTotal, 5);
  assert.equal(caller?.refusedConnections, 1);
});

test('four threads together never hold more of one caller than its limit, and find it at one place', async () => {
  const limit = 5;
  const ledger = makeLedger(4);
  const control = makeControl();
  const data = { job: 'callers', limit, rounds: 5_000 };
  const agents = [0, 1, 2, 3].map((worker) => new Agent(ledger, control, { ...data, worker }));
  await go(control, agents.length);
  let sweeps = 0;
  // Places are emptied all the while: whoever comes next takes another.
  const sweeping = setInterval(() => ledger.callers.sweep(sweeps++ * 100_000, [0, 1, 2, 3]), 1);
  await Promise.all(agents.map((agent) => agent.ended));
  clearInterval(sweeping);
  assert.ok(control[CELL.insideMax] <= limit, `${control[CELL.insideMax]} inside with a limit of ${limit}`);
  for (const caller of ledger.callers.read(0, 64)) assert.equal(caller.connections, 0, caller.address);
});

test('offences are forgiven as the bucket refills; one too many refuses new connections for the penalty', () => {
  const { ledger, first, second } = twoWorkers();
  const slot = enter(first, POD);
  for (let i = 0; i < POLICY.burst; i++) {
    const worker = i % 2 === 0 ? first : second;
    assert.equal(worker.callers.offend(slot, 1_000, POLICY), false, `offence ${i + 1}`);
  }
  assert.equal(first.callers.offend(slot, 1_999, POLICY), true);
  assert.equal(enter(second, POD, 0, 2_000), NO_CALLER.penalty);
  assert.notEqual(enter(second, '10.9.9.9', 0, 2_000), NO_CALLER.penalty);
  assert.equal(enter(second, POD, 0, 6_998), NO_CALLER.penalty);
  assert.equal(enter(second, POD, 0, 6_999), slot, 'the penalty is over');
  assert.equal(first.callers.offend(slot, 6_999, POLICY), false, 'and the bucket is full again');
  const [caller] = ledger.callers.read(6_999, 64);
  assert.deepEqual([caller?.offences, caller?.penalties, caller?.refusedConnections], [5, 1, 2]);
  assert.equal(caller?.connections, 2, 'what was open goes on');
});

test('an offence a second is forgiven for ever', () => {
  const { first } = twoWorkers();
  const slot = enter(first, POD);
  for (let nowMs = 0; nowMs < 100_000; nowMs += 1_000)
    assert.equal(first.callers.offend(slot, nowMs, POLICY), false, `at ${nowMs} ms`);
});

test('bytes are added up over the workers', () => {
  const { first, second } = twoWorkers();
  const slot = enter(first, POD);
  first.callers.addBytes(slot, 70_000);
  second.callers.addBytes(slot, 30_000);
  first.callers.addBytes(slot, -20_000);
  assert.equal(second.callers.bytes(slot), 80_000);
});

test('a caller that holds nothing is forgotten after a minute, one with a penalty not before its end', () => {
  const { ledger, first } = twoWorkers();
  const live = [0, 1];
  const gone = enter(first, POD);
  const punished = enter(first, '10.1.2.4');
  const stays = enter(first, '10.1.2.5');
  for (let i = 0; i <= POLICY.burst; i++)
    first.callers.offend(punished, 1_000, { ...POLICY, penaltyMs: 200_000 });
  first.callers.leave(gone);
  first.callers.leave(punished);
  const known = (): string[] =>
    ledger.callers
      .read(0, 64)
      .map(({ address }) => address)
      .sort();
  ledger.callers.sweep(1_000, live);
  ledger.callers.sweep(60_999, live);
  assert.equal(known().length, 3);
  ledger.callers.sweep(61_000, live);
  assert.deepEqual(known(), ['10.1.2.4', '10.1.2.5']);
  ledger.callers.sweep(201_000, live);
  ledger.callers.sweep(261_000, live);
  assert.deepEqual(known(), ['10.1.2.5']);
  first.callers.leave(stays);
});

test('a bucket that filled up weeks ago is not taken for an empty one when the clock wraps', () => {
  const { ledger, first } = twoWorkers();
  const slot = enter(first, POD);
  first.callers.offend(slot, 1_000, POLICY);
  ledger.callers.sweep(10_000, [0, 1]);
  const later = 2 ** 31 + 5_000;
  assert.equal(first.callers.offend(slot, later, POLICY), false);
  assert.equal(enter(first, POD, 0, later), slot);
});

test('half of the table is filled without a caller that finds no place; of a full one the rest passes uncounted', () => {
  const seed = (Math.random() * 2 ** 31) | 0;
  const random = seeded(seed);
  const { ledger, first } = twoWorkers();
  const { capacity } = ledger.callers.usage(0);
  const address = (): string => `10.${[0, 0, 0].map(() => Math.floor(random() * 256)).join('.')}`;
  while (ledger.callers.usage(0).used < capacity / 2) enter(first, address());
  assert.equal(ledger.callers.usage(0).untracked, 0, `seed ${seed}`);
  for (let i = 0; i < 20 * capacity && ledger.callers.usage(0).untracked === 0; i += 1)
    enter(first, address());
  const { used, untracked } = ledger.callers.usage(0);
  assert.ok(used > 0.6 * capacity && untracked > 0, `${used} used, seed ${seed}`);
});

test('a table that is half full forgets at once', () => {
  const { ledger, first } = twoWorkers();
  const { capacity } = ledger.callers.usage(0);
  for (let i = 0; ledger.callers.usage(0).used <= capacity / 2; i++)
    first.callers.leave(enter(first, `10.2.${i >> 8}.${i & 255}`));
  ledger.callers.sweep(1_000, [0, 1]);
  assert.equal(ledger.callers.usage(0).used, 0);
});

const OPERATIONS: Readonly<Record<string, (worker: WorkerLedger, slot: number) => void>> = {
  'a new connection': (worker) => void enter(worker, POD, 5),
  'the first connection of a caller': (worker) => void enter(worker, '10.7.7.7', 5),
  'the end of a connection': (worker, slot) => worker.callers.leave(slot),
  'a request': (worker, slot) => void worker.callers.acquireRequest(slot, 5),
  'the end of a request': (worker, slot) => worker.callers.releaseRequest(slot),
  'an offence': (worker, slot) => void worker.callers.offend(slot, 0, POLICY),
};

for (const [name, operation] of Object.entries(OPERATIONS)) {
  test(`a worker that ends at any point of ${name} leaves nothing behind`, () => {
    let points = 0;
    for (let step = 0; ; step++) {
      let died = false;
      for (const isAfter of [false, true]) {
        const { ledger, first, second } = twoWorkers();
        const slot = enter(first, POD);
        assert.equal(enter(second, POD), slot);
        for (const { callers } of [first, second]) callers.acquireRequest(slot, 5);
        first.callers.addBytes(slot, 1_000);
        if (!dieAt(step, isAfter, () => operation(first, slot))) continue;
        died = true;
        points++;
        const where = `${isAfter ? 'after' : 'before'} step ${step}`;
        assert.equal(ledger.giveBack(0, 0), true, where);
        const found = ledger.callers.read(0, 64).find(({ address }) => address === POD);
        assert.deepEqual(
          [found?.connections, found?.requests, found?.bufferedBytes],
          [1, 1, 0],
          `only the other's is left, ${where}`,
        );
        second.callers.releaseRequest(slot);
        second.callers.leave(slot);
        // Nothing of the dead worker keeps the table from being swept.
        ledger.callers.sweep(100_000, [1]);
        ledger.callers.sweep(200_000, [1]);
        assert.equal(ledger.callers.usage(0).used, 0, where);
      }
      if (!died) break;
    }
    assert.ok(points > 2, `${points} points`);
  });
}
