/**
 * Spans to a tracing backend: the OpenTelemetry SDK's batch processor, with an exporter of ours that posts
 * OTLP/HTTP by undici. The processor drops silently when its queue is full, so the queue is counted
 * around it: `offered = exported + rejected + dropped (queue full, export failed) + queued + in flight`,
 * exactly, at every moment. A backend that is gone costs a full queue and nothing else; when it is back, new
 * spans arrive with the next batch.
 */
import type { BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import { LIMITS } from '../../base/index.ts';
import type { SpanRecord } from '../../telemetry/index.ts';
import { otel } from './otel.ts';
import { type OtlpPost, OtlpPoster } from './otlp-post.ts';
import { ReadableSpans } from './readable-span.ts';

export interface OtlpOptions {
  /** `http://host:4318`; `/v1/traces` is added unless the path ends with it. */
  readonly endpoint: string;
  /** Attributes of every resource besides service.name. */
  readonly resource?: Readonly<Record<string, string>>;
  /** Told once when exporting begins to fail, and once when it works again. */
  readonly onState?: (works: boolean, detail: string) => void;
  /** Spans that may wait; `LIMITS.spanQueue` unless given. */
  readonly queue?: number;
  /** Longest wait for company, in ms; 1,000 unless given. */
  readonly delayMs?: number;
  readonly post?: Partial<OtlpPost>;
}

export interface OtlpStats {
  /** Spans handed to the exporter. */
  readonly offered: number;
  /** Accepted by the backend. */
  readonly exported: number;
  /** Refused by the backend within a batch it took (OTLP partial success). */
  readonly rejected: number;
  readonly droppedQueueFull: number;
  /** In batches that were given up. */
  readonly droppedExportFailed: number;
  readonly queued: number;
  readonly inFlight: number;
  /** Posts that failed, those that were tried again included. */
  readonly failedPosts: number;
  /** Empty: the last export worked. */
  readonly lastError: string;
}

const BATCH_SPANS = 512;
const DELAY_MS = 1_000;

export class OtlpExporter {
  private readonly processor: BatchSpanProcessor;
  private readonly poster: OtlpPoster;
  private readonly spans: ReadableSpans;
  private readonly queue: number;
  private readonly onState: (works: boolean, detail: string) => void;
  /** Batches under way. */
  private readonly posts = new Set<Promise<void>>();
  private offered = 0;
  private exported = 0;
  private rejected = 0;
  private droppedQueueFull = 0;
  private droppedExportFailed = 0;
  private queued = 0;
  private inFlight = 0;
  private lastError = '';
  private isShut = false;

  /** Throws when `endpoint` is no http or https URL. */
  constructor(options: OtlpOptions) {
    this.queue = options.queue ?? LIMITS.spanQueue;
    this.onState = options.onState ?? (() => {});
    this.poster = new OtlpPoster(options.endpoint, options.post ?? {});
    this.spans = new ReadableSpans(options.resource ?? {});
    this.processor = new (otel().BatchSpanProcessor)({
      exporter: {
        export: (spans, done) => {
          this.queued -= spans.length;
          this.inFlight += spans.length;
          const post = this.poster.post(spans).then((result) => {
            this.posts.delete(post);
            this.settle(spans.length, result.error, result.rejected);
            // Failures are counted here; the processor would only report them to a global handler.
            done({ code: 0 });
          });
          this.posts.add(post);
        },
        // The processor waits for what was queued, but not for the batch that was under way before.
        shutdown: async () => {
          await Promise.all(this.posts);
          await this.poster.close();
        },
      },
      maxQueueSize: this.queue,
      maxExportBatchSize: Math.min(BATCH_SPANS, this.queue),
      scheduledDelayMillis: options.delayMs ?? DELAY_MS,
      exportTimeoutMillis: 2 * this.poster.totalMs,
    });
  }

  /** Takes spans; what does not fit the queue is dropped and counted. */
  add(spans: readonly SpanRecord[]): void {
    for (const span of spans) {
      this.offered++;
      if (this.isShut || this.queued >= this.queue) {
        this.droppedQueueFull++;
        continue;
      }
      this.queued++;
      this.processor.onEnd(this.spans.of(span));
    }
  }

  stats(): OtlpStats {
    const {
      offered,
      exported,
      rejected,
      droppedQueueFull,
      droppedExportFailed,
      queued,
      inFlight,
      lastError,
    } = this;
    const failedPosts = this.poster.failedPosts;
    return {
      offered,
      exported,
      rejected,
      droppedQueueFull,
      droppedExportFailed,
      queued,
      inFlight,
      failedPosts,
      lastError,
    };
  }

  /** Sends what is queued, each batch tried once more at most until `timeoutMs` has passed, then gives up. */
  async shutdown(timeoutMs: number): Promise<void> {
    this.isShut = true;
    this.poster.hurry();
    const deadline = setTimeout(() => this.poster.abort(), timeoutMs);
    await this.processor.shutdown();
    clearTimeout(deadline);
  }

  private settle(spans: number, error: string, rejected: number): void {
    this.inFlight -= spans;
    if (error === '') {
      this.exported += spans - rejected;
      this.rejected += rejected;
    } else this.droppedExportFailed += spans;
    const was = this.lastError;
    this.lastError = error;
    if ((was === '') !== (error === '')) this.onState(error === '', error);
  }
}
