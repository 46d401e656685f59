/**
 * What supervisor and workers say to each other, besides the ledger. Everything here is structured-cloned
 * by `postMessage`; nothing is waited for while a request waits. The supervisor is the only one that
 * decides; a worker reports.
 */
import type { SnapshotDelta } from '../config/index.ts';
import type { LedgerBuffers, MetricCellBuffers } from '../ledger/index.ts';
import type { RecordBatch } from '../telemetry/index.ts';

/** A `SecretSet` as `encodeSecrets` packs it: nothing that prints a message can print a key. */
export type EncodedSecrets = ArrayBuffer;

/** What a worker thread is started with (`workerData`). */
export interface WorkerStart {
  /** Marks the thread as ours, so that importing `worker.ts` elsewhere starts nothing. */
  readonly outboardWorker: true;
  /** 0-based; also this worker's column in the ledger. */
  readonly index: number;
  readonly ledger: LedgerBuffers;
  readonly metrics: MetricCellBuffers;
  /** A delta from version 0. */
  readonly snapshot: SnapshotDelta;
  readonly secrets: EncodedSecrets;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type ToWorker =
  | { readonly type: 'snapshot'; readonly delta: SnapshotDelta; readonly secrets: EncodedSecrets | null }
  | { readonly type: 'secrets'; readonly secrets: EncodedSecrets }
  /** Stop accepting, answer `Connection: close`, end within the time, then report `drained`. */
  | { readonly type: 'drain'; readonly timeoutMs: number }
  | { readonly type: 'reopen-logs' }
  /** Record a CPU profile and report it. */
  | { readonly type: 'cpu-profile'; readonly durationMs: number }
  /** So many record batches were taken; the worker may send as many more. */
  | { readonly type: 'records-taken'; readonly count: number };

export type FromWorker =
  /** The snapshot is in force: every listener of it listens, except those in `faults`. */
  | { readonly type: 'applied'; readonly version: number; readonly faults: readonly ListenFault[] }
  | { readonly type: 'records'; readonly batch: RecordBatch }
  /** All requests ended, or the time passed and `aborted` requests were cut off. */
  | { readonly type: 'drained'; readonly aborted: number }
  | {
      readonly type: 'log';
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  /** A `.cpuprofile` document. */
  | { readonly type: 'cpu-profile'; readonly profile: string };

export interface ListenFault {
  readonly listener: string;
  /** System error code, e.g. EADDRINUSE. */
  readonly code: string;
  readonly message: string;
}
