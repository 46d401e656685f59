/**
 * The last traces, in memory, for `/traces` on a machine without a tracing backend. Bounded by traces, by
 * spans per trace (a client chooses the trace id and could send one for ever) and by spans in all. The trace
 * that was touched longest ago goes first.
 */
import { LIMITS } from '../../base/index.ts';
import type { SpanRecord } from '../../telemetry/index.ts';

export interface StoredTrace {
  readonly traceId: string;
  /** ISO 8601 time at which the first span began. */
  readonly startTime: string;
  readonly durationMs: number;
  /** Services in order of their first span. */
  readonly services: readonly string[];
  readonly hasError: boolean;
  /** By start time. */
  readonly spans: readonly SpanRecord[];
  /** Spans of this trace that were not kept. */
  readonly spansDropped: number;
}

interface Entry {
  readonly spans: SpanRecord[];
  dropped: number;
}

export class TraceStore {
  /** Least recently touched first. */
  private readonly traces = new Map<string, Entry>();
  private spanCount = 0;

  add(spans: readonly SpanRecord[]): void {
    for (const span of spans) {
      let entry = this.traces.get(span.traceId);
      if (entry === undefined) entry = { spans: [], dropped: 0 };
      else this.traces.delete(span.traceId);
      this.traces.set(span.traceId, entry);
      if (entry.spans.length >= LIMITS.spansPerTraceKept) {
        entry.dropped++;
        continue;
      }
      entry.spans.push(span);
      this.spanCount++;
      while (this.traces.size > LIMITS.tracesKept || this.spanCount > LIMITS.spansKept) this.evict();
    }
  }

  get size(): number {
    return this.traces.size;
  }

  /** Most recently touched first; one trace, or at most `limit`. */
  find(query: { readonly traceId: string | null; readonly limit: number }): readonly StoredTrace[] {
    if (query.traceId !== null) {
      const entry = this.traces.get(query.traceId);
      return entry === undefined ? [] : [traceOf(query.traceId, entry)];
    }
    return [...this.traces.entries()]
      .slice(-query.limit)
      .reverse()
      .map(([traceId, entry]) => traceOf(traceId, entry));
  }

  private evict(): void {
    for (const [traceId, entry] of this.traces) {
      this.traces.delete(traceId);
      this.spanCount -= entry.spans.length;
      return;
    }
  }
}

/** The traces as indented trees, one line per span. */
export function tracesAsText(traces: readonly StoredTrace[]): string {
  return traces.map(treeOf).join('\n');
}

function traceOf(traceId: string, entry: Entry): StoredTrace {
  const spans = [...entry.spans].sort((a, b) => a.startMs - b.startMs);
  const startMs = spans[0].startMs;
  let endMs = startMs;
  for (const span of spans) endMs = Math.max(endMs, span.endMs);
  return {
    traceId,
    startTime: new Date(startMs).toISOString(),
    durationMs: milliseconds(endMs - startMs),
    services: [...new Set(spans.map(({ service }) => service))],
    hasError: spans.some(({ isError }) => isError),
    spans,
    spansDropped: entry.dropped,
  };
}

function treeOf(trace: StoredTrace): string {
  const ids = new Set(trace.spans.map(({ spanId }) => spanId));
  const children = Map.groupBy(trace.spans, ({ parentSpanId }) =>
    ids.has(parentSpanId) ? parentSpanId : '',
  );
  const startMs = trace.spans[0].startMs;
  let text = `trace ${trace.traceId}  ${trace.startTime}  ${trace.durationMs} ms  ${trace.services.join(' → ')}\n`;
  // Ids are the callers' to choose, so a span may name a descendant as its parent: each is shown once.
  const shown = new Set<SpanRecord>();
  const show = (span: SpanRecord, depth: number): void => {
    if (shown.has(span)) return;
    shown.add(span);
    text += `${'  '.repeat(depth)}${lineOf(span, startMs)}\n`;
    for (const child of children.get(span.spanId) ?? []) show(child, depth + 1);
  };
  for (const root of children.get('') ?? []) show(root, 1);
  for (const span of trace.spans) show(span, 1);
  if (trace.spansDropped > 0) text += `  … ${trace.spansDropped} more spans were not kept\n`;
  return text;
}

function lineOf(span: SpanRecord, startMs: number): string {
  const { attributes } = span;
  const what =
    span.kind === 'client'
      ? `→ ${attributes['server.address'] ?? '?'}:${attributes['server.port'] ?? '?'}`
      : span.service;
  const parts = [
    `+${milliseconds(span.startMs - startMs)} ms`,
    what,
    span.name,
    String(attributes['http.response.status_code'] ?? '-'),
  ];
  if (attributes['outboard.response_flags'] !== '-')
    parts.push(String(attributes['outboard.response_flags']));
  if (attributes['outboard.retry_reason'] !== undefined)
    parts.push(`retry: ${attributes['outboard.retry_reason']}`);
  if (span.errorText !== '') parts.push(span.errorText);
  parts.push(`${milliseconds(span.endMs - span.startMs)} ms`);
  return parts.join('  ');
}

function milliseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
