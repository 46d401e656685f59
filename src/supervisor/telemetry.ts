/**
 * What becomes of what the workers record: their metric cells are summed at scrape, spans go to the trace store
 * and, if configured, to a tracing backend, decision records to their store. Every thread has cells of its own
 * that start at 0; what a thread had counted when it ended stays in the sums.
 */
import { hostname } from 'node:os';
import type { Clock } from '../base/index.ts';
import type { Snapshot, TracingConfig } from '../config/index.ts';
import {
  DecisionStore,
  OtlpExporter,
  type OtlpStats,
  PrometheusExporter,
  type ServiceReading,
  TraceStore,
} from '../controlplane/export/index.ts';
import { attachMetricCells, createMetricCells, type MetricCellBuffers } from '../ledger/index.ts';
import { limitOwner, listenerOwner, METRIC_CELLS_CAPACITY, type RecordBatch } from '../telemetry/index.ts';
import type { Logger } from './logger.ts';

export interface TelemetryOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  services(): readonly ServiceReading[];
}

type SpanCount =
  | 'offered'
  | 'exported'
  | 'rejected'
  | 'droppedQueueFull'
  | 'droppedExportFailed'
  | 'failedPosts';

/** How long spans that wait may take to be sent when the backend changes, or the process ends. */
const FLUSH_MS = 2_000;

export class TelemetryHub {
  readonly prometheus: PrometheusExporter;
  readonly traces = new TraceStore();
  readonly decisions = new DecisionStore();
  private readonly logger: Logger;
  private otlp: OtlpExporter | null = null;
  private otlpEndpoint: string | null = null;
  /** Exporters to backends that were configured before, until they have ended. */
  private readonly former = new Set<OtlpExporter>();
  /** What those that have ended counted: a counter must not fall. */
  private readonly ended: Record<SpanCount, number> = {
    offered: 0,
    exported: 0,
    rejected: 0,
    droppedQueueFull: 0,
    droppedExportFailed: 0,
    failedPosts: 0,
  };
  private readonly closing = new Set<Promise<void>>();

  constructor(options: TelemetryOptions) {
    this.logger = options.logger;
    this.prometheus = new PrometheusExporter({ clock: options.clock, services: options.services });
    this.addSpanMetrics();
  }

  /** New cells for the thread `id` in ledger column `column`, which attaches to them by that number. */
  attach(id: number, column: number): MetricCellBuffers {
    const { buffers } = createMetricCells({ workers: 1, capacity: METRIC_CELLS_CAPACITY });
    const [own] = buffers.perWorker as [SharedArrayBuffer];
    const perWorker = Array.from({ length: column + 1 }, () => own);
    const placed = { capacity: buffers.capacity, perWorker };
    this.prometheus.attachWorker(id, attachMetricCells(placed, column));
    return placed;
  }

  take(id: number, batch: RecordBatch): void {
    this.prometheus.announce(id, batch.series);
    this.traces.add(batch.spans);
    this.decisions.add(batch.decisions);
    this.otlp?.add(batch.spans);
  }

  retire(id: number): void {
    this.prometheus.retireWorker(id);
  }

  /** With every snapshot in force. */
  configure(snapshot: Snapshot): void {
    this.prometheus.setOwners([
      ...snapshot.services.map(({ name }) => name),
      ...snapshot.limitSlots.map(({ id }) => limitOwner(id)),
      ...snapshot.listeners.map(({ name, host, port }) => listenerOwner(name, `${host}_${port}`)),
    ]);
    this.configureOtlp(snapshot.node.tracing);
  }

  async close(): Promise<void> {
    this.retireOtlp();
    await Promise.all(this.closing);
  }

  private configureOtlp({ otlpEndpoint }: TracingConfig): void {
    if (otlpEndpoint === this.otlpEndpoint) return;
    this.retireOtlp();
    this.otlpEndpoint = otlpEndpoint;
    if (otlpEndpoint === null) return;
    this.otlp = new OtlpExporter({
      endpoint: otlpEndpoint,
      resource: { 'host.name': hostname() },
      onState: (works, detail) => {
        if (works) this.logger.info({ endpoint: otlpEndpoint }, 'spans are exported again');
        else
          this.logger.warn(
            { endpoint: otlpEndpoint, detail },
            'spans can not be exported; traffic is not affected',
          );
      },
    });
  }

  private retireOtlp(): void {
    const { otlp } = this;
    if (otlp === null) return;
    this.otlp = null;
    this.former.add(otlp);
    const closed = otlp.shutdown(FLUSH_MS).finally(() => {
      this.closing.delete(closed);
      this.former.delete(otlp);
      const stats = otlp.stats();
      for (const field of Object.keys(this.ended) as SpanCount[]) this.ended[field] += stats[field];
    });
    this.closing.add(closed);
  }

  private addSpanMetrics(): void {
    const count = (name: string, help: string, field: SpanCount): void =>
      this.prometheus.add('counter', name, help, () => [{ value: this.spanCount(field) }]);
    count('outboard_spans_offered_total', 'Spans handed to the OTLP exporter.', 'offered');
    count('outboard_spans_exported_total', 'Spans the tracing backend accepted.', 'exported');
    count(
      'outboard_otlp_failed_posts_total',
      'OTLP posts that failed, repeated ones included.',
      'failedPosts',
    );
    this.prometheus.add(
      'counter',
      'outboard_spans_dropped_total',
      'Spans that were not exported, by reason.',
      () => [
        { value: this.spanCount('droppedQueueFull'), labels: { reason: 'queue_full' } },
        { value: this.spanCount('droppedExportFailed'), labels: { reason: 'export_failed' } },
        { value: this.spanCount('rejected'), labels: { reason: 'rejected_by_backend' } },
      ],
    );
    this.prometheus.add('gauge', 'outboard_spans_queued', 'Spans that wait to be exported.', () => [
      { value: this.otlp?.stats().queued ?? 0 },
    ]);
  }

  private spanCount(field: SpanCount): number {
    const stats: OtlpStats[] = [...this.former, ...(this.otlp ? [this.otlp] : [])].map((otlp) =>
      otlp.stats(),
    );
    return stats.reduce((sum, each) => sum + each[field], this.ended[field]);
  }
}
