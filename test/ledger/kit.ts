// Threads that share a ledger and a few control cells with the test. Nothing sleeps: agents start
// together on a cell, work a fixed number of rounds or until told to stop, and the test awaits
// their exit.
import { Worker } from 'node:worker_threads';
import { createLedger, type Ledger, type LedgerBuffers, type OutlierPolicy } from '../../src/ledger/index.ts';

/** Control cells shared by a test and its agents. */
export const CELL = {
  go: 0,
  stop: 1,
  ready: 2,
  inside: 3,
  insideMax: 4,
  done: 5,
  parked: 6,
  clock: 7,
  tally: 16,
};

/** The bucket of the agents' job `tokens`: requests, interval in ms, burst. */
export const TOKENS = [50, 100, 1_000] as const;

export type Control = Int32Array<SharedArrayBuffer>;

export interface AgentData {
  readonly job: string;
  readonly buffers: LedgerBuffers;
  readonly worker: number;
  readonly control: SharedArrayBuffer;
  readonly service: number;
  readonly endpoints: readonly number[];
  readonly limit: number;
  readonly rounds: number;
}

export function makeControl(): Control {
  return new Int32Array(new SharedArrayBuffer(4 * 256));
}

export function makeLedger(workers: number, sizes: { services?: number; endpoints?: number } = {}): Ledger {
  return createLedger({
    workers,
    maxServices: sizes.services ?? 40,
    maxEndpoints: sizes.endpoints ?? 64,
    maxLimits: 8,
    maxLimitTables: 2,
  });
}

export class Agent {
  readonly worker: number;
  readonly thread: Worker;
  readonly ended: Promise<void>;

  constructor(ledger: Ledger, control: Control, data: Partial<AgentData> & { job: string; worker: number }) {
    const defaults = { service: 0, endpoints: [], limit: 0, rounds: 0 };
    const workerData = { ...defaults, ...data, buffers: ledger.buffers, control: control.buffer };
    ledger.workerStarting(data.worker, 0);
    this.worker = data.worker;
    this.thread = new Worker(new URL('./agent.ts', import.meta.url), { workerData });
    this.ended = new Promise((resolve, reject) => {
      this.thread.once('error', reject);
      this.thread.once('exit', () => resolve());
    });
  }

  /** Ends the thread wherever it is, and waits for its exit event. */
  async terminate(): Promise<void> {
    await this.thread.terminate();
    await this.ended;
  }
}

/** Resolves when a control cell has reached `count`. */
export async function reached(control: Control, cell: number, count: number): Promise<void> {
  for (;;) {
    const seen = Atomics.load(control, cell);
    if (seen >= count) return;
    const wait = Atomics.waitAsync(control, cell, seen, 1_000);
    if (wait.async) await wait.value;
  }
}

export function set(control: Control, cell: number, value: number): void {
  Atomics.store(control, cell, value);
  Atomics.notify(control, cell);
}

/** Releases agents that wait at the start, once all are there. */
export async function go(control: Control, agents: number): Promise<void> {
  await reached(control, CELL.ready, agents);
  set(control, CELL.go, 1);
}

/** A small seeded generator (mulberry32): 0 <= x < 1. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const OUTLIER_POLICY: OutlierPolicy = {
  consecutive5xxErrors: 5,
  consecutiveGatewayErrors: 5,
  consecutiveLocalOriginFailures: 5,
  splitExternalLocalOriginErrors: false,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 50,
  maxEjectionCount: 1,
  minHealthPercent: 0,
  maxEjectionJitterMs: 0,
  enforcingConsecutive5xx: 100,
  enforcingConsecutiveGatewayFailure: 100,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingSuccessRate: 100,
  enforcingLocalOriginSuccessRate: 100,
  enforcingFailurePercentage: 100,
  enforcingFailurePercentageLocalOrigin: 100,
};
