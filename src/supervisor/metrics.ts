/** The supervisor's own metrics, read at scrape. */
import type { Clock } from '../base/index.ts';
import type { PrometheusExporter } from '../controlplane/export/index.ts';
import type { CallerUsage, Ledger } from '../ledger/index.ts';
import type { ConfigIntake } from './intake.ts';
import type { Publisher } from './publisher.ts';
import type { SecretKeeper } from './secrets.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface MetricSources {
  readonly intake: ConfigIntake;
  readonly publisher: Publisher;
  readonly secrets: SecretKeeper;
  readonly pool: WorkerPool;
  readonly ledger: Ledger;
  readonly clock: Clock;
  isReady(): boolean;
}

export function addSupervisorMetrics(prometheus: PrometheusExporter, sources: MetricSources): void {
  const { intake, publisher, secrets, pool, ledger } = sources;
  const gauge = (name: string, help: string, read: () => number): void =>
    prometheus.add('gauge', name, help, () => [{ value: read() }]);
  const version = (): number => publisher.inForce?.version ?? 0;
  gauge('outboard_ready', '1 while /ready answers 200.', () => (sources.isReady() ? 1 : 0));
  gauge('outboard_config_version', 'Configuration version in force on every worker.', version);
  gauge('outboard_config_last_reload_success', '0 while the newest configuration is refused.', () =>
    intake.isCurrent ? 1 : 0,
  );
  prometheus.add('counter', 'outboard_config_rejected_total', 'Configurations refused.', () => [
    { value: intake.rejected },
  ]);
  gauge('outboard_workers', 'Workers configured.', () => pool.slots.length);
  gauge(
    'outboard_workers_ready',
    'Workers that listen on everything.',
    () => pool.slots.filter((slot) => slot.serves(version())).length,
  );
  prometheus.add('counter', 'outboard_worker_crashes_total', 'Unplanned ends of a worker.', () =>
    pool.slots.map(({ index, crashes }) => ({ value: crashes, labels: { worker: String(index) } })),
  );
  prometheus.add(
    'gauge',
    'outboard_certificate_not_after_seconds',
    'When a certificate expires, Unix time.',
    () =>
      secrets.current.certificates.map(({ name, notAfterMs }) => ({
        value: notAfterMs / 1_000,
        labels: { name },
      })),
  );
  gauge(
    'outboard_secret_faults',
    'Secrets that could not be loaded; their last good version serves.',
    () => secrets.faults.filter(({ severity }) => severity === 'error').length,
  );
  addCallerMetrics(prometheus, sources);
  prometheus.add('gauge', 'outboard_ledger_slots', 'Slots of the ledger by table and state.', () =>
    [
      ['services', ledger.serviceUsage()] as const,
      ['endpoints', ledger.endpoints.usage()] as const,
      ['rate_limits', ledger.rateLimits.usage()] as const,
      ['rate_limit_tables', ledger.rateLimits.tableUsage()] as const,
    ].flatMap(([table, { used, draining, capacity }]) => [
      { value: used, labels: { table, state: 'used' } },
      { value: draining, labels: { table, state: 'draining' } },
      { value: capacity - used - draining, labels: { table, state: 'free' } },
    ]),
  );
}

/** No series of single callers: their addresses are the callers' choice. `/callers` has them. */
function addCallerMetrics(prometheus: PrometheusExporter, { ledger, clock }: MetricSources): void {
  const usage = (): CallerUsage => ledger.callers.usage(clock.nowMs());
  const add = (type: 'gauge' | 'counter', name: string, help: string, of: keyof CallerUsage): void =>
    prometheus.add(type, `outboard_callers${name}`, help, () => [{ value: usage()[of] }]);
  add('gauge', '', 'Callers known.', 'used');
  add('gauge', '_penalised', 'Callers whose new connections are reset for their offences.', 'penalised');
  add('gauge', '_connections_max', 'Most connections that one caller holds.', 'connectionsMax');
  add(
    'counter',
    '_untracked_total',
    'Connections that passed uncounted: as many callers were known as can be.',
    'untracked',
  );
}
