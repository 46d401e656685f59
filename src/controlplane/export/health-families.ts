/** What outlier detectors and active checks found, as Envoy's statistics; nothing of services that have none. */
import type { DetectionReading, DetectorName } from '../../ledger/index.ts';
import type { HealthCheckReading, ReadingFamily, ReadingSample, ServiceReading } from './service-readings.ts';

const CLUSTER = 'envoy_cluster_';

/** Envoy's names of the detectors in its statistics, which are not those of its events. */
const DETECTOR_STATISTICS: readonly (readonly [DetectorName, string, string])[] = [
  ['CONSECUTIVE_5XX', 'consecutive_5xx', 'failures in a row'],
  ['CONSECUTIVE_GATEWAY_FAILURE', 'consecutive_gateway_failure', 'gateway failures in a row'],
  ['CONSECUTIVE_LOCAL_ORIGIN_FAILURE', 'consecutive_local_origin_failure', 'local-origin failures in a row'],
  ['SUCCESS_RATE', 'success_rate', 'success rate'],
  ['SUCCESS_RATE_LOCAL_ORIGIN', 'local_origin_success_rate', 'success rate of reaching them'],
  ['FAILURE_PERCENTAGE', 'failure_percentage', 'failure percentage'],
  [
    'FAILURE_PERCENTAGE_LOCAL_ORIGIN',
    'local_origin_failure_percentage',
    'failure percentage of reaching them',
  ],
];

export const HEALTH_FAMILIES: readonly ReadingFamily[] = [
  ...detectorFamilies('detected', 'detected, enforced or not'),
  ...detectorFamilies('enforced', 'ejected'),
  {
    name: 'outboard_outlier_probes_failed_total',
    help: 'Probes of ejected endpoints that failed, each of which is an ejection.',
    type: 'counter',
    samples: ({ detections }) => detectionsOf(detections, 'PROBE', 'detected'),
  },
  ofChecks('attempt', 'Active checks begun.', ({ attempt }) => attempt),
  ofChecks('success', 'Active checks that passed.', ({ success }) => success),
  ofChecks('failure', 'Active checks that failed, and passive failures.', ({ failure }) => failure),
  ofChecks('network_failure', 'Active checks without an answer.', ({ networkFailure }) => networkFailure),
  ofChecks(
    'passive_failure',
    'Endpoints that asked for no more requests on an answer to a request (x-envoy-immediate-health-check-fail).',
    ({ passiveFailure }) => passiveFailure,
  ),
  ofChecks('healthy', 'Endpoints that pass their active checks.', ({ healthy }) => healthy, 'gauge'),
];

function detectorFamilies(what: 'detected' | 'enforced', verb: string): ReadingFamily[] {
  return DETECTOR_STATISTICS.map(([detector, name, reason]) => ({
    name: `${CLUSTER}outlier_detection_ejections_${what}_${name}`,
    help: `Endpoints ${verb} for their ${reason}.`,
    type: 'counter',
    samples: ({ detections }) => detectionsOf(detections, detector, what),
  }));
}

function detectionsOf(
  detections: readonly DetectionReading[],
  wanted: DetectorName,
  what: 'detected' | 'enforced',
): ReadingSample[] {
  return detections.filter(({ detector }) => detector === wanted).map(({ [what]: value }) => ({ value }));
}

function ofChecks(
  name: string,
  help: string,
  read: (checks: HealthCheckReading) => number,
  type: ReadingFamily['type'] = 'counter',
): ReadingFamily {
  const samples = ({ healthChecks }: ServiceReading): ReadingSample[] =>
    healthChecks === null ? [] : [{ value: read(healthChecks) }];
  return { name: `${CLUSTER}health_check_${name}`, help, type, samples };
}
