/**
 * What a rate limit costs a request: `node bench/micro/token-bucket.ts`. A clock read afresh is part of it. Best and median of
 * rounds, in nanoseconds per request: alone, and with four threads that take from one bucket at once (wall time of one thread).
 */
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { attachLedger, bucketShape, createLedger, type LedgerBuffers } from '../../src/ledger/index.ts';

const ROUNDS = 15;
const PER_ROUND = 200_000;
const THREADS = 4;

interface Job {
  readonly buffers: LedgerBuffers;
  readonly worker: number;
  readonly table: number;
  readonly start: Int32Array<SharedArrayBuffer>;
}

const KEYS = Array.from({ length: 1_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);

/** Nanoseconds per request of each round, sorted. */
function rounds({ buffers, worker, table }: Omit<Job, 'start'>, burst: number): number[] {
  const ledger = attachLedger(buffers, worker);
  const bucket = ledger.rateLimits.open(0, table, bucketShape(1_000_000, 1_000, burst));
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = ledger.nowMs();
    for (let i = 0; i < PER_ROUND; i++) bucket.take(KEYS[i % KEYS.length] as string, ledger.nowMs());
    times.push(((ledger.nowMs() - startMs) * 1e6) / PER_ROUND);
  }
  return times.sort((a, b) => a - b);
}

function report(name: string, times: readonly number[]): void {
  const median = times[times.length >> 1] as number;
  process.stdout.write(
    `${name.padEnd(44)} best ${times[0]?.toFixed(0)} ns, median ${median.toFixed(0)} ns\n`,
  );
}

async function contended(table: number): Promise<number[]> {
  const { buffers } = ledger();
  const start = new Int32Array(new SharedArrayBuffer(4));
  const threads = Array.from({ length: THREADS }, (_, worker) => {
    const job: Job = { buffers, worker, table, start };
    return new Worker(new URL(import.meta.url), { workerData: job });
  });
  const done = threads.map(
    (thread) =>
      new Promise<number[]>((resolve) => thread.once('message', (times: number[]) => resolve(times))),
  );
  await Promise.all(threads.map((thread) => new Promise((resolve) => thread.once('online', resolve))));
  Atomics.store(start, 0, 1);
  Atomics.notify(start, 0);
  return (await Promise.all(done)).flat().sort((a, b) => a - b);
}

function ledger(): ReturnType<typeof createLedger> {
  return createLedger({ workers: THREADS, maxServices: 1, maxEndpoints: 1, maxLimits: 1, maxLimitTables: 1 });
}

if (isMainThread) {
  const full = 10_000_000;
  report('one bucket, alone, token taken', rounds({ buffers: ledger().buffers, worker: 0, table: -1 }, full));
  report(
    'one bucket, alone, nearly all refused',
    rounds({ buffers: ledger().buffers, worker: 0, table: -1 }, 1),
  );
  report('1,000 keys, alone, token taken', rounds({ buffers: ledger().buffers, worker: 0, table: 0 }, full));
  process.stdout.write(`${THREADS} threads on ${availableParallelism()} processors:\n`);
  report('one bucket', await contended(-1));
  report('1,000 keys', await contended(0));
} else {
  const { start, ...job } = workerData as Job;
  Atomics.wait(start, 0, 0);
  parentPort?.postMessage(rounds(job, 10_000_000));
}
