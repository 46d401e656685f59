/** health: which endpoints may take traffic, as far as the supervisor decides it. */
export type { CheckCounts } from './check-counts.ts';
export {
  type CheckState,
  type EndpointCheck,
  HealthChecker,
  type HealthLedger,
  type HealthOptions,
} from './checker.ts';
export type { CheckEvent, FailureType, HealthEvent } from './events.ts';
export { OutlierWatch, type OutlierWatchOptions, type RateReading } from './outlier-watch.ts';
export { type Probe, type ProbeResult, type ProbeTarget, probeEndpoint } from './probe.ts';
export { judge, type Sample, sampleOf } from './success-rates.ts';
export { systemTimers, type Timers } from './timers.ts';
