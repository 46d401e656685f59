// Retry budgets, exact over all workers (Gateway API's retryConstraint; Linkerd's retry budget).
//
// A retry is allowed if the retries of the last interval, this one included, are at most `percent`
// of the requests of that interval, or if the retries of the last minimum interval are at most
// `minCount`. The minimum is a floor, not an addition: 500 requests/s that all fail, with 20 % in
// 10 s and 10/s, average 600 attempts/s (601 in the busiest second), and the floor serves services
// with little traffic.
// Windows slide in 15 steps over 16 sub-buckets, so they cover the interval and up to 1/15 more.
// Requests are counted by each worker alone (no contended write per request) and summed only when a
// retry asks. Retries are shared: count, then check, then undo when over. Of several that ask at
// once the last to count sees all others, so more than allowed never pass; each may see the other
// and both be refused. A worker that dies in between leaves one retry counted until it slides out.
import { BUCKETS, BUDGET_EXHAUSTED, type Layout, type Memory } from './layout.ts';

/** A service's budget; compile once per snapshot and pass the same object each time. */
export interface RetryBudgetPolicy {
  /** Retries allowed per 100 requests, 0 to 100. Default in configuration: 20. */
  readonly percent: number;
  /** Length of the window of `percent`, in ms. Default in configuration: 10,000. */
  readonly intervalMs: number;
  /** Retries always allowed per `minIntervalMs` (Gateway API: minRetryRate.count). Default 10. */
  readonly minCount: number;
  /** Length of the window of `minCount`, in ms (Gateway API: minRetryRate.interval). Default 1,000. */
  readonly minIntervalMs: number;
}

/** What a budget held at a moment: for decision records and admin pages. */
export interface RetryBudgetReading {
  readonly requests: number;
  readonly retries: number;
  /** Retries in the window of the minimum rate. */
  readonly recentRetries: number;
  /** Retries refused since the slot was allocated. */
  readonly exhausted: number;
}

/** One worker's access to the budgets of every service. */
export class RetryBudgets {
  readonly #memory: Memory;
  readonly #layout: Layout;
  readonly #worker: number;

  constructor(memory: Memory, layout: Layout, worker: number) {
    this.#memory = memory;
    this.#layout = layout;
    this.#worker = worker;
  }

  /** Counts one original request (not its retries) into the window. `nowMs`: see WorkerLedger. */
  recordRequest(service: number, nowMs: number, policy: RetryBudgetPolicy): void {
    const memory = this.#memory;
    const step = stepOf(nowMs, policy.intervalMs);
    const bucket = this.#layout.requests(this.#worker, service) + 2 * (step & (BUCKETS - 1));
    if (memory[bucket] !== (step | 0)) {
      Atomics.store(memory, bucket + 1, 0);
      Atomics.store(memory, bucket, step | 0);
    }
    memory[bucket + 1]++;
  }

