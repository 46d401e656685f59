/**
 * All workers: starts them, sees that each position always has a thread, ends those that hang, restarts and
 * drains. The ledger has one column more than there are workers, so that a planned successor can start
 * beside the thread it replaces.
 */

import { type Clock, invariant } from '../base/index.ts';
import type { FromWorker, ToWorker, WorkerStart } from '../channel/index.ts';
import type { Logger } from './logger.ts';
import type { Tuning } from './tuning.ts';
import { Watchdog } from './watchdog.ts';
import { WorkerSlot } from './worker-slot.ts';
import { type ThreadEvents, WorkerThread } from './worker-thread.ts';

/** Columns besides one per worker. */
export const SPARE_COLUMNS = 1;

export interface PoolOptions {
  readonly count: number;
  readonly url: URL;
  readonly tuning: Tuning;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the thread `id` in this column starts with now. */
  startOf(id: number, column: number): WorkerStart;
  heartbeat(column: number): number;
  onStarted(thread: WorkerThread): void;
  onMessage(thread: WorkerThread, message: FromWorker): void;
  /** The thread has ended: take back what it held. */
  onEnded(thread: WorkerThread): void;
  /** With every look of the watchdog. */
  onRound(): void;
  /** A thread can't be ended; only a new process helps. */
  onFatal(message: string): void;
}

export class WorkerPool {
  readonly slots: readonly WorkerSlot[];
  private readonly options: PoolOptions;
  private readonly freeColumns: number[];
  private readonly live = new Set<WorkerThread>();
  private readonly watchdog: Watchdog;
  /** Resolved and replaced whenever a thread applied a snapshot or ended. */
  private change = Promise.withResolvers<void>();
  private restarts: Promise<void> = Promise.resolve();
  private stopping = false;
  private begun = false;
  private nextId = 0;

  constructor(options: PoolOptions) {
    this.options = options;
    const { count, tuning, logger, clock } = options;
    this.freeColumns = Array.from({ length: count + SPARE_COLUMNS }, (_, column) => column);
    this.slots = Array.from(
      { length: count },
      (_, index) =>
        new WorkerSlot({
          index,
          tuning,
          logger,
          nowMs: () => clock.nowMs(),
          spawn: (slot) => this.spawn(slot),
        }),
    );
    this.watchdog = new Watchdog({
      tuning,
      clock,
      threads: () => this.live,
      beatOf: (thread) => options.heartbeat(thread.column),
      onStalled: (thread, reason) => this.end(thread, reason),
      onRound: () => options.onRound(),
    });
  }

  /** Resolves when every worker listens; rejects when one ends before, or can't listen. */
  async start(): Promise<void> {
    this.begun = true;
    const threads = this.slots.map((slot) => slot.start());
    this.watchdog.start();
    for (const thread of threads) {
      await this.until(() => thread.ended || thread.version > 0);
      const [fault] = thread.faults;
      if (thread.ended) throw new Error(`worker ${thread.slot} could not start: ${thread.endReason}`);
      if (fault) throw new Error(fault.message);
    }
  }

  get running(): boolean {
    return this.begun;
  }

  threads(): Iterable<WorkerThread> {
    return this.live;
  }

  post(message: ToWorker): void {
    for (const thread of this.live) thread.post(message);
  }

  /** Resolves when every thread that is not on its way out has a snapshot at least this new in force. */
  async applied(version: number): Promise<void> {
    await this.until(() => [...this.live].every((thread) => thread.retiring || thread.version >= version));
  }

  /** Resolves when the successor listens; the old thread drains by itself then. One at a time. */
  restart(index: number, drainTimeoutMs: number): Promise<void> {
    const slot = this.slots[index];
    if (!slot) return Promise.reject(new RangeError(`there is no worker ${index}`));
    const successor = this.restarts.then(() => this.startSuccessor(slot));
    this.restarts = successor.then(
      (thread) => this.retireOthers(slot, thread, drainTimeoutMs),
      () => {},
    );
    return successor.then(() => {});
  }

  /** Ends the thread at once, as a crash would: what it held is given back and a successor starts. */
  kill(index: number): void {
    const thread = this.slots[index]?.current;
    if (thread) this.end(thread, 'it was killed');
  }

