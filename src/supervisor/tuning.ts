/** The supervisor's times, in milliseconds. They are limits, not settings; tests shorten them. */
import { LIMITS } from '../base/index.ts';

export interface Tuning {
  readonly heartbeatMs: number;
  readonly watchdogMs: number;
  readonly workerStartMs: number;
  readonly workerEndMs: number;
  readonly restartBackoffMinMs: number;
  readonly restartBackoffMaxMs: number;
  readonly restartStableMs: number;
  readonly refusedRetryMs: number;
}

export const DEFAULT_TUNING: Tuning = LIMITS;