  /** Asks for one retry and, if allowed, counts it. A refusal is counted as `exhausted`. */
  tryRetry(service: number, nowMs: number, policy: RetryBudgetPolicy): boolean {
    const memory = this.#memory;
    const step = stepOf(nowMs, policy.intervalMs);
    const floorStep = stepOf(nowMs, policy.minIntervalMs);
    const window = this.#layout.retryWindow(service);
    const floorWindow = this.#layout.floorWindow(service);
    const counted = countRetry(memory, window, step);
    const floorCounted = countRetry(memory, floorWindow, floorStep);
    if (counted && floorCounted) {
      const requests = sumRequests(memory, this.#layout, service, step);
      if (sumRetries(memory, window, step) * 100 <= policy.percent * requests) return true;
      if (sumRetries(memory, floorWindow, floorStep) <= policy.minCount) return true;
    }
    if (counted) uncountRetry(memory, window, step);
    if (floorCounted) uncountRetry(memory, floorWindow, floorStep);
    Atomics.add(memory, this.#layout.statistics(service) + BUDGET_EXHAUSTED, 1);
    return false;
  }

  /** What the budget holds now. Allocates: for decision records. */
  read(service: number, nowMs: number, policy: RetryBudgetPolicy): RetryBudgetReading {
    return readBudget(this.#memory, this.#layout, service, nowMs, policy);
  }
}

/** Reads a budget; allocates. */
export function readBudget(
  memory: Memory,
  layout: Layout,
  service: number,
  nowMs: number,
  policy: RetryBudgetPolicy,
): RetryBudgetReading {
  const step = stepOf(nowMs, policy.intervalMs);
  return {
    requests: sumRequests(memory, layout, service, step),
    retries: sumRetries(memory, layout.retryWindow(service), step),
    recentRetries: sumRetries(memory, layout.floorWindow(service), stepOf(nowMs, policy.minIntervalMs)),
    exhausted: Atomics.load(memory, layout.statistics(service) + BUDGET_EXHAUSTED) >>> 0,
  };
}

function stepOf(nowMs: number, intervalMs: number): number {
  return Math.floor((nowMs * (BUCKETS - 1)) / intervalMs);
}

// A worker rotates its bucket by count 0, then step, so a reader that sees the step both before and
// after it reads the count never sees the count of an older step.
function sumRequests(memory: Memory, layout: Layout, service: number, step: number): number {
  let sum = 0;
  for (let worker = 0; worker < layout.workers; worker++) {
    const cells = layout.requests(worker, service);
    for (let bucket = cells; bucket < cells + 2 * BUCKETS; bucket += 2) {
      const found = Atomics.load(memory, bucket);
      const age = (step - found) | 0;
      if (age < 0 || age >= BUCKETS) continue;
      const count = Atomics.load(memory, bucket + 1);
      if (Atomics.load(memory, bucket) === found) sum += count;
    }
  }
  return sum;
}

// A shared bucket packs step (16 bits) and count (16 bits), so that rotation and counting are one
// compare-and-swap. A step that comes round again after 65,536 steps (73 minutes of idleness at
// minIntervalMs 1,000) can only show retries too many.
const COUNT_BITS = 16;
const COUNT_MAX = 0xffff;

/** False: the bucket is full (65,535 retries in one step) and the retry must be refused. */
function countRetry(memory: Memory, window: number, step: number): boolean {
  const word = window + (step & (BUCKETS - 1));
  for (;;) {
    const seen = Atomics.load(memory, word);
    const age = ageOf(step, seen);
    const isCurrent = age === 0 || age === -BUCKETS; // a thread with a late clock joins the newer step
    if (isCurrent && (seen & COUNT_MAX) === COUNT_MAX) return false;
    const next = isCurrent ? seen + 1 : (step << COUNT_BITS) | 1;
    if (Atomics.compareExchange(memory, word, seen, next) === seen) return true;
  }
}

function uncountRetry(memory: Memory, window: number, step: number): void {
  const word = window + (step & (BUCKETS - 1));
  for (;;) {
    const seen = Atomics.load(memory, word);
    if (ageOf(step, seen) !== 0 || (seen & COUNT_MAX) === 0) return;
    if (Atomics.compareExchange(memory, word, seen, seen - 1) === seen) return;
  }
}

function sumRetries(memory: Memory, window: number, step: number): number {
  let sum = 0;
  for (let word = window; word < window + BUCKETS; word++) {
    const seen = Atomics.load(memory, word);
    const age = ageOf(step, seen);
    if (age < BUCKETS && age >= -BUCKETS) sum += seen & COUNT_MAX;
  }
  return sum;
}

/** Steps by which a bucket is older than `step`, in wrap-safe 16-bit arithmetic. */
function ageOf(step: number, bucket: number): number {
  return ((step - (bucket >>> COUNT_BITS)) << COUNT_BITS) >> COUNT_BITS;
}
