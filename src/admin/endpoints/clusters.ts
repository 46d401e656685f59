/**
 * `/clusters`: endpoint health and breaker state. The text form is Envoy's (`cluster::host::name::value`), so that
 * the scripts that grep it go on working; Outboard's high-water mark, opened-count and overflow are added
 * beside Envoy's names.
 */
import { AdminError, type Endpoint, formatOf, json, text } from '../answer.ts';
import type { ClusterView, EndpointView, GaugeView } from '../api.ts';

export const clusters: Endpoint = {
  path: '/clusters',
  methods: ['GET'],
  summary: 'endpoint health, ejections and breaker state; ?service=NAME, ?format=text',
  handle: ({ query }, api) => {
    const format = formatOf(query, ['json', 'text']);
    const service = query.get('service');
    const found = api.clusters().filter((cluster) => service === null || cluster.name === service);
    if (service !== null && found.length === 0) {
      throw new AdminError(
        404,
        'no-such-service',
        `no service is called ${service}`,
        'see /clusters for the names',
      );
    }
    return format === 'json' ? json(found) : text(found.map(clusterText).join(''));
  },
};

function clusterText(cluster: ClusterView): string {
  const { name, circuitBreaker: breaker } = cluster;
  const lines = [
    ...gaugeLines('connections', breaker.connections),
    ...gaugeLines('pending_requests', breaker.pending),
    ...gaugeLines('requests', breaker.requests),
    ...gaugeLines('retries', breaker.retries),
  ].map((line) => `${name}::default_priority::${line}`);
  if (cluster.retryBudgetExhausted !== null) {
    lines.push(`${name}::retry_budget::exhausted::${cluster.retryBudgetExhausted}`);
  }
  if (cluster.successRates !== null) {
    const { external, localOrigin } = cluster.successRates;
    for (const [name, rates] of [
      ['success_rate', external],
      ['local_origin_success_rate', localOrigin],
    ] as const) {
      lines.push(`${cluster.name}::outlier::${name}_average::${orNone(rates?.average)}`);
      lines.push(`${cluster.name}::outlier::${name}_ejection_threshold::${orNone(rates?.threshold)}`);
    }
  }
  for (const [key, value] of Object.entries(cluster.adaptiveConcurrency ?? {}))
    lines.push(`${name}::adaptive_concurrency::${key}::${value}`);
  for (const endpoint of cluster.endpoints) {
    for (const line of endpointLines(endpoint)) lines.push(`${name}::${endpoint.address}::${line}`);
  }
  return `${lines.join('\n')}\n`;
}

function gaugeLines(name: string, gauge: GaugeView): string[] {
  return [
    `max_${name}::${gauge.limit ?? 'unlimited'}`,
    `${name}_active::${gauge.active}`,
    `${name}_high_water_mark::${gauge.highWaterMark}`,
    `${name}_opened::${gauge.opened}`,
    `${name}_overflow::${gauge.overflow}`,
  ];
}

function endpointLines(endpoint: EndpointView): string[] {
  const { consecutive, locality } = endpoint;
  const lines = [
    `rq_active::${endpoint.activeRequests}`,
    `weight::${endpoint.weight}`,
    `region::${locality?.region ?? ''}`,
    `zone::${locality?.zone ?? ''}`,
    `sub_zone::${locality?.subZone ?? ''}`,
    `priority::${endpoint.priority}`,
    `health_flags::${healthFlags(endpoint)}`,
    `outlier::${endpoint.outlier}`,
    `ejections::${endpoint.ejections}`,
    `consecutive_5xx::${consecutive.errors5xx}`,
    `consecutive_gateway_failure::${consecutive.gatewayErrors}`,
    `consecutive_local_origin_failure::${consecutive.localOriginFailures}`,
  ];
  if (endpoint.latencyMs !== null) lines.push(`latency_ms::${endpoint.latencyMs}`);
  lines.push(`success_rate::${orNone(endpoint.successRate)}`);
  lines.push(`local_origin_success_rate::${orNone(endpoint.localOriginSuccessRate)}`);
  if (endpoint.lastDetection !== null) {
    const { detector, observed, threshold } = endpoint.lastDetection;
    lines.push(`last_detection::${detector} ${observed} of ${threshold}`);
  }
  if (endpoint.ejectedUntil !== null) lines.push(`ejected_until::${endpoint.ejectedUntil}`);
  if (endpoint.lastCheck !== null)
    lines.push(`last_check::${endpoint.lastCheck.at} ${endpoint.lastCheck.result}`);
  return lines;
}

/** Envoy's flags; `healthy` when none is set. */
function healthFlags(endpoint: EndpointView): string {
  let flags = '';
  if (endpoint.health === 'unhealthy' || endpoint.health === 'pending') flags += '/failed_active_hc';
  if (endpoint.health === 'pending') flags += '/pending_active_hc';
  if (endpoint.degraded) flags += '/degraded_active_hc';
  if (endpoint.outlier !== 'healthy') flags += '/failed_outlier_check';
  return flags === '' ? 'healthy' : flags;
}

/** Envoy writes -1 where a rate was not worked out. */
function orNone(rate: number | null | undefined): number {
  return rate ?? -1;
}
