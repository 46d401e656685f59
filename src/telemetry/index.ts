/**
 * telemetry: recording, in the workers. It adds to metric cells, writes the access log, and hands spans and
 * decision records to the supervisor, which exports them. It loads no OpenTelemetry and no prom-client.
 */
export { AccessLog, type AccessLogOptions } from './access-log.ts';
export type { RecordBatch, SeriesAnnouncement, TelemetrySink } from './batch.ts';
export type { ConnectionCounts } from './connection-series.ts';
export type { CounterBlock } from './counter-block.ts';
export { countCall, countMirrored } from './counting.ts';
export { type AttemptDecision, type Decision, REFUSAL_CURES, type Verdict } from './decision.ts';
export {
  BLOCK_CELLS,
  type BlockKind,
  type CellFamily,
  CONNECTION_COUNTER,
  COUNTER,
  FAILURE_CELL,
  FAMILIES,
  HISTOGRAM_BOUNDS,
  LIMIT_COUNTER,
  LISTENER_COUNTER,
  METRIC_CELLS_CAPACITY,
  WORKER_COUNTER,
} from './families.ts';
export { HISTOGRAM_CELLS } from './histogram.ts';
export { RandomIds } from './ids.ts';
export { limitOwner } from './limit-series.ts';
export { listenerOwner, type ServiceMetrics, WorkerMetrics } from './metrics.ts';
export {
  AttemptRecord,
  HEDGE,
  type RateLimitOutcome,
  RequestRecord,
  type RetryRefusal,
  upstreamServiceMs,
} from './record.ts';
export { Recorder, type RecorderOptions } from './recorder.ts';
export { ensureRequestId, isSaneRequestId } from './request-id.ts';
export type { SpanAttributes, SpanRecord } from './span.ts';
export { readTrace, TraceContext, type TraceSettings, traceSettings, writeTrace } from './trace-context.ts';
