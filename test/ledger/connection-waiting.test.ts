// Waiting for a connection slot: no wake-up is lost, nobody is starved, limits hold throughout.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { attachLedger, GAUGE, HANDOVER_MS, type Ledger, type WorkerLedger } from '../../src/ledger/index.ts';
import { Agent, CELL, go, makeControl, makeLedger, reached } from './kit.ts';

// Atomics.waitAsync alone does not keep an event loop alive.
let keepAlive: NodeJS.Timeout;
before(() => {
  keepAlive = setInterval(() => undefined, 60_000);
});
after(() => clearInterval(keepAlive));

for (const limit of [1, 2]) {
  test(`four threads that share a limit of ${limit} change hands thousands of times without losing a wake-up`, async () => {
    const ledger = makeLedger(4);
    const control = makeControl();
    const data = { job: 'handover', service: ledger.allocateService('cart'), limit, rounds: 2_000 };
    const agents = [0, 1, 2, 3].map((worker) => new Agent(ledger, control, { ...data, worker }));
    await go(control, 4);
    await reached(control, CELL.done, 4);
    assert.deepEqual([...control.subarray(CELL.tally, CELL.tally + 4)], [2_000, 2_000, 2_000, 2_000]);
    assert.ok(control[CELL.insideMax] <= limit);
    assert.equal(ledger.readGauge(data.service, GAUGE.connections).active, 0);
    for (const agent of agents) await agent.terminate();
  });
}

test('a worker that takes slots without pause does not starve the others', async () => {
  const { ledger, workers, service } = together(3);
  const taken = [0, 0, 0];
  const isOver = (): boolean => taken.some((count) => count >= 300);
  await Promise.all(
    workers.map(
      (worker, index) =>
        new Promise<void>((resolve) => {
          const attempt = (): void => {
            if (isOver()) {
              worker.connections.stopWaiting(service);
              resolve();
            } else if (worker.connections.acquire(service, 2)) {
              taken[index]++;
              setImmediate(() => {
                worker.connections.release(service);
                attempt();
              });
            } else {
              worker.connections.wait(service, 2, attempt);
            }
          };
          attempt();
        }),
    ),
  );
  assert.ok(Math.min(...taken) >= 150, `slots taken by the three workers: ${taken}`);
  assert.equal(ledger.readGauge(service, GAUGE.connections).active, 0);
});

test("a waiting worker is given the idle connections of another worker's pool, one per wait", async () => {
  const ledger = makeLedger(2);
  const control = makeControl();
  const service = ledger.allocateService('cart');
  const holder = new Agent(ledger, control, { job: 'idlePool', worker: 1, service, limit: 3 });
  await go(control, 1);
  await reached(control, CELL.parked, 1);
  const { connections } = attachLedger(ledger.buffers, 0);
  connections.start(() => undefined);
  for (let slot = 0; slot < 3; slot++) {
    assert.equal(connections.acquire(service, 3), false);
    await new Promise<void>((resolve) => connections.wait(service, 3, resolve));
    await take(connections, service, 3);
  }
  assert.equal(ledger.readGauge(service, GAUGE.connections).active, 3);
  await holder.terminate();
});

test('a newcomer queues behind a worker that waits, even when a slot is free', async () => {
  const { workers, service } = together(3);
  const [holder, first, newcomer] = workers.map(({ connections }) => connections);
  assert.ok(holder.acquire(service, 1));
  const woken = new Promise<boolean>((resolve) => {
    first.wait(service, 1, () => resolve(first.acquire(service, 1)));
  });
  holder.release(service);
  assert.equal(newcomer.acquire(service, 1), false);
  assert.equal(holder.acquire(service, 1), false, 'nor may the one that has just released it');
  assert.equal(await woken, true);
});

test('a grant to a worker that has given up goes to the next', async () => {
  const { workers, service } = together(3);
  const [holder, first, second] = workers.map(({ connections }) => connections);
  assert.ok(holder.acquire(service, 1));
  first.wait(service, 1, () => assert.fail('it has given up'));
  const woken = new Promise<boolean>((resolve) => {
    second.wait(service, 1, () => resolve(second.acquire(service, 1)));
  });
  holder.release(service);
  first.stopWaiting(service);
  assert.equal(await woken, true);
});

test('a worker that was granted a slot once is not woken again before the next is free', async () => {
  const { workers, service } = together(2);
  const [holder, waiter] = workers.map(({ connections }) => connections);
  assert.ok(holder.acquire(service, 1));
  const woken = new Promise<boolean>((resolve) => {
    waiter.wait(service, 1, () => resolve(waiter.acquire(service, 1)));
  });
  holder.release(service);
  assert.equal(await woken, true);
  waiter.release(service);
  assert.ok(holder.acquire(service, 1));
  waiter.wait(service, 1, () => assert.fail('nothing is free'));
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  waiter.stopWaiting(service);
});

