/** What the ledger and the health checks say of every service, for `/clusters` and for `/metrics`. */
import type { CallerView, ClusterView, EndpointView, GaugeView, RateLimitView } from '../admin/index.ts';
import type { Clock } from '../base/index.ts';
import type { EndpointConfig, ServiceConfig, Snapshot } from '../config/index.ts';
import type { LimitedGauge, ServiceReading } from '../controlplane/export/index.ts';
import type { CheckState, HealthChecker, OutlierWatch } from '../controlplane/health/index.ts';
import { bucketShape, GAUGE, type Ledger } from '../ledger/index.ts';

export interface ViewSources {
  readonly ledger: Ledger;
  readonly health: Pick<HealthChecker, 'read' | 'readCounts'>;
  readonly outliers: Pick<OutlierWatch, 'read'>;
  readonly clock: Clock;
}

export function clusterViews(snapshot: Snapshot | null, sources: ViewSources): ClusterView[] {
  return (snapshot?.services ?? []).map((service) => clusterView(service, sources));
}

export function rateLimitViews(snapshot: Snapshot | null, { ledger, clock }: ViewSources): RateLimitView[] {
  const nowMs = clock.nowMs();
  return (snapshot?.limitSlots ?? []).map(({ id, slot, table, requests, intervalMs, burst }) => {
    const shape = bucketShape(requests, intervalMs, burst);
    const { remaining, keys } = ledger.rateLimits.read(slot, table, shape, nowMs);
    return { id, requests, intervalMs, burst, remaining, keys: keys < 0 ? null : keys };
  });
}

export function serviceReadings(
  snapshot: Snapshot | null,
  { ledger, health, clock }: ViewSources,
): ServiceReading[] {
  const nowMs = clock.nowMs();
  return (snapshot?.services ?? []).map((service) => {
    const endpoints = service.endpoints.map(({ slot }) => ledger.endpoints.read(slot, nowMs));
    const available = endpoints.filter(
      ({ state, passesHealthCheck }) => state === 'healthy' && passesHealthCheck,
    );
    const { ejected, ejections, overflow } = ledger.readEjections(service.slot);
    const checks = health.readCounts(service.slot);
    return {
      name: service.name,
      ...gaugesOf(service, ledger),
      retryBudgetExhausted: budgetExhausted(service, ledger, nowMs) ?? 0,
      endpoints: endpoints.length,
      endpointsHealthy: available.filter(({ degraded }) => !degraded).length,
      endpointsDegraded: available.filter(({ degraded }) => degraded).length,
      endpointsEjected: ejected,
      ejections,
      ejectionsOverflow: overflow,
      detections: service.outlierDetection === null ? [] : ledger.readDetections(service.slot),
      healthChecks:
        checks === null
          ? null
          : { ...checks, healthy: endpoints.filter(({ passesHealthCheck }) => passesHealthCheck).length },
      adaptive: adaptiveReading(service, ledger),
    };
  });
}

/** Whether a request to the service, or a connection, was ever begun. */
export function hasTraffic(ledger: Ledger, serviceSlot: number): boolean {
  return [GAUGE.requests, GAUGE.connections].some(
    (gauge) => ledger.readGauge(serviceSlot, gauge).highWater > 0,
  );
}

/** Those with most connections first. */
export function callerViews(snapshot: Snapshot | null, { ledger, clock }: ViewSources): CallerView[] {
  const nowMs = clock.nowMs();
  const { ipv6PrefixLength } = snapshot?.node.callers ?? { ipv6PrefixLength: 128 };
  return ledger.callers.read(nowMs, ipv6PrefixLength).map(({ penaltyMs, ...caller }) => ({
    ...caller,
    penaltyUntil: penaltyMs > 0 ? new Date(clock.wallMs() + penaltyMs).toISOString() : null,
  }));
}

function clusterView(service: ServiceConfig, sources: ViewSources): ClusterView {
  const gauges = gaugesOf(service, sources.ledger);
  const rates = sources.outliers.read(service.slot);
  return {
    name: service.name,
    circuitBreaker: {
      connections: gaugeView(gauges.connections),
      pending: gaugeView(gauges.pending),
      requests: gaugeView(gauges.requests),
      retries: gaugeView(gauges.retries),
    },
    retryBudgetExhausted: budgetExhausted(service, sources.ledger, sources.clock.nowMs()),
    successRates:
      service.outlierDetection === null
        ? null
        : {
            external: rates?.statistics.external ?? null,
            localOrigin: rates?.statistics.localOrigin ?? null,
          },
    adaptiveConcurrency: adaptiveView(service, sources.ledger),
    endpoints: service.endpoints.map((endpoint) => endpointView(endpoint, service, sources)),
  };
}

