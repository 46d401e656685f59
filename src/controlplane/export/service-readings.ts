/**
 * What the ledger says of each service, as Envoy's gauges. Sidecars' users see `UO` while no breaker
 * gauge is open (envoy#36771): a breaker that was full for a moment is shut again by the time it is
 * scraped. Therefore a high-water mark and a count of openings stand beside each gauge.
 */
import type { AdaptiveReading, DetectionReading, GaugeReading } from '../../ledger/index.ts';
import { HEALTH_FAMILIES } from './health-families.ts';

/** A circuit-breaker gauge and its limit; null: not limited. */
export interface LimitedGauge extends GaugeReading {
  readonly limit: number | null;
}

export interface ServiceReading {
  readonly name: string;
  readonly connections: LimitedGauge;
  readonly pending: LimitedGauge;
  readonly requests: LimitedGauge;
  /** Without a limit where the retry budget is on. */
  readonly retries: LimitedGauge;
  /** Retries refused because the budget was empty. */
  readonly retryBudgetExhausted: number;
  readonly endpoints: number;
  /** Neither ejected nor failing their active checks nor degraded. */
  readonly endpointsHealthy: number;
  /** The same, but degraded. */
  readonly endpointsDegraded: number;
  readonly endpointsEjected: number;
  readonly ejections: number;
  readonly ejectionsOverflow: number;
  /** Empty: the service has no outlier detection. */
  readonly detections: readonly DetectionReading[];
  /** Null: the service has no active checks. */
  readonly healthChecks: HealthCheckReading | null;
  /** What adaptive concurrency found; null: it is off. */
  readonly adaptive: AdaptiveServiceReading | null;
}

export interface HealthCheckReading {
  readonly attempt: number;
  readonly success: number;
  readonly failure: number;
  readonly networkFailure: number;
  readonly passiveFailure: number;
  /** Endpoints that pass. */
  readonly healthy: number;
}

export interface AdaptiveServiceReading extends AdaptiveReading {
  /** Requests under its limit, and requests that it refused. */
  readonly outstanding: number;
  readonly blocked: number;
}

export interface ReadingFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  /** Appends the samples of one service. */
  readonly samples: (service: ServiceReading) => readonly ReadingSample[];
}

export interface ReadingSample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

type BreakerName = 'connections' | 'pending' | 'requests' | 'retries';

/** Our name, then Envoy's in `_open` and in `remaining_`. */
const BREAKERS: readonly (readonly [BreakerName, string, string])[] = [
  ['connections', 'cx', 'cx'],
  ['pending', 'rq_pending', 'pending'],
  ['requests', 'rq', 'rq'],
  ['retries', 'rq_retry', 'retries'],
];

const CLUSTER = 'envoy_cluster_';
const DEFAULT = `${CLUSTER}circuit_breakers_default_`;

