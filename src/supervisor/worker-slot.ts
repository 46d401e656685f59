/**
 * One position of the pool: worker N, whichever thread is it just now. A thread that ends by itself gets a
 * successor at once; one that keeps ending gets it later and later (1 s to 30 s), so that a fault at start
 * doesn't turn into a fork storm. A planned restart starts the successor first, in the ledger's spare
 * column, and retires the old thread only when the new one listens: with SO_REUSEPORT both may.
 */
import { LIMITS } from '../base/index.ts';
import type { Logger } from './logger.ts';
import type { Tuning } from './tuning.ts';
import type { WorkerThread } from './worker-thread.ts';

export interface SlotOptions {
  readonly index: number;
  readonly tuning: Tuning;
  readonly logger: Logger;
  nowMs(): number;
  /** Takes a free column and starts a thread there. */
  spawn(slot: number): WorkerThread;
}

export class WorkerSlot {
  readonly index: number;
  crashes = 0;
  lastExit: string | null = null;
  /** Newest last; more than one only during a restart. */
  readonly threads: WorkerThread[] = [];
  private readonly options: SlotOptions;
  /** Ends in a row, none of which came after a stable life. */
  private failures = 0;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(options: SlotOptions) {
    this.options = options;
    this.index = options.index;
  }

  /** The thread that counts: the oldest that is not retiring, or null. */
  get current(): WorkerThread | null {
    return this.threads.find((thread) => !thread.retiring) ?? null;
  }

  serves(version: number): boolean {
    return this.threads.some((thread) => thread.serves(version));
  }

  start(): WorkerThread {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const thread = this.options.spawn(this.index);
    this.threads.push(thread);
    return thread;
  }

  /** No successor from now on. */
  stop(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  /** To be told of the end of each of its threads, after the ledger took back what the thread held. */
  onExit(thread: WorkerThread): void {
    this.threads.splice(this.threads.indexOf(thread), 1);
    const { logger, tuning } = this.options;
    if (thread.planned) {
      logger.info({ worker: this.index, reason: thread.endReason }, 'worker ended');
    } else {
      this.crashes++;
      this.lastExit = thread.endReason;
      const livedMs = Math.round(this.options.nowMs() - thread.startedMs);
      this.failures = livedMs >= tuning.restartStableMs ? 1 : this.failures + 1;
      logger.error({ worker: this.index, livedMs, reason: thread.endReason }, 'worker ended unexpectedly');
    }
    if (!this.stopped && this.current === null && this.timer === null) this.startLater();
  }

  private startLater(): void {
    const { tuning, logger } = this.options;
    const delayMs = backoffMs(this.failures, tuning);
    if (delayMs > 0) {
      logger.warn(
        { worker: this.index, delayMs, failures: this.failures },
        'worker keeps failing; waiting to restart it',
      );
    }
    this.timer = setTimeout(() => {
      this.timer = null;
      if (!this.stopped && this.current === null) this.start().replacement = true;
    }, delayMs);
  }
}

/** Nothing after the first failure, then the minimum, doubling. */
export function backoffMs(
  failures: number,
  {
    restartBackoffMinMs,
    restartBackoffMaxMs,
  }: Pick<Tuning, 'restartBackoffMinMs' | 'restartBackoffMaxMs'> = LIMITS,
): number {
  if (failures <= 1) return 0;
  return Math.min(restartBackoffMinMs * 2 ** (failures - 2), restartBackoffMaxMs);
}
