/** The access log's writer: whole lines, rotation, readers that stop, disks that fail. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import { AccessLog, type CounterBlock, WORKER_COUNTER, WorkerMetrics } from '../../src/telemetry/index.ts';
import { newCells } from './kit.ts';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'outboard-log-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

interface Opened {
  readonly log: AccessLog;
  readonly counters: CounterBlock;
  readonly errors: string[];
}

function open(path: string): Opened {
  const errors: string[] = [];
  const log = new AccessLog({ path, onError: (message) => errors.push(message) });
  const counters = new WorkerMetrics(newCells(), () => {}).worker;
  log.countInto(counters);
  return { log, counters, errors };
}

/** Lines by number, so that a reader can tell which came. */
const numbered = (i: number, length = 200): string => `{"n":${i},"x":"${'y'.repeat(length)}"}\n`;
const numbers = (text: string): number[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { n: number }).n);

/** Resolves when `done()` holds, asked after every write that the log makes. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

test('lines reach the file in order and are counted', async (t) => {
  const path = join(directory(t), 'access.log');
  const { log, counters } = open(path);
  for (let i = 0; i < 5_000; i++) log.write(numbered(i));
  await log.close(5_000);
  assert.deepEqual(numbers(readFileSync(path, 'utf8')), [...Array(5_000).keys()]);
  assert.equal(counters.read(WORKER_COUNTER.accessLogLines), 5_000);
  assert.equal(counters.read(WORKER_COUNTER.accessLogDropped), 0);
  assert.equal(statSync(path).mode & 0o777, 0o640);
});

test('a line alone is written without waiting for company for long', async (t) => {
  const path = join(directory(t), 'access.log');
  const { log, counters } = open(path);
  log.write(numbered(1));
  await until(() => counters.read(WORKER_COUNTER.accessLogLines) === 1);
  assert.deepEqual(numbers(readFileSync(path, 'utf8')), [1]);
  await log.close(1_000);
});

test('after a rotation new lines go to the new file, and none is lost', async (t) => {
  const path = join(directory(t), 'access.log');
  const { log, counters } = open(path);
  for (let i = 0; i < 3_000; i++) log.write(numbered(i));
  renameSync(path, `${path}.1`);
  log.reopen();
  for (let i = 3_000; i < 6_000; i++) log.write(numbered(i));
  await until(() => existsSync(path) && counters.read(WORKER_COUNTER.accessLogLines) === 6_000);
  log.write(numbered(6_000));
  await log.close(5_000);
  const old = numbers(readFileSync(`${path}.1`, 'utf8'));
  const current = numbers(readFileSync(path, 'utf8'));
  assert.deepEqual([...old, ...current], [...Array(6_001).keys()]);
  assert.ok(current.includes(6_000));
});

test('a reopening that fails is reported and the old file stays in use', async (t) => {
  const folder = directory(t);
  const path = join(folder, 'sub', 'access.log');
  execFileSync('mkdir', [join(folder, 'sub')]);
  const { log, errors } = open(path);
  renameSync(join(folder, 'sub'), join(folder, 'moved'));
  log.reopen();
  await until(() => errors.length > 0);
  log.write(numbered(1));
  await log.close(1_000);
  assert.match(errors[0] as string, /can't reopen the access log .*ENOENT/);
  assert.deepEqual(numbers(readFileSync(join(folder, 'moved', 'access.log'), 'utf8')), [1]);
});

test('a path that cannot be opened is an error that names it', () => {
  assert.throws(
    () => open('/nonexistent/access.log'),
    /can't open the access log \/nonexistent\/access.log: ENOENT.*check/,
  );
});

test('a full disk costs lines, which are counted and reported once', {
  skip: !existsSync('/dev/full') && 'no /dev/full here',
}, async () => {
  const { log, counters, errors } = open('/dev/full');
  for (let i = 0; i < 5_000; i++) log.write(numbered(i));
  await log.close(5_000);
  assert.equal(counters.read(WORKER_COUNTER.accessLogDropped), 5_000);
  assert.equal(errors.length, 1);
  assert.match(errors[0] as string, /ENOSPC/);
});

test('a pipe whose reader stops costs a bounded buffer; when it reads again, what it gets is whole lines in order', async (t) => {
  const path = join(directory(t), 'pipe');
  execFileSync('mkfifo', [path]);
  // Holds the pipe open for reading without reading; a shell does, because opening it here would wait for a writer.
  const holder = spawn('sh', ['-c', 'exec 3<>"$1"; echo held; exec sleep 60', 'sh', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => holder.kill());
  await once(holder.stdout, 'data');
  const { log, counters, errors } = open(path);
  const total = 3 * Math.ceil(LIMITS.accessLogBufferBytes / numbered(0).length);
  for (let i = 0; i < total; i++) {
    log.write(numbered(i));
    if (i % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const dropped = counters.read(WORKER_COUNTER.accessLogDropped);
  assert.ok(dropped > total / 2, `${dropped} of ${total} lines were dropped`);
  assert.deepEqual(errors, []);
  const reader = createReadStream(path, { encoding: 'latin1' });
  let text = '';
  reader.on('data', (chunk) => {
    text += chunk;
  });
  await until(
    () =>
      counters.read(WORKER_COUNTER.accessLogLines) + dropped === total &&
      text.split('\n').length === total - dropped + 1,
  );
  const got = numbers(text);
  assert.deepEqual(
    got,
    [...got].sort((a, b) => a - b),
  );
  assert.equal(got[0], 0);
  log.write(numbered(total));
  await until(() => text.includes(`"n":${total},`));
  reader.destroy();
  await log.close(1_000);
});

test('closing gives up on a reader that never comes back, in the time given', async (t) => {
  const path = join(directory(t), 'pipe');
  execFileSync('mkfifo', [path]);
  const holder = spawn('sh', ['-c', 'exec 3<>"$1"; echo held; exec sleep 60', 'sh', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => holder.kill());
  await once(holder.stdout, 'data');
  const { log, counters } = open(path);
  for (let i = 0; i < 2_000; i++) log.write(numbered(i));
  await log.close(50);
  const written = counters.read(WORKER_COUNTER.accessLogLines);
  assert.ok(written > 0 && written < 2_000);
  assert.equal(written + counters.read(WORKER_COUNTER.accessLogDropped), 2_000);
  log.write(numbered(2_001));
  assert.equal(written + counters.read(WORKER_COUNTER.accessLogDropped), 2_001);
});

test('several writers of one pipe never mix their lines', async (t) => {
  const path = join(directory(t), 'pipe');
  execFileSync('mkfifo', [path]);
  const holder = spawn('sh', ['-c', 'exec 3<>"$1"; echo held; exec sleep 60', 'sh', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => holder.kill());
  await once(holder.stdout, 'data');
  const writers = [0, 1, 2, 3].map(() => open(path));
  const reader = createReadStream(path, { encoding: 'latin1' });
  let text = '';
  reader.on('data', (chunk) => {
    text += chunk;
  });
  for (let i = 0; i < 500; i++)
    for (const [w, { log }] of writers.entries()) log.write(numbered(w * 500 + i, 100 + 700 * w));
  await until(() => text.split('\n').length === 2_001);
  assert.deepEqual(
    numbers(text).sort((a, b) => a - b),
    [...Array(2_000).keys()],
  );
  reader.destroy();
  for (const { log } of writers) await log.close(1_000);
});

test('stdout that is a pipe is written without blocking the process', async () => {
  const script = `
    import { AccessLog } from './src/telemetry/index.ts';
    const log = new AccessLog({ path: 'stdout', onError: (message) => console.error(message) });
    for (let i = 0; i < 40000; i++) log.write('{"n":' + i + '}\\n');
    setTimeout(() => { console.error('alive'); }, 20);
    process.stdin.resume();
    process.stdin.on('end', async () => { await log.close(5000); process.exit(0); });
  `;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
  });
  await once(child.stderr, 'data');
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  child.stdin.end();
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  assert.deepEqual(numbers(text), [...Array(40_000).keys()]);
});