function adaptiveReading(
  { slot, adaptiveConcurrency }: ServiceConfig,
  ledger: Ledger,
): ServiceReading['adaptive'] {
  const reading = adaptiveConcurrency === null ? null : ledger.readAdaptive(slot);
  if (reading === null) return null;
  const { active, overflow } = ledger.readGauge(slot, GAUGE.outstanding);
  return { ...reading, outstanding: active, blocked: overflow };
}

function gaugesOf(
  { slot, circuitBreaker, retryBudget }: ServiceConfig,
  ledger: Ledger,
): Record<'connections' | 'pending' | 'requests' | 'retries', LimitedGauge> {
  const read = (gauge: (typeof GAUGE)[keyof typeof GAUGE], limit: number | null): LimitedGauge => ({
    ...ledger.readGauge(slot, gauge),
    limit,
  });
  return {
    connections: read(GAUGE.connections, circuitBreaker.maxConnections),
    pending: read(GAUGE.pending, circuitBreaker.maxPendingRequests),
    requests: read(GAUGE.requests, circuitBreaker.maxRequests),
    retries: read(GAUGE.retries, retryBudget === null ? circuitBreaker.maxRetries : null),
  };
}

function adaptiveView(service: ServiceConfig, ledger: Ledger): ClusterView['adaptiveConcurrency'] {
  const reading = adaptiveReading(service, ledger);
  if (reading === null) return null;
  const { limit, outstanding, blocked, minRttUs, sampleRttUs, measuringMinRtt } = reading;
  const minRttMs = minRttUs / 1_000;
  return { limit, outstanding, blocked, measuringMinRtt, minRttMs, sampleRttMs: sampleRttUs / 1_000 };
}

function gaugeView({ active, limit, highWater, opened, overflow }: LimitedGauge): GaugeView {
  return { active, limit, highWaterMark: highWater, opened, overflow };
}

function budgetExhausted({ slot, retryBudget }: ServiceConfig, ledger: Ledger, nowMs: number): number | null {
  return retryBudget === null ? null : ledger.readBudget(slot, nowMs, retryBudget).exhausted;
}

function endpointView(
  endpoint: EndpointConfig,
  service: ServiceConfig,
  { ledger, health, outliers, clock }: ViewSources,
): EndpointView {
  const { slot, address, port, weight, priority, locality, labels } = endpoint;
  const reading = ledger.endpoints.read(slot, clock.nowMs());
  const check = health.read(slot);
  const rates = outliers.read(service.slot)?.rates.get(slot);
  const detected = reading.ejections > 0 || reading.unenforced > 0;
  return {
    address: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
    weight,
    priority,
    locality,
    labels,
    latencyMs: service.loadBalancer.peakEwma === null ? null : reading.latencyMs,
    // An endpoint may have asked for no more requests since its last check.
    health: check === null ? 'unchecked' : reading.passesHealthCheck ? check.state : notPassing(check.state),
    degraded: reading.degraded,
    outlier: reading.state,
    ejectedUntil:
      reading.ejectedForMs > 0 ? new Date(clock.wallMs() + reading.ejectedForMs).toISOString() : null,
    ejections: reading.ejectionMultiplier,
    lastDetection: detected ? reading.finding : null,
    successRate: rates?.external ?? null,
    localOriginSuccessRate: rates?.localOrigin ?? null,
    activeRequests: reading.active,
    consecutive: {
      errors5xx: reading.consecutive5xx,
      gatewayErrors: reading.consecutiveGatewayErrors,
      localOriginFailures: reading.consecutiveLocalOriginFailures,
    },
    lastCheck:
      check === null || check.checkedAtMs === null
        ? null
        : { at: new Date(check.checkedAtMs).toISOString(), result: check.reason },
  };
}

function notPassing(state: CheckState): 'pending' | 'unhealthy' {
  return state === 'pending' ? 'pending' : 'unhealthy';
}
