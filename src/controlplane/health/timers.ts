/** Timers that come in from outside, so that tests move time themselves. */

export interface Timers {
  /** Calls `run` once after `delayMs`. The returned function cancels; calling it late does no harm. */
  after(delayMs: number, run: () => void): () => void;
}

/** Node's timers; none of them keeps the process alive. */
export const systemTimers: Timers = {
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs).unref();
    return () => clearTimeout(timer);
  },
};
