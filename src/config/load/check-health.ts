/** Checks of meaning for outlier detection and active health checks. */
import type { CheckContext } from './context.ts';
import type { HealthCheckFields } from './health-schema.ts';
import type { ServiceFields } from './service-schema.ts';
import type { Path } from './source-text.ts';

export function checkOutlier(service: ServiceFields, path: Path, context: CheckContext): void {
  const { outlierDetection: outlier, endpoints } = service;
  if (outlier === undefined) return;
  const at = [...path, 'outlierDetection'];
  if (outlier.maxEjectionTime < outlier.baseEjectionTime)
    context.faultIfWhole({
      path: [...at, 'maxEjectionTime'],
      expected: 'at least baseEjectionTime',
      cure: 'raise it, or lower baseEjectionTime',
    });
  if (outlier.maxEjectionPercent === 0 && outlier.maxEjectionCount === 0)
    context.faultIfWhole({
      path: at,
      severity: 'warning',
      expected: 'room to eject something',
      found: 'a percentage and a count of 0',
      cure: 'remove outlierDetection to switch it off',
    });
  checkFloor(outlier.minHealthPercent, endpoints?.length ?? 0, at, context);
  if (
    endpoints !== undefined &&
    endpoints.length > 0 &&
    outlier.maxEjectionCount >= Math.max(endpoints.length, 2)
  )
    context.faultIfWhole({
      path: [...at, 'maxEjectionCount'],
      severity: 'warning',
      expected: `fewer than the ${endpoints.length} endpoints`,
      cure: 'the last endpoint is never ejected by the count alone',
    });
}

function checkFloor(percent: number, endpoints: number, path: Path, context: CheckContext): void {
  if (endpoints === 0 || Math.ceil((endpoints * percent) / 100) < endpoints) return;
  context.faultIfWhole({
    path: [...path, 'minHealthPercent'],
    severity: 'warning',
    expected: `room to eject one of the ${endpoints} endpoints`,
    cure: `write at most ${Math.floor((100 * (endpoints - 1)) / endpoints)}, or remove outlierDetection to switch it off`,
  });
}

export function checkHealth(service: ServiceFields, path: Path, context: CheckContext): void {
  const { healthCheck: check } = service;
  if (check === undefined) return;
  const at = [...path, 'healthCheck'];
  if (check.tcp !== undefined) checkTcpHealth(check, at, context);
  else if (check.grpc === undefined) checkHttpHealth(service, at, context);
  else checkGrpcHealth(service, at, context);
  if (check.timeout > check.interval)
    context.faultIfWhole({
      path: [...at, 'timeout'],
      severity: 'warning',
      expected: 'at most interval',
      cure: 'the next check starts when this one has ended',
    });
  if (check.expectedStatuses.length === 0)
    context.faultIfWhole({
      path: [...at, 'expectedStatuses'],
      expected: 'at least one status',
      cure: 'write [200], or remove it',
    });
}

function checkHttpHealth({ protocol }: ServiceFields, path: Path, context: CheckContext): void {
  const cure = {
    grpc: 'gRPC servers seldom answer GET: use healthCheck: { grpc: {} }',
    tcp: 'use healthCheck: { tcp: {} }, unless the endpoints answer GET as well',
  };
  if (protocol === 'grpc' || protocol === 'tcp')
    context.faultIfWhole({
      path,
      severity: 'warning',
      expected: 'endpoints that answer GET',
      found: `protocol: ${protocol}`,
      cure: cure[protocol],
    });
}

/** `path` is that of the check. */
function checkGrpcHealth(service: ServiceFields, path: Path, context: CheckContext): void {
  if (service.healthCheck !== undefined)
    checkNoGet(
      service.healthCheck,
      'grpc',
      'grpc.health.v1 is asked and SERVING is a success',
      path,
      context,
    );
  if (!speaksHttp2(service))
    context.faultIfWhole({
      path: [...path, 'grpc'],
      expected: `${HTTP2_PROTOCOLS} beside a gRPC health check`,
      found: `protocol: ${service.protocol}`,
      cure: 'write protocol: grpc in the service; gRPC is HTTP/2',
    });
}

/** `path` is that of the check. */
function checkTcpHealth(check: HealthCheckFields, path: Path, context: CheckContext): void {
  checkNoGet(check, 'tcp', 'bytes have no paths and no statuses', path, context);
  if (check.host !== undefined)
    context.faultIfWhole({
      path: [...path, 'host'],
      expected: 'no host beside tcp',
      cure: 'bytes have no Host; remove one of the two',
    });
  if (check.grpc !== undefined)
    context.faultIfWhole({
      path: [...path, 'tcp'],
      expected: 'grpc or tcp',
      found: 'both',
      cure: 'remove one of the two',
    });
}

/** What belongs to a GET; what says the same as its default contradicts nothing. */
function checkNoGet(
  { path: get, expectedStatuses }: HealthCheckFields,
  instead: 'grpc' | 'tcp',
  why: string,
  path: Path,
  context: CheckContext,
): void {
  const [range, ...more] = expectedStatuses;
  const statuses = more.length > 0 || range?.[0] !== 200 || range[1] !== 200;
  for (const [key, stated] of [
    ['path', get !== '/'],
    ['expectedStatuses', statuses],
  ] as const)
    if (stated)
      context.faultIfWhole({
        path: [...path, key],
        expected: `no ${key} beside ${instead}`,
        cure: `${why}; remove one of the two`,
      });
}

/** Does the endpoint ever hear HTTP/2? */
export function speaksHttp2({ protocol, tls }: ServiceFields): boolean {
  return protocol === 'http2' || protocol === 'grpc' || (protocol === 'auto' && tls !== undefined);
}

export const HTTP2_PROTOCOLS = 'protocol: http2 or grpc, or auto with a tls section,';
