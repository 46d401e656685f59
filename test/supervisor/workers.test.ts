/** Workers that hang, crash or keep crashing; and planned restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterView, WorkerView } from '../../src/admin/index.ts';
import { backoffMs } from '../../src/supervisor/worker-slot.ts';
import type { Supervisor } from '../../src/supervisor.ts';
import { admin, adminJson, ask, askAll, bench, config, order } from './kit.ts';

const TIMEOUT = { timeout: 60_000 };

async function activeRequests(supervisor: Supervisor): Promise<number | undefined> {
  const [cluster] = await adminJson<ClusterView[]>(supervisor, '/clusters');
  return cluster?.circuitBreaker.requests.active;
}

async function untilReady(supervisor: Supervisor): Promise<void> {
  while ((await admin(supervisor, '/ready')).status !== 200)
    await new Promise((resolve) => setImmediate(resolve));
}

test('a worker that ends is replaced at once, and what it held is given back', TIMEOUT, async (t) => {
  for (const command of ['throw', 'exit']) {
    const { start, log } = bench(t);
    const supervisor = await start(config({ workers: 1 }));
    await supervisor.ready;
    assert.equal(await ask(supervisor, 'hold'), 'true');
    assert.equal(await ask(supervisor, 'hold'), 'true');
    assert.equal(await activeRequests(supervisor), 2);
    await order(supervisor, command);
    const [entry] = await log.until(/^worker ended unexpectedly/);
    assert.match(
      String(entry?.fields.reason),
      command === 'throw' ? /^Error: thrown on demand\n.*at / : /code 7/,
    );
    await untilReady(supervisor);
    assert.equal(await activeRequests(supervisor), 0);
    const [worker] = await adminJson<WorkerView[]>(supervisor, '/workers');
    assert.deepEqual([worker?.crashes, worker?.state], [1, 'ready']);
    assert.match(await ask(supervisor, 'info'), /"column"/);
  }
});

test('a worker whose loop does not turn is ended by the watchdog', TIMEOUT, async (t) => {
  const { start, log } = bench(t);
  const supervisor = await start(config({ workers: 1 }), { tuning: { watchdogMs: 600, heartbeatMs: 50 } });
  await supervisor.ready;
  await ask(supervisor, 'hold');
  await order(supervisor, 'spin');
  const [entry] = await log.until(/^worker ended unexpectedly/);
  assert.match(String(entry?.fields.reason), /^no heartbeat for \d+ ms$/);
  await untilReady(supervisor);
  assert.equal(await activeRequests(supervisor), 0);
});

test('a worker that cannot be ended is told as fatal', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const fatal = Promise.withResolvers<string>();
  const supervisor = await start(config({ workers: 1 }), {
    tuning: { watchdogMs: 300, heartbeatMs: 50, workerEndMs: 100 },
    onFatal: fatal.resolve,
  });
  await supervisor.ready;
  await order(supervisor, 'block 500');
  assert.match(await fatal.promise, /^worker 0 could not be ended within 100 ms \(no heartbeat .*restarted$/);
});

test('while a worker is gone the node is not ready, and says which', TIMEOUT, async (t) => {
  const { start, log, write } = bench(t);
  const tuning = { restartBackoffMinMs: 60_000, restartBackoffMaxMs: 60_000 };
  const supervisor = await start(config({ workers: 2 }), { tuning });
  await supervisor.ready;
  write(config({ workers: 2, more: 'tracing: { serviceName: crash-on-start }' }));
  assert.equal((await supervisor.reload()).accepted, true);
  supervisor.killWorker(1);
  await log.until(/^worker keeps failing/);
  const answer = await admin(supervisor, '/ready');
  assert.deepEqual([answer.status, await answer.text()], [503, 'degraded\nworker 1 is not running\n']);
  assert.match(await ask(supervisor, 'info'), /"column"/, 'the other one serves');
});

test('a crash loop is slowed down, and ends when the cause does', TIMEOUT, async (t) => {
  const { start, log, write } = bench(t);
  const tuning = { restartBackoffMinMs: 10, restartBackoffMaxMs: 40 };
  const supervisor = await start(config({ workers: 1 }), { tuning });
  await supervisor.ready;
  write(config({ workers: 1, more: 'tracing: { serviceName: crash-on-start }' }));
  await supervisor.reload();
  supervisor.killWorker(0);
  const waits = await log.until(/^worker keeps failing/, 4);
  assert.deepEqual(
    waits.map(({ fields }) => fields.delayMs),
    [10, 20, 40, 40],
  );
  write(config({ workers: 1 }));
  await supervisor.reload();
  await untilReady(supervisor);
  assert.match(await ask(supervisor, 'info'), /"column"/);
});

test('the wait doubles from a second to half a minute', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((failures) => backoffMs(failures));
  assert.deepEqual(waits, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test('a planned restart starts the successor first: the only worker is never missed', TIMEOUT, async (t) => {
  const { start, log } = bench(t);
  const supervisor = await start(config({ workers: 1 }));
  await supervisor.ready;
  const refused: string[] = [];
  let calls = 0;
  let stop = false;
  const caller = (async () => {
    while (!stop) {
      calls++;
      // A connection that waits to be accepted when its listener closes is reset unless net.ipv4.tcp_migrate_req is 1.
      await ask(supervisor, 'info').catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNRESET') refused.push(String(error.code));
      });
    }
  })();
  for (let round = 1; round <= 4; round++) {
    await supervisor.restartWorker(0);
    assert.equal((await admin(supervisor, '/ready')).status, 200);
    await log.until(/^worker ended$/, round);
  }
  stop = true;
  await caller;
  assert.deepEqual(refused, []);
  assert.ok(calls > 0);
  assert.equal((await adminJson<WorkerView[]>(supervisor, '/workers'))[0]?.crashes, 0);
});

test('the old thread of a restart finishes its requests', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const supervisor = await start(config({ workers: 1 }));
  await supervisor.ready;
  const waiting = ask(supervisor, 'wait');
  const before = await askAll(supervisor, 1);
  await supervisor.restartWorker(0);
  assert.equal(await waiting, 'drained');
  const after = await askAll(supervisor, 1);
  assert.notEqual(after[0]?.column, before[0]?.column);
});

test('a successor that fails leaves the old worker where it is', TIMEOUT, async (t) => {
  const { start, write } = bench(t);
  const supervisor = await start(config({ workers: 1 }));
  await supervisor.ready;
  write(config({ workers: 1, more: 'tracing: { serviceName: crash-on-start }' }));
  await supervisor.reload();
  await assert.rejects(
    supervisor.restartWorker(0),
    /the successor of worker 0 could not start: .*crashed on start/s,
  );
  const answer = await admin(supervisor, '/workers/0/restart', 'POST');
  assert.equal(answer.status, 409);
  assert.match(await ask(supervisor, 'info'), /"column":0/);
  assert.equal((await admin(supervisor, '/ready')).status, 200);
  await assert.rejects(supervisor.restartWorker(5), /there is no worker 5/);
});

test('all workers can be restarted at once; they take turns', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const supervisor = await start(config({ workers: 3 }));
  await supervisor.ready;
  await Promise.all([0, 1, 2, 0, 1, 2].map((index) => supervisor.restartWorker(index)));
  assert.equal((await admin(supervisor, '/ready')).status, 200);
  await askAll(supervisor, 3);
});

test('the log level changes at run time; logs anew and profiles reach the workers', TIMEOUT, async (t) => {
  const { start, log } = bench(t);
  const supervisor = await start(config({ workers: 2 }));
  await supervisor.ready;
  assert.equal((await admin(supervisor, '/log-level?level=debug', 'POST')).status, 200);
  supervisor.reopenLogs();
  assert.equal(log.level, 'debug');
  const profile = admin(supervisor, '/cpu-profile?worker=1&seconds=1', 'POST');
  for (const info of await askAll(supervisor, 2)) assert.equal(info.reopened, 1);
  supervisor.killWorker(0);
  await log.until(/^worker ended unexpectedly/);
  await untilReady(supervisor);
  assert.equal(await (await profile).text(), '{"of":1}');
});
