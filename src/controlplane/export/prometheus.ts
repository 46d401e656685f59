/**
 * `/metrics`. prom-client keeps the registry, the process's own metrics and the text format; everything else
 * is read at scrape: cells from the workers' shared memory, breakers and health from the ledger, the rest
 * from whoever added it. Nothing is counted twice in memory, and a scrape never asks a worker.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Clock } from '../../base/index.ts';
import type { WorkerCells } from '../../ledger/index.ts';
import { type BlockKind, type CellFamily, FAMILIES, type SeriesAnnouncement } from '../../telemetry/index.ts';
import { CellSeriesTable } from './cell-series.ts';
import { type Collect, CollectedMetric, cellValues, type MetricType } from './collected-metric.ts';
import { READING_FAMILIES, type ServiceReading } from './service-readings.ts';

export interface PrometheusOptions {
  readonly clock: Clock;
  /** Reads the ledger, for every service in force. */
  readonly services: () => readonly ServiceReading[];
}

export interface Sample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export class PrometheusExporter {
  private readonly registry = new Registry();
  private readonly cells: CellSeriesTable;
  private readonly options: PrometheusOptions;
  private readings: readonly ServiceReading[] = [];

  constructor(options: PrometheusOptions) {
    this.options = options;
    this.cells = new CellSeriesTable(options.clock);
    collectDefaultMetrics({ register: this.registry });
    for (const block of Object.keys(FAMILIES) as BlockKind[]) {
      for (const families of byName(FAMILIES[block])) {
        const [{ name, help, type }] = families;
        this.register(type, name, help, () => cellValues(families, this.cells.seriesOf(block)));
      }
    }
    for (const { name, help, type, samples } of READING_FAMILIES) {
      this.register(type, name, help, () =>
        this.readings.flatMap((service) =>
          samples(service).map(({ value, labels }) => ({
            value,
            labels: { envoy_cluster_name: service.name, ...labels },
          })),
        ),
      );
    }
    this.add('gauge', 'outboard_metric_series', 'Label sets that workers have announced.', () => [
      { value: this.cells.size },
    ]);
  }

  /** A worker thread begins: `id` is any number that no living one has, `cells` are its own and read 0. */
  attachWorker(id: number, cells: WorkerCells): void {
    this.cells.attach(id, cells);
  }

  /** The `series` of a record batch. */
  announce(id: number, series: readonly SeriesAnnouncement[]): void {
    this.cells.announce(id, series);
  }

  /** After the thread's exit event, when its last messages have been handled. Its counts stay, its cells are zeroed. */
  retireWorker(id: number): void {
    this.cells.retire(id);
  }

  /** With every snapshot: names of its services, and `listenerOwner` of its listeners. */
  setOwners(owners: Iterable<string>): void {
    this.cells.setOwners(owners);
  }

  /** A metric of the supervisor's own, read at scrape. */
  add(type: 'counter' | 'gauge', name: string, help: string, read: () => readonly Sample[]): void {
    this.register(type, name, help, () =>
      read().map(({ value, labels }) => ({ value, labels: { ...labels } })),
    );
  }

  /** The whole exposition, for `/metrics`. */
  async metrics(): Promise<{ readonly contentType: string; readonly body: string }> {
    this.cells.refresh();
    this.readings = this.options.services();
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }

  private register(type: MetricType, name: string, help: string, collect: Collect): void {
    this.registry.registerMetric(new CollectedMetric(type, name, help, collect));
  }
}

/** Families that have one name (classes of status codes, say) together: they are one metric. */
function byName(families: readonly CellFamily[]): CellFamily[][] {
  return [...Map.groupBy(families, ({ name }) => name).values()];
}
