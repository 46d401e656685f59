/**
 * Turns the record of a request into what operators read: metrics always, a log line when the access log is
 * on, spans when the request is sampled, a decision record when it failed, was retried or refused. One
 * recorder per worker. Spans and decisions are handed over in batches; when the supervisor falls
 * behind they are dropped and counted, and no request ever waits for it.
 */
import { type Clock, LIMITS } from '../base/index.ts';
import type { TracingConfig } from '../config/index.ts';
import type { WorkerCells } from '../ledger/index.ts';
import type { ConnectionFacts, HeaderList } from '../message/index.ts';
import type { AccessLog } from './access-log.ts';
import { accessLogLine } from './access-log-line.ts';
import type { SeriesAnnouncement, TelemetrySink } from './batch.ts';
import type { ConnectionCounts } from './connection-series.ts';
import { countConnection, countDownstream, countUpstream, isRequest } from './counting.ts';
import { type Decision, decisionOf, needsDecision } from './decision.ts';
import { WORKER_COUNTER } from './families.ts';
import { flagsOf } from './flags.ts';
import { RandomIds } from './ids.ts';
import { WorkerMetrics } from './metrics.ts';
import { RequestRecord } from './record.ts';
import { ensureRequestId } from './request-id.ts';
import { appendSpans, type SpanRecord } from './span.ts';
import {
  readTrace,
  type TraceContext,
  type TraceSettings,
  traceSettings,
  writeTrace,
} from './trace-context.ts';

export interface RecorderOptions {
  readonly clock: Clock;
  /** This worker's metric cells, `METRIC_CELLS_CAPACITY` of them, all zero. */
  readonly cells: WorkerCells;
  /** Called from the constructor already: the worker's own series are announced there. */
  readonly sink: TelemetrySink;
  /** Null: no access log. */
  readonly log: AccessLog | null;
  readonly tracing: Pick<TracingConfig, 'sampling' | 'propagation' | 'serviceName'>;
  /** Source of ids; a random one unless given. */
  readonly ids?: RandomIds;
}

/** Flushes between two sweeps of removed series. */
const SWEEP_EVERY = 64;

export class Recorder {
  /** Add services and listeners here when configuration arrives. */
  readonly metrics: WorkerMetrics;
  private readonly clock: Clock;
  private readonly sink: TelemetrySink;
  private log: AccessLog | null = null;
  private readonly ids: RandomIds;
  private tracing: TraceSettings;
  /** What this proxy calls itself where no service is meant. */
  serviceName: string;
  private spans: SpanRecord[] = [];
  private decisions: Decision[] = [];
  private inFlight = 0;
  private decisionSecond = 0;
  private decisionsThisSecond = 0;
  private flushes = 0;
  private readonly onInvalidTrace = (): void =>
    this.metrics.worker.add(WORKER_COUNTER.traceHeadersInvalid, 1);
  private readonly onReplacedId = (): void => this.metrics.worker.add(WORKER_COUNTER.requestIdsReplaced, 1);

  constructor(options: RecorderOptions) {
    this.clock = options.clock;
    this.sink = options.sink;
    this.ids = options.ids ?? new RandomIds();
    this.tracing = traceSettings(options.tracing);
    this.serviceName = options.tracing.serviceName;
    this.metrics = new WorkerMetrics(options.cells, (series) => this.announce(series));
    this.setLog(options.log);
  }

  /** Takes over changed tracing settings. */
  configure(tracing: RecorderOptions['tracing']): void {
    this.tracing = traceSettings(tracing);
    this.serviceName = tracing.serviceName;
  }

  /** Another access log from now on; null: none. The former one is the caller's to close. */
  setLog(log: AccessLog | null): void {
    this.log = log;
    log?.countInto(this.metrics.worker);
  }

  begin(facts: ConnectionFacts): RequestRecord {
    return new RequestRecord(facts, this.clock.nowMs(), this.clock.wallMs());
  }