  /** Drains and ends every worker; resolves with the number of requests that were cut off. */
  async drain(timeoutMs: number): Promise<number> {
    this.stopSlots();
    let aborted = 0;
    await Promise.all(
      [...this.live].map(async (thread) => {
        aborted += await this.drainOne(thread, timeoutMs);
        this.end(thread, 'it has drained');
      }),
    );
    return aborted;
  }

  /** Ends every thread; the pool is of no use afterwards. */
  async stop(): Promise<void> {
    this.stopSlots();
    for (const thread of this.live) {
      thread.planned = true;
      this.end(thread, 'the process ends');
    }
    await this.until(() => this.live.size === 0);
    this.watchdog.stop();
  }

  private stopSlots(): void {
    this.stopping = true;
    for (const slot of this.slots) slot.stop();
  }

  private spawn(slot: number): WorkerThread {
    const column = this.freeColumns.shift();
    invariant(column !== undefined, 'a worker starts and the ledger has no column for it');
    const { url, clock } = this.options;
    const id = this.nextId++;
    const start = this.options.startOf(id, column);
    const events: ThreadEvents = {
      onMessage: (from, message) => this.onMessage(from, message),
      onExit: (from) => this.onExit(from),
    };
    const thread = new WorkerThread(
      { url, id, slot, start, startedMs: clock.nowMs(), startedWallMs: clock.wallMs() },
      events,
    );
    this.live.add(thread);
    this.options.onStarted(thread);
    return thread;
  }

  private onMessage(thread: WorkerThread, message: FromWorker): void {
    this.options.onMessage(thread, message);
    if (message.type !== 'applied') return;
    const [fault] = message.faults;
    // A replacement that can't listen has nobody who waits for it: it ends, and its slot tries again later.
    if (fault && thread.replacement && thread.applied === 1) this.end(thread, fault.message);
    this.changed();
  }

  private onExit(thread: WorkerThread): void {
    this.live.delete(thread);
    this.options.onEnded(thread);
    this.freeColumns.push(thread.column);
    this.slots[thread.slot]?.onExit(thread);
    this.changed();
  }

  private async startSuccessor(slot: WorkerSlot): Promise<WorkerThread> {
    if (this.stopping) throw new Error('the process drains: workers are not restarted any more');
    const thread = slot.start();
    await this.until(() => thread.ended || thread.version > 0);
    const [fault] = thread.faults;
    if (!thread.ended && !fault) return thread;
    const reason = fault ? fault.message : thread.endReason;
    thread.planned = true;
    if (!thread.ended) this.end(thread, reason);
    await thread.exited;
    throw new Error(`the successor of worker ${slot.index} could not start: ${reason}; the old one goes on`);
  }

  private async retireOthers(slot: WorkerSlot, successor: WorkerThread, timeoutMs: number): Promise<void> {
    const old = slot.threads.filter((thread) => thread !== successor);
    await Promise.all(
      old.map(async (thread) => {
        const aborted = await this.drainOne(thread, timeoutMs);
        if (aborted > 0)
          this.options.logger.warn({ worker: slot.index, aborted }, 'requests cut off at restart');
        this.end(thread, 'it was restarted');
        await thread.exited;
      }),
    );
  }

  /** A worker keeps the time itself; one that doesn't answer soon after is not waited for. */
  private async drainOne(thread: WorkerThread, timeoutMs: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<number>((resolve) => {
      timer = setTimeout(() => {
        this.options.logger.warn(
          { worker: thread.slot, timeoutMs },
          'worker did not finish draining in time',
        );
        resolve(0);
      }, timeoutMs + this.options.tuning.workerEndMs);
    });
    const aborted = await Promise.race([thread.drain(timeoutMs), late]);
    clearTimeout(timer);
    return aborted;
  }

  private end(thread: WorkerThread, reason: string): void {
    if (thread.ended) return;
    thread.terminate(reason);
    const { workerEndMs } = this.options.tuning;
    const timer = setTimeout(() => {
      this.options.onFatal(
        `worker ${thread.slot} could not be ended within ${workerEndMs} ms (${reason}); the process has to be restarted`,
      );
    }, workerEndMs);
    void thread.exited.then(() => clearTimeout(timer));
  }

  private changed(): void {
    this.change.resolve();
    this.change = Promise.withResolvers<void>();
  }

  private async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.change.promise;
  }
}
