/**
 * The only place that reads time. Two readings, never mixed: `nowMs` is monotonic and common to
 * every thread of the process (it is the kernel's CLOCK_MONOTONIC, not `performance.now()`, whose
 * origin differs per worker), so deadlines and ejection times can be shared; `wallMs` is for
 * people: log lines, span times, certificates.
 */

export interface Clock {
  /** Monotonic milliseconds with a fraction, the same on every thread of this process. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch, possibly with a fraction. Steps when the system clock is set. */
  wallMs(): number;
}

export const systemClock: Clock = {
  nowMs(): number {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1e3 + nanoseconds / 1e6;
  },
  // `performance.timeOrigin + performance.now()` is finer and never hears of a system clock that was set.
  wallMs(): number {
    return Date.now();
  },
};

/** A clock that moves only when told to; for tests and simulations. */
export class FakeClock implements Clock {
  private ms: number;
  private readonly epochMs: number;

  constructor(startMs = 1_000, epochMs = 1_700_000_000_000) {
    this.ms = startMs;
    this.epochMs = epochMs;
  }

  nowMs(): number {
    return this.ms;
  }

  wallMs(): number {
    return this.epochMs + this.ms;
  }

  advance(ms: number): void {
    this.ms += ms;
  }
}
