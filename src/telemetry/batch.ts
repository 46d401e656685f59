/**
 * What a worker hands to the supervisor besides its metric cells: plain data, structured-cloned by
 * `postMessage`. Spans and decision records may be dropped when the supervisor falls behind (counted); what
 * the blocks of metric cells mean is never dropped: it is bounded by the number of series.
 */
import type { Decision } from './decision.ts';
import type { BlockKind } from './families.ts';
import type { SpanRecord } from './span.ts';

export interface RecordBatch {
  readonly spans: readonly SpanRecord[];
  readonly decisions: readonly Decision[];
  readonly series: readonly SeriesAnnouncement[];
}

/** "The block of cells at `offset` has these labels from now on"; sent before its first count. */
export interface SeriesAnnouncement {
  readonly block: BlockKind;
  /** First cell of the block in the cells of the worker that announces it. */
  readonly offset: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Service or listener whose removal lets the series expire; empty for a `worker` block. */
  readonly owner: string;
}

/** Where a worker's batches go: the channel to the supervisor. */
export interface TelemetrySink {
  post(batch: RecordBatch): void;
}
