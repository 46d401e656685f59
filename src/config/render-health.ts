/** Outlier detection and active health checks in the shape of the configuration file. */
import { formatDuration } from '../base/index.ts';
import type { HealthCheckConfig, OutlierConfig } from './health-config.ts';
import type { Rendered } from './render-parts.ts';

export function renderOutlier(outlier: OutlierConfig): Rendered {
  const { intervalMs, baseEjectionMs, maxEjectionMs, maxEjectionJitterMs, ...same } = outlier;
  return {
    ...same,
    interval: formatDuration(intervalMs),
    baseEjectionTime: formatDuration(baseEjectionMs),
    maxEjectionTime: formatDuration(maxEjectionMs),
    maxEjectionTimeJitter: formatDuration(maxEjectionJitterMs),
  };
}

export function renderHealthCheck(check: HealthCheckConfig): Rendered {
  const { noTrafficIntervalMs: noTraffic } = check;
  return {
    ...what(check),
    interval: formatDuration(check.intervalMs),
    intervalJitter: formatDuration(check.intervalJitterMs),
    initialJitter: formatDuration(check.initialJitterMs),
    unhealthyInterval: formatDuration(check.unhealthyIntervalMs),
    ...(noTraffic === null ? {} : { noTrafficInterval: formatDuration(noTraffic) }),
    timeout: formatDuration(check.timeoutMs),
    healthyThreshold: check.healthyThreshold,
    unhealthyThreshold: check.unhealthyThreshold,
    alwaysLogHealthCheckFailures: check.alwaysLogHealthCheckFailures,
  };
}

/** What is asked, without what belongs to other kinds of check. */
function what({ grpc, tcp, path, host, expectedStatuses }: HealthCheckConfig): Rendered {
  if (tcp !== null) return { tcp: { ...(tcp.send === '' ? {} : { send: tcp.send }), receive: tcp.receive } };
  const named = host === null ? {} : { host };
  if (grpc !== null) return { grpc, ...named };
  return { path, expectedStatuses: expectedStatuses.map(statusRange), ...named };
}

function statusRange([low, high]: readonly [number, number]): number | string {
  return low === high ? low : `${low}-${high}`;
}
