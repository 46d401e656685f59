/** The end: not ready first, requests in flight finish, nothing stays behind. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { WorkerView } from '../../src/admin/index.ts';
import { admin, adminJson, ask, askAll, bench, config } from './kit.ts';

const TIMEOUT = { timeout: 30_000 };

test('requests in flight end, and the exit code is 0', TIMEOUT, async (t) => {
  const { start, log } = bench(t);
  const supervisor = await start(config({ workers: 2 }));
  await supervisor.ready;
  const { port = 0 } = supervisor.address('web') ?? {};
  const inFlight = [ask(supervisor, 'wait'), ask(supervisor, 'wait'), ask(supervisor, 'wait')];
  // A connection that no worker has accepted yet is nobody's to drain.
  for (let waiting = 0; waiting < inFlight.length; )
    waiting = (await askAll(supervisor, 2)).reduce((sum, info) => sum + info.waiting, 0);
  const code = supervisor.drainAndStop();
  assert.deepEqual(await Promise.all(inFlight), ['drained', 'drained', 'drained']);
  assert.equal(await code, 0);
  assert.equal(await supervisor.drainAndStop(), 0, 'asking twice changes nothing');
  await assert.rejects(admin(supervisor, '/live'), 'the admin server is closed');
  const error = await new Promise((resolve) => connect(port, '127.0.0.1').on('error', resolve));
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
  assert.ok(!log.has(/cut off|unexpectedly/));
});

test(
  'what does not end in time is cut off and counted, and the exit code is 0 all the same',
  TIMEOUT,
  async (t) => {
    const { start, log } = bench(t);
    const supervisor = await start(config({ workers: 1 }).replace('drainTimeout: 2s', 'drainTimeout: 100ms'));
    await supervisor.ready;
    const never = ask(supervisor, 'never').catch(() => 'cut off');
    await ask(supervisor, 'info');
    assert.equal(await supervisor.drainAndStop(), 0);
    await never;
    const [entry] = await log.until(/^requests cut off/);
    assert.equal(entry?.fields.aborted, 1);
  },
);

test('POST /drain: not ready at once, drained, and the admin server goes on', TIMEOUT, async (t) => {
  const { start, log } = bench(t);
  const supervisor = await start(config({ workers: 2 }));
  await supervisor.ready;
  const answer = await admin(supervisor, '/drain', 'POST');
  assert.equal(answer.status, 202);
  assert.equal(((await answer.json()) as { state: string }).state, 'draining');
  const ready = await admin(supervisor, '/ready');
  assert.deepEqual([ready.status, await ready.text()], [503, 'draining\nthe process drains\n']);
  await log.until(/^drained$/);
  assert.equal((await admin(supervisor, '/live')).status, 200);
  const workers = await adminJson<WorkerView[]>(supervisor, '/workers');
  assert.deepEqual(
    workers.map(({ state }) => state),
    ['stopped', 'stopped'],
  );
  assert.equal(
    (await admin(supervisor, '/workers/0/restart', 'POST')).status,
    409,
    'no worker starts any more',
  );
  assert.equal(await supervisor.drainAndStop(), 0);
});

test('a worker that crashes while it drains is not replaced', TIMEOUT, async (t) => {
  const { start, log } = bench(t);
  const supervisor = await start(config({ workers: 1 }));
  await supervisor.ready;
  const { port = 0 } = supervisor.address('web') ?? {};
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.write('never\n');
  await ask(supervisor, 'info');
  const code = supervisor.drainAndStop();
  socket.write('throw\n');
  assert.equal(await code, 0);
  const [entry] = await log.until(/^worker ended/);
  assert.match(String(entry?.fields.reason), /thrown on demand/);
  assert.ok(!log.has(/keeps failing|in time/));
});

test('a stop before it is ready stops it', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const supervisor = await start(config({ workers: 2 }));
  assert.equal(await supervisor.drainAndStop(), 0);
});
