/** New configurations: what is put in force, in which order, and what is refused. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { ConfigView } from '../../src/admin/index.ts';
import { admin, adminJson, ask, askAll, bench, config } from './kit.ts';

const TIMEOUT = { timeout: 30_000 };
const source = async (supervisor: Parameters<typeof adminJson>[0]): Promise<ConfigView['source']> =>
  (await adminJson<ConfigView>(supervisor, '/config?format=json')).source;

test('a new configuration is in force on every worker when the reload ends', TIMEOUT, async (t) => {
  const { start, write } = bench(t);
  const supervisor = await start(config({ workers: 3 }));
  await supervisor.ready;
  const port = supervisor.address('web')?.port;
  for (let version = 2; version <= 6; version++) {
    write(config({ workers: 3, services: `a s${version}` }));
    assert.deepEqual(await supervisor.reload(), { accepted: true, version, faults: [] });
    const infos = await askAll(supervisor, 3);
    for (const info of infos) {
      assert.deepEqual(
        [info.version, info.deltas],
        [version, version],
        'one delta per version, none skipped',
      );
      assert.deepEqual(
        info.services.map(({ name }) => name),
        ['a', `s${version}`],
      );
    }
  }
  assert.equal(supervisor.address('web')?.port, port, 'port 0 stays what it became');
  assert.equal((await admin(supervisor, '/ready')).status, 200);
});

test('saving the file is enough', TIMEOUT, async (t) => {
  const { start, write, log } = bench(t);
  const supervisor = await start(config({ workers: 1 }));
  await supervisor.ready;
  write(config({ workers: 1, services: 'a b' }));
  await log.until(/^configuration in force/, 2);
  assert.equal((await askAll(supervisor, 1))[0]?.version, 2);
});

test('reloads asked for at once are put in force one after the other', TIMEOUT, async (t) => {
  const { start, write } = bench(t);
  const supervisor = await start(config({}));
  await supervisor.ready;
  write(config({ services: 'a b' }));
  const results = await Promise.all(Array.from({ length: 8 }, () => supervisor.reload()));
  assert.ok(results.every(({ accepted }) => accepted));
  const last = Math.max(...results.map(({ version }) => version));
  for (const info of await askAll(supervisor, 2)) assert.equal(info.version, last);
});

test('a bad file leaves the last good configuration in force, and says so', TIMEOUT, async (t) => {
  const { start, write, log } = bench(t);
  const supervisor = await start(config({}));
  await supervisor.ready;
  write('listeners: nonsense\n');
  const result = await supervisor.reload();
  assert.deepEqual([result.accepted, result.version], [false, 1]);
  assert.match(result.faults.join('\n'), /outboard\.yaml:1:/);
  const state = await source(supervisor);
  assert.deepEqual([state.version, state.rejected >= 1], [1, true]);
  assert.match(state.lastError ?? '', /outboard\.yaml:1:/);
  assert.ok(log.has(/configuration refused; the last good one stays/));
  const metrics = await (await admin(supervisor, '/metrics')).text();
  assert.match(metrics, /^outboard_config_last_reload_success 0$/m);
  assert.match(metrics, /^outboard_config_version 1$/m);
  assert.equal((await admin(supervisor, '/ready')).status, 200, 'the node serves');
  write(config({}));
  assert.equal((await supervisor.reload()).accepted, true);
  assert.equal((await source(supervisor)).lastError, null);
});

test(
  'a taken port is refused, the rest stays, and it is put in force once the port is free',
  TIMEOUT,
  async (t) => {
    const { start, write, log } = bench(t);
    const supervisor = await start(config({}), { tuning: { refusedRetryMs: 20 } });
    await supervisor.ready;
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    t.after(() => squatter.close());
    const { port } = squatter.address() as { port: number };
    write(
      config({
        services: 'a b',
        listeners: `{ name: web, address: "127.0.0.1:0" }, { name: second, address: "127.0.0.1:${port}" }`,
      }),
    );
    const result = await supervisor.reload();
    assert.equal(result.accepted, false);
    assert.match(
      result.faults[0] ?? '',
      new RegExp(`^listener second: cannot listen on 127\\.0\\.0\\.1:${port}`),
    );
    assert.equal(supervisor.address('second'), undefined);
    for (const info of await askAll(supervisor, 2)) assert.equal(info.services.length, 1);
    assert.match((await source(supervisor)).lastError ?? '', /listener second/);
    await new Promise((resolve) => squatter.close(resolve));
    await log.until(/^configuration in force/, 2);
    assert.match(await ask(supervisor, 'info', 'second'), /"column"/);
    assert.equal((await source(supervisor)).lastError, null);
    assert.equal(
      log.entries.filter(({ message }) => message.startsWith('listener second')).length,
      1,
      'told once',
    );
  },
);

test('a configuration that the workers cannot serve is taken back', TIMEOUT, async (t) => {
  const { start, write, log } = bench(t);
  const supervisor = await start(config({}));
  await supervisor.ready;
  const listeners = '{ name: web, address: "127.0.0.1:0" }, { name: faulty, address: "127.0.0.1:0" }';
  write(config({ services: 'a b', listeners }));
  const result = await supervisor.reload();
  assert.deepEqual([result.accepted, result.faults], [false, ['listener faulty: out of order']]);
  for (const info of await askAll(supervisor, 2)) {
    assert.deepEqual(
      info.services.map(({ name }) => name),
      ['a'],
    );
    assert.equal(info.version, result.version);
  }
  assert.equal((await admin(supervisor, '/ready')).status, 200);
  assert.ok(log.has(/not put in force/));
  write(config({ services: 'a c' }));
  assert.equal((await supervisor.reload()).accepted, true);
  for (const info of await askAll(supervisor, 2))
    assert.deepEqual(
      info.services.map(({ name }) => name),
      ['a', 'c'],
    );
});

test('slots of removed services are used again; a service that stays keeps its slot', TIMEOUT, async (t) => {
  const { start, write } = bench(t);
  const supervisor = await start(config({}));
  await supervisor.ready;
  const slots = new Set<number>();
  let kept: number | undefined;
  for (let i = 0; i < 20; i++) {
    write(config({ services: `a s${i}` }));
    assert.equal((await supervisor.reload()).accepted, true);
    const [info] = await askAll(supervisor, 2);
    const [a, other] = info?.services ?? [];
    kept ??= a?.slot;
    assert.equal(a?.slot, kept);
    slots.add(other?.slot ?? -1);
  }
  const metrics = await (await admin(supervisor, '/metrics')).text();
  const used = (table: string): number =>
    Number(
      new RegExp(`^outboard_ledger_slots\\{table="${table}",state="used"\\} (\\d+)$`, 'm').exec(metrics)?.[1],
    );
  assert.deepEqual([used('services'), used('endpoints')], [2, 2]);
  assert.equal(slots.has(-1), false);
});

test('listeners come and go, between addresses that overlap too', TIMEOUT, async (t) => {
  const { start, write } = bench(t);
  const supervisor = await start(config({}));
  await supervisor.ready;
  const web = '{ name: web, address: "127.0.0.1:0" }';
  write(config({ listeners: `${web}, { name: more, address: "127.0.0.1:0" }` }));
  assert.equal((await supervisor.reload()).accepted, true);
  const port = supervisor.address('more')?.port;
  assert.match(await ask(supervisor, 'info', 'more'), /"version":2/);
  write(config({ listeners: `${web}, { name: wide, address: "0.0.0.0:${port}" }` }));
  assert.deepEqual((await supervisor.reload()).faults, []);
  assert.match(await ask(supervisor, 'info', 'wide'), /"version":3/);
  write(config({ listeners: web }));
  assert.equal((await supervisor.reload()).accepted, true);
  assert.equal(supervisor.address('wide'), undefined);
});

test('what only a new process can change is told', TIMEOUT, async (t) => {
  const { start, write, log } = bench(t);
  const supervisor = await start(config({ workers: 1 }));
  await supervisor.ready;
  write(config({ workers: 2 }));
  assert.equal((await supervisor.reload()).accepted, true);
  const [entry] = await log.until(/a change of workers needs a restart/);
  assert.deepEqual(entry?.fields, { running: 1, configured: 2 });
  assert.equal((await adminJson<unknown[]>(supervisor, '/workers')).length, 1);
});

test(
  'a worker that starts during a publication ends up with the newest configuration',
  TIMEOUT,
  async (t) => {
    const { start, write, log } = bench(t);
    const supervisor = await start(config({}), { tuning: { restartBackoffMinMs: 1 } });
    await supervisor.ready;
    for (let i = 0; i < 5; i++) {
      write(config({ services: `a s${i}` }));
      supervisor.killWorker(i % 2);
      const [result] = await Promise.all([
        supervisor.reload(),
        log.until(/^worker ended unexpectedly/, i + 1),
      ]);
      assert.equal(result.accepted, true);
      for (const info of await askAll(supervisor, 2)) {
        assert.deepEqual([info.version, info.services[1]?.name], [result.version, `s${i}`]);
      }
    }
  },
);
