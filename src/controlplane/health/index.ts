/** health: which endpoints may take traffic, as far as the supervisor decides it. */
export { type CheckState, type EndpointCheck, HealthChecker, type HealthOptions } from './checker.ts';
export type { HealthEvent } from './events.ts';
export { OutlierWatch, type OutlierWatchOptions } from './outlier-watch.ts';
export { type Probe, type ProbeResult, type ProbeTarget, probeEndpoint } from './probe.ts';
export { systemTimers, type Timers } from './timers.ts';
