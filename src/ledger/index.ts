/**
 * ledger: the shared memory that holds every count that must be exact across worker threads.
 * Supervisor: `createLedger`, then `workerStarting` before each thread and `giveBack` in its exit
 * event. Worker: `attachLedger(buffers, worker)`, with buffers from its workerData.
 */
export { ADAPTIVE, type AdaptiveReading, type AdaptiveTable, bucketStartUs } from './adaptive.ts';
export type { RetryBudgetPolicy, RetryBudgetReading, RetryBudgets } from './budget.ts';
export type { CallerAdmin, CallerReading, CallerUsage } from './caller-admin.ts';
export { type CallerTable, NO_CALLER, type OffencePolicy } from './callers.ts';
export {
  attachMetricCells,
  createMetricCells,
  type MetricCellBuffers,
  type MetricCells,
  type WorkerCells,
} from './cells.ts';
export { type ConnectionSlots, HANDOVER_MS } from './connections.ts';
export type { EndpointAdmin, EndpointReading, Finding } from './endpoint-admin.ts';
export type { EndpointTable } from './endpoints.ts';
export type { GaugeReading, ServiceGauges } from './gauges.ts';
export {
  GAUGE,
  type Gauge,
  LATENCY_BUCKETS,
  type LedgerBuffers,
  type LedgerShape,
  MAX_WORKERS,
} from './layout.ts';
export { createLedger, type DetectionReading, type EjectionReading, type Ledger } from './ledger.ts';
export {
  AVAILABLE,
  type Availability,
  DETECTOR,
  DETECTOR_NAMES,
  type Detector,
  type DetectorName,
  ejectionLimit,
  FAILED,
  type FailedKind,
  healthyFloor,
  isProbe,
  NOT_ADMITTED,
  OUTLIER,
  type OutlierOutcome,
  type OutlierPolicy,
  RESULT,
  type Result,
} from './outlier-policy.ts';
export {
  type NodeResource,
  OVERLOAD_ACTIONS,
  type OverloadAction,
  type OverloadAdmin,
  type OverloadLine,
  type OverloadResource,
  WORKER_RESOURCES,
  type WorkerResource,
} from './overload.ts';
export type { RateLimitAdmin } from './rate-limit-admin.ts';
export type { RateLimitBucket, RateLimitBuckets } from './rate-limits.ts';
export type { SlotUsage } from './slots.ts';
export { type BucketShape, bucketShape } from './token-bucket.ts';
export { attachLedger, type WorkerLedger } from './worker.ts';
