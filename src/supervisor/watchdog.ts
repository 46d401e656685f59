/**
 * Ends threads that stopped turning their event loop. A thread beats by changing its heartbeat cell; the watchdog
 * looks at every cell each period and measures, by its own clock, how long one stayed as it was.
 * When the supervisor itself did not run (a suspended machine, a stopped container), the workers did not
 * either: what it missed is not held against them.
 */
import type { Clock } from '../base/index.ts';
import type { Tuning } from './tuning.ts';
import type { WorkerThread } from './worker-thread.ts';

export interface WatchdogOptions {
  readonly tuning: Tuning;
  readonly clock: Clock;
  threads(): Iterable<WorkerThread>;
  /** Value of the heartbeat cell; anything that changes while the thread lives. */
  beatOf(thread: WorkerThread): number;
  onStalled(thread: WorkerThread, reason: string): void;
  onRound(): void;
}

export class Watchdog {
  private readonly options: WatchdogOptions;
  private lastLookMs: number;
  private timer: NodeJS.Timeout | null = null;

  constructor(options: WatchdogOptions) {
    this.options = options;
    this.lastLookMs = options.clock.nowMs();
  }

  /** Looks every heartbeat; keeps no process alive. */
  start(): void {
    this.lastLookMs = this.options.clock.nowMs();
    this.timer ??= setInterval(() => this.look(), this.options.tuning.heartbeatMs).unref();
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }

  look(): void {
    const { clock, tuning } = this.options;
    const nowMs = clock.nowMs();
    const missedMs = Math.max(0, nowMs - this.lastLookMs - 2 * tuning.heartbeatMs);
    this.lastLookMs = nowMs;
    for (const thread of this.options.threads()) this.lookAt(thread, nowMs, missedMs);
    this.options.onRound();
  }

  private lookAt(thread: WorkerThread, nowMs: number, missedMs: number): void {
    if (thread.ended || thread.endReason !== '') return;
    const { tuning } = this.options;
    const beat = this.options.beatOf(thread);
    if (beat !== thread.lastBeat) {
      thread.lastBeat = beat;
      thread.lastBeatSeenMs = nowMs;
      return;
    }
    thread.lastBeatSeenMs += missedMs;
    const silentMs = nowMs - thread.lastBeatSeenMs;
    const allowedMs =
      thread.version === 0 ? Math.max(tuning.workerStartMs, tuning.watchdogMs) : tuning.watchdogMs;
    if (silentMs > allowedMs) {
      this.options.onStalled(thread, `no heartbeat for ${Math.round(silentMs)} ms`);
    }
  }
}
