/**
 * Faults on purpose: which requests of a rule are held up, and which are answered without a backend (Envoy's HTTP fault filter,
 * Istio's HTTPFaultInjection). Each is drawn by itself, so that of a delay and an abort of 50 % a quarter of the
 * requests gets both.
 */
import type { FaultConfig } from '../../config/index.ts';

export interface DrawnFault {
  /** 0: not delayed. */
  readonly delayMs: number;
  /** Null: not aborted. */
  readonly abort: NonNullable<FaultConfig['abort']> | null;
}

/** What one request gets; null: nothing. `random` returns numbers in [0, 1). */
export function drawFault(config: FaultConfig | null, random: () => number): DrawnFault | null {
  if (config === null) return null;
  const { delay, abort } = config;
  const delayMs = delay !== null && random() * 100 < delay.percent ? delay.delayMs : 0;
  const aborted = abort !== null && random() * 100 < abort.percent ? abort : null;
  return delayMs === 0 && aborted === null ? null : { delayMs, abort: aborted };
}
