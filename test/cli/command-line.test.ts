/** The command line as a user meets it: exit codes, messages, and what signals do. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const TIMEOUT = { timeout: 60_000 };

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<{ code: number | null; out: string; err: string }>;
  /** Resolves when what was written to standard error has matched. */
  said(pattern: RegExp): Promise<void>;
}

function start(t: TestContext, args: readonly string[]): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => void child.kill('SIGKILL'));
  let out = '';
  let err = '';
  let waiters: (() => void)[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk;
    for (const waiter of waiters.splice(0)) waiter();
  });
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, out, err }));
  return {
    child,
    exited,
    async said(pattern) {
      while (!pattern.test(err)) {
        if (child.exitCode !== null) throw new Error(`it ended; it said: ${err}`);
        await new Promise<void>((resolve) => {
          waiters = [...waiters, resolve];
        });
      }
    },
  };
}

const run = (t: TestContext, ...args: string[]) => start(t, args).exited;

function configFile(t: TestContext, listener = '127.0.0.1:0'): string {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-cli-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'outboard.yaml');
  writeFileSync(file, yaml(listener));
  return file;
}

const yaml = (listener: string, more = ''): string => `
listeners: [{ name: web, address: "${listener}" }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }] }] }]
services: [{ name: a, endpoints: [{ address: "127.0.0.1:9" }] }]
admin: { address: "127.0.0.1:0" }
workers: 1
${more}
`;

test('a wrong command line is told and exits with 2', TIMEOUT, async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /Usage: outboard/],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['validat'], /Did you mean validate/],
    [['run'], /--config <file>' not specified/],
    [['run', '--config'], /argument missing/],
    [['run', '-c', 'x', '--cofnig', 'y'], /unknown option '--cofnig'[\s\S]*--config/],
    [['run', '-c', 'x', '--workers', '0'], /Expected a number from 1/],
    [['run', '-c', 'x', '--admin', 'localhost'], /Expected host:port/],
    [['run', '-c', 'x', '--admin', '127.0.0.1:70000'], /Expected host:port/],
    [['run', '-c', 'x', '--jaeger', 'localhost:4318'], /Expected a URL/],
    [['run', '-c', 'x', '--log-level', 'loud'], /Expected one of debug, info/],
    [['run', '-c', 'x', 'y'], /too many arguments/],
    [['validate'], /missing required argument/],
  ];
  await Promise.all(
    cases.map(async ([args, pattern]) => {
      const { code, err } = await run(t, ...args);
      assert.equal(code, 2, args.join(' '));
      assert.match(err, pattern);
    }),
  );
});

test('help, version, schema and doctor exit with 0', TIMEOUT, async (t) => {
  const [help, version, flag, schema, doctor] = await Promise.all([
    run(t, '--help'),
    run(t, 'version'),
    run(t, '--version'),
    run(t, 'schema'),
    run(t, 'doctor'),
  ]);
  assert.deepEqual([help.code, version.code, flag.code, schema.code, doctor.code], [0, 0, 0, 0, 0]);
  assert.match(version.out, /^outboard \d+\.\d+\.\d+ \(node \d+/);
  assert.match(flag.out, /^\d+\.\d+\.\d+$/m);
  assert.equal(typeof JSON.parse(schema.out).$schema, 'string');
  assert.match(doctor.out, /^(ok|warning) .*tcp_migrate_req/m);
});

test('a reader that takes its time gets all of a long output', TIMEOUT, async () => {
  const line = '"$0" "$1" schema | { read -r first; printf %s "$first"; cat; }';
  const child = spawn('sh', ['-c', line, process.execPath, MAIN], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  assert.equal(typeof JSON.parse(text).$schema, 'string');
});

test('validate tells faults as text and as JSON', TIMEOUT, async (t) => {
  const good = configFile(t);
  const bad = configFile(t, 'nonsense');
  const [valid, invalid, asJson, missing] = await Promise.all([
    run(t, 'validate', good),
    run(t, 'validate', bad),
    run(t, 'validate', '--json', bad),
    run(t, 'validate', '--json', join(good, 'none')),
  ]);
  assert.deepEqual([valid.code, invalid.code, asJson.code, missing.code], [0, 1, 1, 2]);
  assert.match(invalid.err, /outboard\.yaml:2:\d+: error: listeners\[0\]\.address/);
  const report = JSON.parse(asJson.out);
  assert.deepEqual([report.valid, report.faults[0].line], [false, 2]);
});

test('a taken port is one line and exit code 1, and nothing stays behind', TIMEOUT, async (t) => {
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
  t.after(() => squatter.close());
  const { port } = squatter.address() as { port: number };
  const { code, err } = await run(t, 'run', '-c', configFile(t, `127.0.0.1:${port}`));
  assert.equal(code, 1);
  assert.match(
    err,
    new RegExp(`^listener web: cannot listen on 127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\); .*\n$`),
  );
});

test('SIGTERM and SIGINT drain and exit with 0; SIGHUP reloads; SIGUSR2 reopens logs', TIMEOUT, async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const file = configFile(t);
    const { child, exited, said } = start(t, ['run', '-c', file]);
    await said(/"msg":"ready"/);
    child.kill('SIGUSR2');
    await said(/logs opened anew/);
    child.kill('SIGHUP');
    await said(/"version":2,.*"msg":"configuration in force"/);
    writeFileSync(file, 'nonsense');
    await said(/configuration refused/);
    child.kill(signal);
    const { code, err } = await exited;
    assert.equal(code, 0, err);
    for (const line of err.trim().split('\n')) assert.equal(typeof JSON.parse(line).msg, 'string');
  }
});

test('a second signal ends it at once', TIMEOUT, async (t) => {
  const file = configFile(t);
  writeFileSync(file, yaml('127.0.0.1:0', 'drainTimeout: 10m'));
  const { child, exited, said } = start(t, ['run', '-c', file]);
  await said(/"msg":"ready"/);
  child.kill('SIGSTOP');
  child.kill('SIGTERM');
  child.kill('SIGINT');
  child.kill('SIGCONT');
  const { code } = await exited;
  assert.ok(code === 130 || code === 143, `exit code ${code}`);
});
