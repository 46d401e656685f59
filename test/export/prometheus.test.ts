/** `/metrics`: the format, sums over workers, workers that end, services that are removed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock, LIMITS } from '../../src/base/index.ts';
import {
  type LimitedGauge,
  PrometheusExporter,
  type ServiceReading,
} from '../../src/controlplane/export/index.ts';
import type { WorkerCells } from '../../src/ledger/index.ts';
import {
  COUNTER,
  FAILURE_CELL,
  LISTENER_COUNTER,
  listenerOwner,
  Recorder,
  WORKER_COUNTER,
} from '../../src/telemetry/index.ts';
import { answered, newCells } from '../telemetry/kit.ts';
import { type Exposition, readExposition } from './exposition.ts';

const ISTIO =
  'connection_security_policy="none",destination_principal="unknown",destination_service="cart",' +
  'destination_service_name="cart",destination_service_namespace="unknown",destination_workload="unknown",' +
  'destination_workload_namespace="unknown",grpc_response_status="",';
const ISTIO_END =
  'reporter="source",request_protocol="http",response_code="200",response_flags="-",source_principal="unknown",' +
  'source_workload="unknown",source_workload_namespace="unknown"';
const REQUESTS = `istio_requests_total{${ISTIO}${ISTIO_END}}`;

interface Node {
  readonly exporter: PrometheusExporter;
  readonly clock: FakeClock;
  worker(id: number, cells?: WorkerCells): Recorder;
  scrape(): Promise<Exposition>;
}

function node(services: readonly ServiceReading[] = []): Node {
  const clock = new FakeClock();
  const exporter = new PrometheusExporter({ clock, services: () => services });
  return {
    exporter,
    clock,
    worker(id, cells = newCells()) {
      exporter.attachWorker(id, cells);
      const recorder = new Recorder({
        clock,
        cells,
        sink: { post: ({ series }) => exporter.announce(id, series) },
        log: null,
        tracing: { sampling: 0, propagation: [], serviceName: 'outboard' },
      });
      recorder.metrics.addService('cart', 3);
      recorder.metrics.addListener('web', '127.0.0.1_80');
      return recorder;
    },
    async scrape() {
      return readExposition((await exporter.metrics()).body);
    },
  };
}

test('the exposition is valid from the first scrape on, and says what it is', async () => {
  const { exporter, worker, clock } = node();
  readExposition((await exporter.metrics()).body);
  worker(0).finish(answered(clock));
  const { contentType, body } = await exporter.metrics();
  assert.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8');
  const { types } = readExposition(body);
  assert.equal(types.get('istio_requests_total'), 'counter');
  assert.equal(types.get('istio_request_duration_milliseconds'), 'histogram');
  assert.equal(types.get('envoy_cluster_upstream_rq_total'), 'counter');
  assert.equal(types.get('envoy_listener_downstream_cx_active'), 'gauge');
  assert.equal(types.get('process_resident_memory_bytes'), 'gauge');
});

test('counts and histograms are summed over workers', async () => {
  const { worker, clock, scrape } = node();
  const workers = [worker(0), worker(1), worker(2)];
  for (const [i, recorder] of workers.entries()) {
    for (let n = 0; n <= i; n++) {
      const record = answered(clock);
      record.endMs = record.startMs + 0.4 * 10 ** i;
      recorder.finish(record);
    }
  }
  const { samples } = await scrape();
  const bucket = (le: string): number | undefined =>
    samples.get(`istio_request_duration_milliseconds_bucket{${ISTIO}le="${le}",${ISTIO_END}}`);
  assert.equal(samples.get(REQUESTS), 6);
  assert.deepEqual([bucket('0.5'), bucket('5'), bucket('25'), bucket('50'), bucket('+Inf')], [1, 3, 3, 6, 6]);
  const sum = samples.get(`istio_request_duration_milliseconds_sum{${ISTIO}${ISTIO_END}}`) ?? 0;
  assert.ok(Math.abs(sum - (0.4 + 2 * 4 + 3 * 40)) < 1e-6);
  assert.equal(samples.get(`istio_response_bytes_sum{${ISTIO}${ISTIO_END}}`), 720);
  assert.equal(
    samples.get('envoy_cluster_upstream_rq_xx{envoy_cluster_name="cart",envoy_response_code_class="2"}'),
    6,
  );
  assert.equal(
    samples.get('envoy_cluster_upstream_rq_xx{envoy_cluster_name="cart",envoy_response_code_class="5"}'),
    0,
  );
});

test('a worker that ends takes no count with it, and its cells may be taken over', async () => {
  const { exporter, worker, clock, scrape } = node();
  const cells = newCells();
  const first = worker(0, cells);
  const other = worker(1);
  first.finish(answered(clock));
  first.finish(answered(clock));
  other.finish(answered(clock));
  exporter.retireWorker(0);
  assert.equal((await scrape()).samples.get(REQUESTS), 3);
  const successor = worker(0, cells);
  assert.equal((await scrape()).samples.get(REQUESTS), 3);
  successor.finish(answered(clock));
  assert.equal((await scrape()).samples.get(REQUESTS), 4);
  exporter.retireWorker(0);
  exporter.retireWorker(1);
  exporter.retireWorker(7);
  assert.equal((await scrape()).samples.get(REQUESTS), 4);
});

test('open connections are those of living workers', async () => {
  const { exporter, worker, scrape } = node();
  const web = [worker(0), worker(1)].map((recorder) => recorder.metrics.listenerOf('web'));
  web[0]?.add(LISTENER_COUNTER.downstreamCxTotal, 5);
  web[0]?.add(LISTENER_COUNTER.downstreamCxDestroy, 2);
  web[1]?.add(LISTENER_COUNTER.downstreamCxTotal, 4);
  const labels = '{envoy_http_conn_manager_prefix="web",envoy_listener_address="127.0.0.1_80"}';
  assert.equal((await scrape()).samples.get(`envoy_listener_downstream_cx_active${labels}`), 7);
  exporter.retireWorker(0);
  const { samples } = await scrape();
  assert.equal(samples.get(`envoy_listener_downstream_cx_active${labels}`), 4);
  assert.equal(samples.get(`envoy_listener_downstream_cx_total${labels}`), 9);
});

test('failures are told by kind and flag, and what a worker lost is told too', async () => {
  const { worker, scrape } = node();
  const recorder = worker(0);
  recorder.metrics.listenerOf('web')?.add(FAILURE_CELL['obs-fold'], 2);
  recorder.metrics.worker.add(WORKER_COUNTER.accessLogDropped, 9);
  const { samples } = await scrape();
  const labels =
    'envoy_http_conn_manager_prefix="web",envoy_listener_address="127.0.0.1_80",kind="obs-fold",response_flags="DPE"';
  assert.equal(samples.get(`outboard_requests_failed_total{${labels}}`), 2);
  assert.equal(samples.get('outboard_access_log_dropped_total{}'), 9);
});

test('series of a removed service and listener expire after their time, those of a returned one stay', async () => {
  const { exporter, worker, clock, scrape } = node();
  const recorder = worker(0);
  recorder.finish(answered(clock));
  const web = listenerOwner('web', '127.0.0.1_80');
  exporter.setOwners(['cart', web]);
  clock.advance(10 * LIMITS.removedSeriesMs);
  assert.equal((await scrape()).samples.get(REQUESTS), 1);
  exporter.setOwners([]);
  clock.advance(LIMITS.removedSeriesMs - 1);
  assert.equal((await scrape()).samples.get(REQUESTS), 1);
  exporter.setOwners(['cart', web]);
  clock.advance(LIMITS.removedSeriesMs);
  assert.equal((await scrape()).samples.get(REQUESTS), 1, 'it came back in time');
  exporter.setOwners([]);
  clock.advance(LIMITS.removedSeriesMs);
  const { samples } = await scrape();
  assert.deepEqual(
    [...samples.keys()].filter((key) => /cart|web/.test(key)),
    [],
  );
  assert.equal(samples.get('outboard_access_log_lines_total{}'), 0, "the worker's own stay");
});

test('a service that comes back after its series expired is on /metrics again', async () => {
  const { exporter, worker, clock, scrape } = node();
  const recorder = worker(0);
  recorder.finish(answered(clock));
  exporter.setOwners([]);
  recorder.metrics.removeService('cart', clock.nowMs());
  clock.advance(1.5 * LIMITS.removedSeriesMs);
  assert.equal((await scrape()).samples.get(REQUESTS), undefined);
  exporter.setOwners(['cart']);
  recorder.metrics.addService('cart', 3);
  assert.equal((await scrape()).samples.get(REQUESTS), 1);
});

test('a request that ends after its service was removed does not keep its series for ever', async () => {
  const { exporter, worker, clock, scrape } = node();
  const recorder = worker(0);
  exporter.setOwners([]);
  recorder.finish(answered(clock));
  assert.equal((await scrape()).samples.get(REQUESTS), 1);
  clock.advance(LIMITS.removedSeriesMs);
  assert.equal((await scrape()).samples.get(REQUESTS), undefined);
});

test('names that need escaping stay readable', async () => {
  const { worker, clock, scrape } = node();
  const recorder = worker(0);
  recorder.metrics.addService('a"b\\c\nd', 8);
  recorder.finish(answered(clock, { service: 'a"b\\c\nd', serviceSlot: 8 }));
  const { samples } = await scrape();
  assert.equal(samples.get('envoy_cluster_upstream_rq_total{envoy_cluster_name="a\\"b\\\\c\\nd"}'), 1);
});

test("the ledger's breakers, budget and health", async () => {
  const gauge = (active: number, limit: number | null): LimitedGauge => ({
    active,
    limit,
    highWater: 10,
    opened: 2,
    overflow: 5,
  });
  const { scrape } = node([
    {
      name: 'cart',
      connections: gauge(3, 10),
      pending: gauge(0, 4),
      requests: gauge(10, 10),
      retries: gauge(1, null),
      retryBudgetExhausted: 6,
      endpoints: 3,
      endpointsHealthy: 2,
      endpointsDegraded: 7,
      endpointsEjected: 1,
      ejections: 4,
      ejectionsOverflow: 8,
      detections: [
        { detector: 'SUCCESS_RATE', detected: 9, enforced: 4 },
        { detector: 'PROBE', detected: 2, enforced: 2 },
      ],
      healthChecks: {
        attempt: 20,
        success: 15,
        failure: 6,
        networkFailure: 3,
        passiveFailure: 1,
        healthy: 2,
      },
      adaptive: {
        limit: 25,
        measuringMinRtt: true,
        minRttUs: 1_500,
        sampleRttUs: 3_000,
        gradient: 625,
        headroom: 5,
        outstanding: 12,
        blocked: 7,
      },
    },
  ]);
  const { samples } = await scrape();
  const at = (name: string): number | undefined => samples.get(`${name}{envoy_cluster_name="cart"}`);
  assert.equal(at('envoy_cluster_circuit_breakers_default_rq_open'), 1);
  assert.equal(at('envoy_cluster_circuit_breakers_default_cx_open'), 0);
  assert.equal(at('envoy_cluster_circuit_breakers_default_rq_pending_open'), 0);
  assert.equal(at('envoy_cluster_circuit_breakers_default_rq_retry_open'), 0);
  assert.equal(at('envoy_cluster_circuit_breakers_default_remaining_cx'), 7);
  assert.equal(at('envoy_cluster_circuit_breakers_default_remaining_pending'), 4);
  assert.equal(at('envoy_cluster_circuit_breakers_default_remaining_rq'), 0);
  assert.equal(at('envoy_cluster_circuit_breakers_default_remaining_retries'), undefined);
  assert.equal(at('envoy_cluster_upstream_cx_active'), 3);
  assert.equal(at('envoy_cluster_upstream_cx_overflow'), 5);
  assert.equal(at('envoy_cluster_membership_healthy'), 2);
  assert.equal(at('envoy_cluster_outlier_detection_ejections_active'), 1);
  assert.equal(at('envoy_cluster_outlier_detection_ejections_enforced_total'), 4);
  assert.equal(at('envoy_cluster_outlier_detection_ejections_detected_success_rate'), 9);
  assert.equal(at('envoy_cluster_outlier_detection_ejections_enforced_success_rate'), 4);
  assert.equal(at('outboard_outlier_probes_failed_total'), 2);
  assert.equal(at('envoy_cluster_membership_degraded'), 7);
  assert.equal(at('envoy_cluster_health_check_attempt'), 20);
  assert.equal(at('envoy_cluster_health_check_network_failure'), 3);
  assert.equal(at('envoy_cluster_health_check_passive_failure'), 1);
  assert.equal(at('envoy_cluster_health_check_healthy'), 2);
  assert.equal(at('outboard_retry_budget_exhausted_total'), 6);
  const gradient = 'envoy_http_adaptive_concurrency_gradient_controller_';
  assert.equal(at(`${gradient}concurrency_limit`), 25);
  assert.equal(at(`${gradient}rq_blocked`), 7);
  assert.equal(at(`${gradient}min_rtt_calculation_active`), 1);
  assert.equal(at(`${gradient}min_rtt_msecs`), 1.5);
  assert.equal(
    samples.get('outboard_circuit_breaker_high_water{breaker="requests",envoy_cluster_name="cart"}'),
    10,
  );
  assert.equal(
    samples.get('outboard_circuit_breaker_opened_total{breaker="pending",envoy_cluster_name="cart"}'),
    2,
  );
});

test("the supervisor's own metrics", async () => {
  const { exporter, scrape } = node();
  let version = 1;
  exporter.add('gauge', 'outboard_config_version', 'Snapshot in force.', () => [{ value: version }]);
  exporter.add('counter', 'outboard_worker_crashes_total', 'Unplanned ends.', () => [
    { value: 2, labels: { worker: '0' } },
  ]);
  assert.equal((await scrape()).samples.get('outboard_config_version{}'), 1);
  version = 2;
  const { samples } = await scrape();
  assert.equal(samples.get('outboard_config_version{}'), 2);
  assert.equal(samples.get('outboard_worker_crashes_total{worker="0"}'), 2);
});

test('counters of one service sum over the workers that use it', async () => {
  const { worker, scrape } = node();
  for (const id of [0, 1, 2, 3])
    worker(id)
      .metrics.serviceOf(3, 'cart')
      .counters.add(COUNTER.upstreamCxTotal, 10 ** id);
  assert.equal(
    (await scrape()).samples.get('envoy_cluster_upstream_cx_total{envoy_cluster_name="cart"}'),
    1_111,
  );
});
