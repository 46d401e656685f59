/**
 * One data-plane thread, from its start to its end. It knows what was sent to the thread and what the thread has
 * answered; what should happen next is decided by the pool.
 */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import type { FromWorker, ListenFault, ToWorker, WorkerStart } from '../channel/index.ts';

export interface ThreadEvents {
  /** Everything but `drained` and `cpu-profile`, which only answer what was asked. */
  onMessage(thread: WorkerThread, message: FromWorker): void;
  onExit(thread: WorkerThread): void;
}

export interface ThreadPlan {
  readonly url: URL;
  /** New for every thread. */
  readonly id: number;
  readonly slot: number;
  readonly start: WorkerStart;
  readonly startedMs: number;
  readonly startedWallMs: number;
}

export class WorkerThread {
  readonly id: number;
  /** Position in the pool, 0 to count − 1: what people call worker N. */
  readonly slot: number;
  /** Its column in the ledger; a successor that starts beside it has another. */
  readonly column: number;
  readonly startedMs: number;
  readonly startedWallMs: number;
  /** Snapshot version in force; 0: not listening yet. */
  version = 0;
  faults: readonly ListenFault[] = [];
  /** Snapshots it has put in force. */
  applied = 0;
  /** Started because the one before it failed. */
  replacement = false;
  /** No longer counted on: it drains, or is about to end. */
  retiring = false;
  /** Its end was asked for; any other end is a crash. */
  planned = false;
  /** The last heartbeat seen, and when the watchdog first saw it; it owns these. */
  lastBeat = Number.NaN;
  lastBeatSeenMs: number;
  /** Why it ended, once it has; until then why it is being ended, or empty. */
  endReason = '';
  readonly exited: Promise<void>;
  private readonly worker: Worker;
  private readonly events: ThreadEvents;
  private drainedWith: ((aborted: number) => void) | null = null;
  private profileWith: { resolve(profile: string): void; reject(error: Error): void } | null = null;
  private utilizationBase: EventLoopUtilization;
  private alive = true;

  constructor(plan: ThreadPlan, events: ThreadEvents) {
    this.id = plan.id;
    this.slot = plan.slot;
    this.column = plan.start.index;
    this.startedMs = plan.startedMs;
    this.startedWallMs = plan.startedWallMs;
    this.lastBeatSeenMs = plan.startedMs;
    this.events = events;
    this.worker = new Worker(plan.url, { workerData: plan.start, name: `outboard-${plan.slot}` });
    this.utilizationBase = this.worker.performance.eventLoopUtilization();
    this.exited = new Promise((resolve) => {
      this.worker.once('exit', (code) => {
        this.onExit(code);
        resolve();
      });
    });
    this.worker.on('message', (message: FromWorker) => this.onMessage(message));
    this.worker.on('error', (error: unknown) => {
      this.endReason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
  }

  get ended(): boolean {
    return !this.alive;
  }

  /** Listens on everything that version `version` says. */
  serves(version: number): boolean {
    return this.alive && !this.retiring && this.version >= version && this.faults.length === 0;
  }

  post(message: ToWorker): void {
    if (this.alive) this.worker.postMessage(message);
  }

  /** Resolves with the number of requests that were cut off, also when the thread ends first. */
  drain(timeoutMs: number): Promise<number> {
    this.retiring = true;
    this.planned = true;
    if (!this.alive) return Promise.resolve(0);
    return new Promise((resolve) => {
      this.drainedWith = resolve;
      this.post({ type: 'drain', timeoutMs });
    });
  }

  /** Ends the thread between two of its instructions; `exited` tells when. */
  terminate(reason: string): void {
    this.retiring = true;
    if (this.endReason === '') this.endReason = reason;
    void this.worker.terminate();
  }

  cpuProfile(durationMs: number): Promise<string> {
    if (!this.alive) return Promise.reject(new Error('the worker has ended'));
    return new Promise((resolve, reject) => {
      this.profileWith = { resolve, reject };
      this.post({ type: 'cpu-profile', durationMs });
    });
  }

  get profiling(): boolean {
    return this.profileWith !== null;
  }

  /** Share of the time since the last call that the event loop was busy. */
  utilization(): number | null {
    if (!this.alive) return null;
    const now = this.worker.performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.utilizationBase);
    this.utilizationBase = now;
    return Number.isFinite(utilization) ? utilization : null;
  }

  private onMessage(message: FromWorker): void {
    switch (message.type) {
      case 'drained':
        this.drainedWith?.(message.aborted);
        this.drainedWith = null;
        return;
      case 'cpu-profile':
        this.profileWith?.resolve(message.profile);
        this.profileWith = null;
        return;
      case 'applied':
        this.applied++;
        this.version = message.version;
        this.faults = message.faults;
        break;
      default:
    }
    this.events.onMessage(this, message);
  }

  private onExit(code: number): void {
    this.alive = false;
    if (this.endReason === '') this.endReason = `it ended by itself with code ${code}`;
    this.drainedWith?.(0);
    this.profileWith?.reject(new Error(`the worker ended while it was profiled: ${this.endReason}`));
    this.events.onExit(this);
  }
}
