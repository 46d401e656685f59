/**
 * export: what workers recorded, for those who read it: Prometheus, a tracing backend by OTLP, and the
 * stores behind `/traces` and `/decisions`. It runs in the supervisor; a backend that is slow or
 * gone fills bounded queues here and never touches traffic.
 */
export { DecisionStore } from './decision-store.ts';
export { OtlpExporter, type OtlpOptions, type OtlpStats } from './otlp.ts';
export { PrometheusExporter, type PrometheusOptions, type Sample } from './prometheus.ts';
export type { LimitedGauge, ServiceReading } from './service-readings.ts';
export { type StoredTrace, TraceStore, tracesAsText } from './trace-store.ts';
