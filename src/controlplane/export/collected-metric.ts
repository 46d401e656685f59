/**
 * A prom-client metric whose samples are read at scrape. prom-client's own classes keep values in a hash by
 * label text, which would have to be filled anew for every scrape (about 1 µs a sample); the registry asks a
 * metric only for `get()`, so this one answers with what it reads.
 */
import { Gauge } from 'prom-client';
import { type CellFamily, HISTOGRAM_BOUNDS, HISTOGRAM_CELLS } from '../../telemetry/index.ts';
import type { CellSeries } from './cell-series.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram';

export interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Where it differs from the metric's name: `_bucket`, `_sum`, `_count`. */
  readonly metricName?: string;
  /** Labels shared with other values; the registry renders an object once and remembers its text. */
  readonly sharedLabels?: Readonly<Record<string, string>>;
}

export type Collect = () => readonly Value[];

type Answer = Awaited<ReturnType<Gauge['get']>>;

export class CollectedMetric extends Gauge {
  private readonly answer: () => object;

  constructor(type: MetricType, name: string, help: string, collect: Collect) {
    super({ name, help, registers: [] });
    this.answer = () => ({ name, help, type, aggregator: 'sum', values: collect() });
  }

  /** The registry calls this one where there is one, and only then knows `sharedLabels`. */
  async getForPromString(): Promise<object> {
    return this.answer();
  }

  override async get(): Promise<Answer> {
    // prom-client's types call the type a numeric enum; what its code reads and writes is its name.
    return this.answer() as Answer;
  }
}

/** The samples of `families`, which have one name, for every series. */
export function cellValues(families: readonly CellFamily[], series: readonly CellSeries[]): Value[] {
  const values: Value[] = [];
  for (const { labels: sharedLabels, total, living } of series) {
    for (const { name, type, offset, minus, labels } of families) {
      if (type === 'histogram') appendHistogram(values, name, total, offset, sharedLabels);
      else if (minus >= 0) values.push({ value: living[offset] - living[minus], labels, sharedLabels });
      else values.push({ value: (type === 'gauge' ? living : total)[offset], labels, sharedLabels });
    }
  }
  return values;
}

const LE = [...HISTOGRAM_BOUNDS.map((bound) => ({ le: String(bound) })), { le: '+Inf' }];
const NONE = {};

function appendHistogram(
  values: Value[],
  name: string,
  cells: Float64Array,
  offset: number,
  sharedLabels: Readonly<Record<string, string>>,
): void {
  let count = 0;
  for (let i = 0; i < LE.length; i++) {
    count += cells[offset + i];
    values.push({ value: count, labels: LE[i], metricName: `${name}_bucket`, sharedLabels });
  }
  values.push({
    value: cells[offset + HISTOGRAM_CELLS - 1],
    labels: NONE,
    metricName: `${name}_sum`,
    sharedLabels,
  });
  values.push({ value: count, labels: NONE, metricName: `${name}_count`, sharedLabels });
}
