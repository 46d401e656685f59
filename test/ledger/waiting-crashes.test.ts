// A worker that dies at any atomic step of returning, waiting for, or giving up a connection slot
// must not take the wake-up of another with it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { attachLedger, GAUGE, type Ledger, type WorkerLedger } from '../../src/ledger/index.ts';
import { dieAt } from './death.ts';
import { makeLedger } from './kit.ts';

let keepAlive: NodeJS.Timeout;
before(() => {
  keepAlive = setInterval(() => undefined, 60_000);
});
after(() => clearInterval(keepAlive));

type Connections = WorkerLedger['connections'];

interface Scene {
  readonly ledger: Ledger;
  readonly holder: Connections;
  readonly victim: Connections;
  readonly waiter: Connections;
}

interface Act {
  /** Who has the only slot, before the waiter waits. */
  prepare(scene: Scene): void;
  /** What happens once the waiter waits too. */
  grant?(scene: Scene): void;
  /** What the victim dies in. */
  run(victim: Connections): void;
  /** What happens after its death. */
  conclude(scene: Scene): void;
}

const nothing = (): void => undefined;

const acts: Record<string, Act> = {
  'returning the slot': {
    prepare: ({ victim }) => assert.ok(victim.acquire(0, 1)),
    run: (victim) => victim.release(0),
    conclude: nothing,
  },
  'starting to wait': {
    prepare: ({ holder }) => assert.ok(holder.acquire(0, 1)),
    run: (victim) => victim.wait(0, 1, nothing),
    conclude: ({ holder }) => holder.release(0),
  },
  'giving up what it has been granted': {
    prepare({ holder, victim }) {
      assert.ok(holder.acquire(0, 1));
      victim.wait(0, 1, nothing);
    },
    grant: ({ holder }) => holder.release(0),
    run: (victim) => victim.stopWaiting(0),
    conclude: nothing,
  },
};

for (const [name, act] of Object.entries(acts)) {
  test(`a worker that dies while ${name} leaves the slot to the one that waits`, async () => {
    let step = 0;
    for (let isAfter = false; ; isAfter = !isAfter) {
      const scene = makeScene();
      act.prepare(scene);
      const taken = takeSlot(scene.waiter);
      act.grant?.(scene);
      if (!dieAt(step, isAfter, () => act.run(scene.victim))) break;
      assert.equal(scene.ledger.giveBack(1, 0), true);
      act.conclude(scene);
      await taken;
      assert.equal(scene.ledger.readGauge(0, GAUGE.connections).active, 1);
      if (isAfter) step++;
    }
    assert.ok(step >= 3, `${step} steps`);
  });
}

function takeSlot(waiter: Connections): Promise<void> {
  return new Promise((resolve) => {
    const attempt = (): void => {
      if (waiter.acquire(0, 1)) resolve();
      else waiter.wait(0, 1, attempt);
    };
    waiter.wait(0, 1, attempt);
  });
}

/** Three workers in this thread. The victim never hears its doorbell: it is dead before it could. */
function makeScene(): Scene {
  const ledger = makeLedger(3, { services: 1, endpoints: 1 });
  ledger.allocateService('cart');
  const [holder, victim, waiter] = [0, 1, 2].map((worker) => {
    ledger.workerStarting(worker, 0);
    return attachLedger(ledger.buffers, worker).connections;
  });
  holder.start(nothing);
  waiter.start(nothing);
  const { waitAsync } = Atomics;
  Atomics.waitAsync = () => ({ async: true, value: new Promise(nothing) });
  victim.start(nothing);
  Atomics.waitAsync = waitAsync;
  return { ledger, holder, victim, waiter };
}