export const READING_FAMILIES: readonly ReadingFamily[] = [
  ...BREAKERS.flatMap(([breaker, open, remaining]): ReadingFamily[] => [
    {
      name: `${DEFAULT}${open}_open`,
      help: `1 while the circuit breaker for ${breaker} is full.`,
      type: 'gauge',
      samples: (service) => [{ value: isOpen(service[breaker]) ? 1 : 0 }],
    },
    {
      name: `${DEFAULT}remaining_${remaining}`,
      help: `Units of ${breaker} left until the circuit breaker opens.`,
      type: 'gauge',
      samples: (service) => remainingOf(service[breaker]),
    },
  ]),
  ofBreakers(
    'outboard_circuit_breaker_limit',
    'gauge',
    'Limit of the circuit breaker, for the whole node.',
    ({ limit }) => limit,
  ),
  ofBreakers(
    'outboard_circuit_breaker_high_water',
    'gauge',
    'Most units held at once.',
    ({ highWater }) => highWater,
  ),
  ofBreakers(
    'outboard_circuit_breaker_opened_total',
    'counter',
    'Times that the circuit breaker became full.',
    ({ opened }) => opened,
  ),
  ofBreakers(
    'outboard_circuit_breaker_overflow_total',
    'counter',
    'Times that the full circuit breaker refused.',
    ({ overflow }) => overflow,
  ),
  plain('upstream_cx_active', 'gauge', 'Open connections.', (service) => service.connections.active),
  plain(
    'upstream_cx_overflow',
    'counter',
    'Times that maxConnections was reached.',
    (service) => service.connections.overflow,
  ),
  plain('upstream_rq_active', 'gauge', 'Requests under way.', (service) => service.requests.active),
  plain(
    'upstream_rq_pending_active',
    'gauge',
    'Requests that wait for a connection.',
    (service) => service.pending.active,
  ),
  plain('membership_total', 'gauge', 'Endpoints.', (service) => service.endpoints),
  plain('membership_healthy', 'gauge', 'Healthy endpoints.', (service) => service.endpointsHealthy),
  plain('membership_degraded', 'gauge', 'Degraded endpoints.', (service) => service.endpointsDegraded),
  plain(
    'outlier_detection_ejections_active',
    'gauge',
    'Endpoints ejected now.',
    (service) => service.endpointsEjected,
  ),
  plain(
    'outlier_detection_ejections_enforced_total',
    'counter',
    'Endpoints ejected.',
    (service) => service.ejections,
  ),
  plain(
    'outlier_detection_ejections_overflow',
    'counter',
    'Ejections not made because maxEjectionPercent and maxEjectionCount forbade it.',
    (service) => service.ejectionsOverflow,
  ),
  ...HEALTH_FAMILIES,
  {
    name: 'outboard_retry_budget_exhausted_total',
    help: 'Retries refused because the retry budget was empty.',
    type: 'counter',
    samples: (service) => [{ value: service.retryBudgetExhausted }],
  },
  ofAdaptive('rq_blocked', 'counter', 'Requests refused by adaptive concurrency.', ({ blocked }) => blocked),
  ofAdaptive('concurrency_limit', 'gauge', 'Requests that may be in flight.', ({ limit }) => limit),
  ofAdaptive(
    'rq_outstanding',
    'gauge',
    'Requests in flight under that limit.',
    ({ outstanding }) => outstanding,
  ),
  ofAdaptive('gradient', 'gauge', 'Last gradient, times 1,000.', ({ gradient }) => gradient),
  ofAdaptive('burst_queue_size', 'gauge', 'Headroom in the last limit.', ({ headroom }) => headroom),
  ofAdaptive('min_rtt_calculation_active', 'gauge', '1 while minRTT is measured.', ({ measuringMinRtt }) =>
    measuringMinRtt ? 1 : 0,
  ),
  ofAdaptive(
    'min_rtt_msecs',
    'gauge',
    'Latency of the service when it is not busy.',
    (one) => one.minRttUs / 1_000,
  ),
  ofAdaptive('sample_rtt_msecs', 'gauge', 'Latency of the last window.', (one) => one.sampleRttUs / 1_000),
];

/** Envoy's names; there they belong to a filter of a listener, here to a service. */
function ofAdaptive(
  name: string,
  type: ReadingFamily['type'],
  help: string,
  read: (adaptive: AdaptiveServiceReading) => number,
): ReadingFamily {
  return {
    name: `envoy_http_adaptive_concurrency_gradient_controller_${name}`,
    help,
    type,
    samples: ({ adaptive }) => (adaptive === null ? [] : [{ value: read(adaptive) }]),
  };
}

function plain(
  name: string,
  type: ReadingFamily['type'],
  help: string,
  read: (service: ServiceReading) => number,
): ReadingFamily {
  return { name: CLUSTER + name, help, type, samples: (service) => [{ value: read(service) }] };
}

function ofBreakers(
  name: string,
  type: ReadingFamily['type'],
  help: string,
  read: (gauge: LimitedGauge) => number | null,
): ReadingFamily {
  const samples = (service: ServiceReading): ReadingSample[] =>
    BREAKERS.flatMap(([breaker]) => {
      const value = read(service[breaker]);
      return value === null ? [] : [{ value, labels: { breaker } }];
    });
  return { name, help, type, samples };
}

function isOpen({ active, limit }: LimitedGauge): boolean {
  return limit !== null && active >= limit;
}

function remainingOf({ active, limit }: LimitedGauge): ReadingSample[] {
  return limit === null ? [] : [{ value: Math.max(0, limit - active) }];
}
