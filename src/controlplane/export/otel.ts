/**
 * The OpenTelemetry packages, loaded with the first exporter: 7 MiB that a proxy without `tracing.otlp` does without.
 * By `require`, because an exporter is made and takes its first spans in one turn.
 */
import { createRequire } from 'node:module';
import type * as Core from '@opentelemetry/core';
import type * as Transformer from '@opentelemetry/otlp-transformer';
import type * as Resources from '@opentelemetry/resources';
import type * as Trace from '@opentelemetry/sdk-trace';

export type Otel = Pick<typeof Core, 'TraceState'> &
  Pick<typeof Transformer, 'ProtobufTraceSerializer'> &
  Pick<typeof Resources, 'resourceFromAttributes'> &
  Pick<typeof Trace, 'BatchSpanProcessor'>;

let loaded: Otel | null = null;

export function otel(): Otel {
  if (loaded !== null) return loaded;
  const require = createRequire(import.meta.url);
  const { TraceState } = require('@opentelemetry/core') as typeof Core;
  const { ProtobufTraceSerializer } = require('@opentelemetry/otlp-transformer') as typeof Transformer;
  const { resourceFromAttributes } = require('@opentelemetry/resources') as typeof Resources;
  const { BatchSpanProcessor } = require('@opentelemetry/sdk-trace') as typeof Trace;
  loaded = { TraceState, ProtobufTraceSerializer, resourceFromAttributes, BatchSpanProcessor };
  return loaded;
}
