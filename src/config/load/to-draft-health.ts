/** Outlier detection and active health checks as a draft. */
import type { HealthCheckConfig, OutlierConfig } from '../health-config.ts';
import type { HealthCheckFields, OutlierFields } from './health-schema.ts';

export function outlierDraft(outlier: OutlierFields): OutlierConfig {
  const { interval, baseEjectionTime, maxEjectionTime, maxEjectionTimeJitter, ...same } = outlier;
  return {
    ...same,
    intervalMs: interval,
    baseEjectionMs: baseEjectionTime,
    maxEjectionMs: maxEjectionTime,
    maxEjectionJitterMs: maxEjectionTimeJitter,
  };
}

/** The default jitter: so that endpoints that are checked together drift apart. */
const JITTER = 0.1;

export function healthCheckDraft(check: HealthCheckFields): HealthCheckConfig {
  const { interval, unhealthyInterval, noTrafficInterval, grpc, tcp } = check;
  return {
    grpc: grpc === undefined ? null : { service: grpc.service ?? '' },
    tcp: tcp === undefined ? null : { send: tcp.send ?? '', receive: tcp.receive },
    path: check.path,
    host: check.host ?? null,
    intervalMs: interval,
    intervalJitterMs: check.intervalJitter ?? Math.round(interval * JITTER),
    initialJitterMs: check.initialJitter,
    unhealthyIntervalMs: unhealthyInterval ?? interval,
    noTrafficIntervalMs: noTrafficInterval ?? null,
    timeoutMs: check.timeout,
    healthyThreshold: check.healthyThreshold,
    unhealthyThreshold: check.unhealthyThreshold,
    expectedStatuses: check.expectedStatuses,
    alwaysLogHealthCheckFailures: check.alwaysLogHealthCheckFailures,
  };
}
