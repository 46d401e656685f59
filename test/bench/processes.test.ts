/** What the harness starts is pinned, waited for and ended; what fails to start says why. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allowedCores } from '../../bench/harness/cores.ts';
import { freePorts } from '../../bench/harness/ports.ts';
import { Processes } from '../../bench/harness/processes.ts';
import { findPrograms } from '../../bench/harness/programs.ts';

const [core = 0] = allowedCores();
const SERVE = "require('node:fs').writeFileSync(process.argv[1], ''); setInterval(() => {}, 1000)";

test('a server is pinned to its core, waited for, and gone after stopAll', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-bench-test-'));
  const processes = new Processes();
  try {
    const file = join(directory, 'ready');
    const { pid } = await processes.start('server', [process.execPath, '-e', SERVE, file], {
      core,
      ready: async () => existsSync(file),
    });
    assert.match(
      readFileSync(`/proc/${pid}/status`, 'utf8'),
      new RegExp(`^Cpus_allowed_list:\\s*${core}$`, 'm'),
    );
    await processes.stopAll();
    assert.equal(existsSync(`/proc/${pid}`), false);
  } finally {
    await processes.stopAll();
    rmSync(directory, { recursive: true });
  }
});

test('a server that ends before it is ready is an error with its last words', async () => {
  const processes = new Processes();
  const script = "process.stderr.write('port taken'); process.exit(3)";
  await assert.rejects(
    processes.start('server', [process.execPath, '-e', script], { core, ready: async () => false }),
    /did not start[\s\S]*port taken/,
  );
  await processes.stopAll();
});

test('a program that fails or takes too long is ended and an error', async () => {
  const processes = new Processes();
  const run = (script: string, timeoutMs: number) =>
    processes.run([process.execPath, '-e', script], { core, timeoutMs });
  assert.equal(await run("process.stdout.write('done')", 20_000), 'done');
  await assert.rejects(run("process.stderr.write('no such host'); process.exit(2)", 20_000), /no such host/);
  await assert.rejects(run('setInterval(() => {}, 1000)', 100), /SIGKILL/);
  await processes.stopAll();
});

test('ports are free and differ', async () => {
  const ports = await freePorts(20);
  assert.equal(new Set(ports).size, 20);
});

test('a program that is not there is null', () => {
  const path = process.env.PATH;
  const home = process.env.HOME;
  process.env.PATH = '';
  process.env.HOME = '/nonexistent';
  try {
    assert.equal(findPrograms('/nonexistent').oha, null);
  } finally {
    process.env.PATH = path;
    process.env.HOME = home;
  }
});
