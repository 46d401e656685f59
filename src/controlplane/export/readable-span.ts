/**
 * Our plain span records as the SDK's `ReadableSpan`. One resource per service, because a backend shows the
 * resource's service.name as the process a span ran in (see `SpanRecord.service`).
 */
import { hostname } from 'node:os';
import { type HrTime, type SpanContext, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { InstrumentationScope } from '@opentelemetry/core';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { LIMITS } from '../../base/index.ts';
import type { SpanRecord } from '../../telemetry/index.ts';
import { otel } from './otel.ts';

const SCOPE: InstrumentationScope = { name: 'outboard' };

export class ReadableSpans {
  private readonly common: Readonly<Record<string, string>>;
  private readonly resources = new Map<string, Resource>();

  constructor(common: Readonly<Record<string, string>>) {
    this.common = { 'host.name': hostname(), ...common };
  }

  of(span: SpanRecord): ReadableSpan {
    const context = contextOf(span, span.spanId, false);
    const startTime = hrTimeOf(span.startMs);
    const endTime = hrTimeOf(span.endMs);
    const status = span.isError
      ? { code: SpanStatusCode.ERROR, ...(span.errorText === '' ? {} : { message: span.errorText }) }
      : { code: SpanStatusCode.UNSET };
    return {
      name: span.name,
      kind: span.kind === 'server' ? SpanKind.SERVER : SpanKind.CLIENT,
      spanContext: () => context,
      ...(span.parentSpanId === ''
        ? {}
        : { parentSpanContext: contextOf(span, span.parentSpanId, span.parentIsRemote) }),
      startTime,
      endTime,
      duration: hrTimeOf(Math.max(0, span.endMs - span.startMs)),
      status,
      attributes: span.attributes,
      links: [],
      events: [],
      ended: true,
      resource: this.resourceOf(span.service),
      instrumentationScope: SCOPE,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }

  private resourceOf(service: string): Resource {
    let resource = this.resources.get(service);
    if (resource === undefined) {
      // Names of removed services add up over the years.
      if (this.resources.size >= LIMITS.services) this.resources.clear();
      resource = otel().resourceFromAttributes({ ...this.common, 'service.name': service });
      this.resources.set(service, resource);
    }
    return resource;
  }
}

function contextOf(span: SpanRecord, spanId: string, isRemote: boolean): SpanContext {
  return {
    traceId: span.traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    isRemote,
    ...(span.traceState === '' ? {} : { traceState: new (otel().TraceState)(span.traceState) }),
  };
}

function hrTimeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  const nanoseconds = Math.round((ms - seconds * 1_000) * 1e6);
  return nanoseconds >= 1e9 ? [seconds + 1, 0] : [seconds, nanoseconds];
}