test('a raised limit wakes those that wait, once they state it', async () => {
  const { workers, service } = together(2);
  const [holder, waiter] = workers.map(({ connections }) => connections);
  assert.ok(holder.acquire(service, 1));
  waiter.wait(service, 1, () => assert.fail('replaced'));
  await new Promise<void>((resolve) => waiter.wait(service, 2, resolve));
  assert.equal(waiter.acquire(service, 2), true);
});

test('the connections of a dead worker wake those that wait for them', async () => {
  const { ledger, workers, service } = together(2);
  const [victim, waiter] = workers.map(({ connections }) => connections);
  while (victim.acquire(service, 2));
  const woken = new Promise<void>((resolve) => waiter.wait(service, 2, resolve));
  assert.equal(ledger.giveBack(0, 0), true);
  await woken;
  assert.ok(waiter.acquire(service, 2) && waiter.acquire(service, 2));
});

for (const rescue of ['at its own heartbeat', 'when the stalled worker has ended']) {
  test(`a slot granted to a stalled worker goes to another ${rescue}`, async () => {
    const { ledger, workers, service } = together(3, [0, 2]);
    const control = makeControl();
    const [{ connections: holder }, , waiter] = workers;
    assert.ok(holder.acquire(service, 1));
    const stalled = new Agent(ledger, control, { job: 'waitAndStall', worker: 1, service, limit: 1 });
    await go(control, 1);
    await reached(control, CELL.parked, 1);
    let isWoken = false;
    const taken = new Promise<boolean>((resolve) => {
      waiter.connections.wait(service, 1, () => {
        isWoken = true;
        resolve(waiter.connections.acquire(service, 1));
      });
    });
    holder.release(service);
    await new Promise(setImmediate);
    assert.equal(isWoken, false, 'the stalled worker was the first in turn');
    if (rescue === 'at its own heartbeat') {
      waiter.beat(0);
      assert.equal(await taken, true);
    }
    await stalled.terminate();
    ledger.giveBack(1, 0);
    assert.equal(await taken, true);
  });
}

test('an idle connection is given up at once without a queue, and in turns with one', async () => {
  const { workers, service } = together(2);
  const [holder, waiter] = workers.map(({ connections }) => connections);
  assert.ok(holder.acquire(service, 1));
  assert.equal(holder.mustYield(service, false, 100), false);
  waiter.wait(service, 1, () => undefined);
  assert.equal(waiter.mustYield(service, false, 100), false, 'nobody else waits');
  assert.equal(holder.mustYield(service, true, 100), false);
  assert.equal(holder.mustYield(service, true, 100 + HANDOVER_MS - 1), false);
  assert.equal(holder.mustYield(service, false, 100 + HANDOVER_MS - 1), true);
  assert.equal(holder.mustYield(service, true, 100 + HANDOVER_MS), false, 'one has just been given up');
  assert.equal(holder.mustYield(service, true, 100 + 2 * HANDOVER_MS), true);
  holder.release(service);
  assert.equal(holder.mustYield(service, false, 500), false, 'a free slot is enough for the one that waits');
});

test('a worker whose queue and pool share a slot may use it when nobody else waits', async () => {
  const { workers, service } = together(1);
  const [{ connections }] = workers;
  assert.ok(connections.acquire(service, 1));
  connections.wait(service, 1, () => assert.fail('it has given up'));
  connections.release(service);
  assert.equal(connections.acquire(service, 1), true);
  connections.stopWaiting(service);
  await new Promise(setImmediate);
});

interface Scene {
  readonly ledger: Ledger;
  readonly workers: WorkerLedger[];
  readonly service: number;
}

/** Several workers' ends of one ledger in this thread, all (or those in `listening`) listening. */
function together(count: number, listening?: number[]): Scene {
  const ledger = makeLedger(count);
  const service = ledger.allocateService('cart');
  const workers = Array.from({ length: count }, (_, worker) => attachLedger(ledger.buffers, worker));
  workers.forEach((worker, index) => {
    if (listening !== undefined && !listening.includes(index)) return;
    ledger.workerStarting(index, 0);
    worker.connections.start(() => undefined);
  });
  return { ledger, workers, service };
}

async function take(connections: WorkerLedger['connections'], service: number, limit: number): Promise<void> {
  while (!connections.acquire(service, limit)) {
    await new Promise<void>((resolve) => connections.wait(service, limit, resolve));
  }
}
