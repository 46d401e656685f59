/**
 * What the metric cells of a worker mean. Cells come in blocks, one block per label set, and a block is laid
 * out by one of six tables: `request` and `connection` (Istio's metrics of requests and of TCP connections: one
 * block per distinct label set), `service` (Envoy's cluster counters), `listener`, `worker` and `limit` (Envoy's counters of a local
 * rate limit). A worker writes
 * cells by offset and tells the supervisor once which labels a block has; the supervisor reads the same tables to
 * render them. Names and meanings are Envoy's and Istio's, so that their dashboards and alerts work; what they
 * don't have starts with `outboard_`.
 */
import { FAILURE_KINDS, type FailureKind, LIMITS } from '../base/index.ts';
import {
  CONNECTION_ROWS,
  LIMIT_ROWS,
  LISTENER_ROWS,
  type Row,
  SERVICE_ROWS,
  WORKER_ROWS,
} from './counter-rows.ts';
import { BUCKETS_MS_OR_BYTES, HISTOGRAM_CELLS } from './histogram.ts';

export type BlockKind = 'request' | 'connection' | 'service' | 'listener' | 'worker' | 'limit';

export interface CellFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** First cell, from the start of the block. A histogram takes `HISTOGRAM_CELLS`, the others one. */
  readonly offset: number;
  /** A gauge is the cell at `offset` less this one, over the workers that live; -1: the cell alone. */
  readonly minus: number;
  /** Labels besides those of the block. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Cells of a `service` block, for `ServiceCounters.add`. */
export const COUNTER = indexOf(SERVICE_ROWS);
/** Cells of a `listener` block. Open connections are accepted less ended ones, so count both. */
export const LISTENER_COUNTER = indexOf(LISTENER_ROWS);
export const WORKER_COUNTER = indexOf(WORKER_ROWS);
/** Cells of a `limit` block. */
export const LIMIT_COUNTER = indexOf(LIMIT_ROWS);
/** Cells of a `connection` block. */
export const CONNECTION_COUNTER = indexOf(CONNECTION_ROWS);

/** Cells of a `request` block. */
export const REQUEST_CELL = {
  total: 0,
  duration: 1,
  requestBytes: 1 + HISTOGRAM_CELLS,
  responseBytes: 1 + 2 * HISTOGRAM_CELLS,
} as const;

const kinds = Object.keys(FAILURE_KINDS) as FailureKind[];

/** Cell of each failure kind in a `listener` block. */
export const FAILURE_CELL = Object.freeze(
  Object.fromEntries(kinds.map((kind, index) => [kind, LISTENER_ROWS.length + index])),
) as Readonly<Record<FailureKind, number>>;

export const BLOCK_CELLS: Readonly<Record<BlockKind, number>> = {
  request: 1 + 3 * HISTOGRAM_CELLS,
  connection: CONNECTION_ROWS.length,
  service: SERVICE_ROWS.length,
  listener: LISTENER_ROWS.length + kinds.length,
  worker: WORKER_ROWS.length,
  limit: LIMIT_ROWS.length,
};

/** Cells that `LIMITS.metricSeriesPerWorker` blocks can take: the capacity to make a worker's cells with. */
export const METRIC_CELLS_CAPACITY =
  (LIMITS.metricSeriesPerWorker + 2) * Math.max(...Object.values(BLOCK_CELLS));

/** Upper bounds of every histogram's buckets. */
export const HISTOGRAM_BOUNDS = BUCKETS_MS_OR_BYTES;

export const FAMILIES: Readonly<Record<BlockKind, readonly CellFamily[]>> = {
  request: [
    {
      name: 'istio_requests_total',
      help: 'Requests ended.',
      type: 'counter',
      offset: REQUEST_CELL.total,
      minus: -1,
      labels: {},
    },
    {
      name: 'istio_request_duration_milliseconds',
      help: 'Time from the first byte of the request to the last of the answer, in ms.',
      type: 'histogram',
      offset: REQUEST_CELL.duration,
      minus: -1,
      labels: {},
    },
    {
      name: 'istio_request_bytes',
      help: 'Bytes of request bodies.',
      type: 'histogram',
      offset: REQUEST_CELL.requestBytes,
      minus: -1,
      labels: {},
    },
    {
      name: 'istio_response_bytes',
      help: 'Bytes of answers.',
      type: 'histogram',
      offset: REQUEST_CELL.responseBytes,
      minus: -1,
      labels: {},
    },
  ],
  connection: familiesOf(CONNECTION_ROWS, 'istio_tcp_'),
  service: familiesOf(SERVICE_ROWS, 'envoy_cluster_'),
  listener: [
    ...familiesOf(LISTENER_ROWS, ''),
    {
      name: 'envoy_listener_downstream_cx_active',
      help: 'Open connections.',
      type: 'gauge',
      offset: LISTENER_COUNTER.downstreamCxTotal,
      minus: LISTENER_COUNTER.downstreamCxDestroy,
      labels: {},
    },
    ...kinds.map((kind) => ({
      name: 'outboard_requests_failed_total',
      help: 'Requests and connections that failed, by kind of failure.',
      type: 'counter' as const,
      offset: FAILURE_CELL[kind],
      minus: -1,
      labels: { kind, response_flags: FAILURE_KINDS[kind].flag },
    })),
  ],
  worker: familiesOf(WORKER_ROWS, ''),
  limit: familiesOf(LIMIT_ROWS, ''),
};

function indexOf<Key extends string>(rows: readonly Row<Key>[]): Readonly<Record<Key, number>> {
  return Object.freeze(Object.fromEntries(rows.map(([key], index) => [key, index]))) as Record<Key, number>;
}

function familiesOf(rows: readonly Row<string>[], prefix: string): CellFamily[] {
  return rows.map(([, name, help, labels], offset) => ({
    name: prefix + name,
    help,
    type: 'counter',
    offset,
    minus: -1,
    labels: labels ?? {},
  }));
}