  /** The trace context of a request; see `readTrace`. */
  readTrace(headers: HeaderList): TraceContext {
    return readTrace(headers, this.tracing, this.ids, this.onInvalidTrace);
  }

  /** Tells the next hop; see `writeTrace`. */
  writeTrace(headers: HeaderList, trace: TraceContext, spanId: string): void {
    writeTrace(headers, trace, spanId, this.tracing);
  }

  /** The span id of a new attempt; empty when the request is not sampled. */
  attemptSpanId(trace: TraceContext | null): string {
    return trace?.sampled ? this.ids.spanId() : '';
  }

  /** The request's id, written to `headers` when it is new; see `ensureRequestId`. */
  ensureRequestId(headers: HeaderList): string {
    return ensureRequestId(headers, this.ids, this.onReplacedId);
  }

  /** Counts a TCP connection that begins to be carried to `record.service`; what is returned counts its bytes. */
  openConnection(record: RequestRecord): ConnectionCounts {
    return this.metrics.serviceOf(record.serviceSlot, record.service).connections.open(record);
  }

  /** Call it once, when the request has ended in whatever way; the record belongs to the recorder then. */
  finish(record: RequestRecord): void {
    if (record.endMs < 0) record.endMs = this.clock.nowMs();
    const flags = flagsOf(record);
    if (isRequest(record)) {
      const service = this.metrics.serviceOf(record.serviceSlot, record.service);
      service.requests.count(record, flags);
      countUpstream(service.counters, record);
    } else if (record.protocol === 'TCP') {
      const service = this.metrics.serviceOf(record.serviceSlot, record.service);
      service.connections.close(record, flags);
      countConnection(service.counters, record);
    }
    const listener = this.metrics.listenerOf(record.facts.listener);
    if (listener !== null) countDownstream(listener, record);
    if (this.log !== null) this.log.write(accessLogLine(record, flags));
    const { trace } = record;
    if (trace?.sampled) appendSpans(this.spans, record, trace, this.serviceName);
    if (needsDecision(record)) this.decide(record);
    if (this.spans.length + this.decisions.length >= LIMITS.recordsPerBatch) this.post();
  }

  /** Hands over what has gathered; call it every 100 ms or so, and before the worker ends. */
  flush(): void {
    if (this.spans.length + this.decisions.length > 0) this.post();
    if (++this.flushes % SWEEP_EVERY === 0) this.metrics.sweep(this.clock.nowMs());
  }

  /** The supervisor has taken so many batches. */
  taken(batches: number): void {
    this.inFlight = Math.max(0, this.inFlight - batches);
  }

  /** Not more per second than the supervisor keeps anyway: refusing requests must stay cheap. */
  private decide(record: RequestRecord): void {
    const second = Math.floor(record.endMs / 1_000);
    if (second !== this.decisionSecond) {
      this.decisionSecond = second;
      this.decisionsThisSecond = 0;
    }
    if (this.decisionsThisSecond >= LIMITS.decisionsPerSecond) {
      this.metrics.worker.add(WORKER_COUNTER.decisionsDropped, 1);
      return;
    }
    this.decisionsThisSecond++;
    this.decisions.push(decisionOf(record));
  }

  private post(): void {
    if (this.inFlight < LIMITS.batchesInFlight) {
      this.inFlight++;
      this.sink.post({ spans: this.spans, decisions: this.decisions, series: [] });
    } else {
      this.metrics.worker.add(WORKER_COUNTER.spansDropped, this.spans.length);
      this.metrics.worker.add(WORKER_COUNTER.decisionsDropped, this.decisions.length);
    }
    this.spans = [];
    this.decisions = [];
  }

  /** At once and whatever is under way: a series that nobody can read would lose its counts with the worker. */
  private announce(series: SeriesAnnouncement): void {
    this.inFlight++;
    this.sink.post({ spans: [], decisions: [], series: [series] });
  }
}
