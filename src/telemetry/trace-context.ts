/**
 * Which trace a request belongs to, whether it is recorded, and what the next hop is told.
 *
 * Read in this order, first valid one wins: W3C `traceparent`, `b3`, `x-b3-*`, `uber-trace-id`. Sampling:
 * forced by `x-envoy-force-trace`, `jaeger-debug-id` or a debug flag; otherwise the parent's decision;
 * otherwise the ratio, decided by the trace id's last 52 bits so that every hop with the same ratio decides
 * alike (W3C Trace Context Level 2: the last 56 bits are random). Written: the configured formats and those
 * that came in, for requests that are not sampled too, or the next hop would decide again and traces break.
 */
import type { PropagationFormat, TracingConfig } from '../config/index.ts';
import { FieldSet, H, type HeaderList } from '../message/index.ts';
import type { RandomIds } from './ids.ts';
import {
  ABSENT,
  INVALID,
  type IncomingTrace,
  type Reading,
  readB3Multi,
  readB3Single,
  readJaeger,
  readTraceState,
  readW3c,
} from './trace-formats.ts';

/** One bit per format. */
const FORMAT = { w3c: 1, b3: 2, b3multi: 4, jaeger: 8 } as const satisfies Record<PropagationFormat, number>;

export class TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** The caller's span, 16 hex digits; empty: the trace begins here. */
  readonly parentSpanId: string;
  /** Our server span, 16 hex digits. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** The caller asked for recording whatever anybody decides; passed on where the format can say so. */
  readonly debug: boolean;
  /** W3C `tracestate`, passed on as it came. */
  readonly traceState: string;
  /** Formats that came in, as bits. */
  readonly formats: number;
  /** The W3C headers that came in are what is to be sent, where no other format is. */
  readonly asItCame: boolean;

  constructor(
    traceId: string,
    parentSpanId: string,
    spanId: string,
    sampled: boolean,
    debug: boolean,
    traceState: string,
    formats: number,
    asItCame: boolean,
  ) {
    this.traceId = traceId;
    this.parentSpanId = parentSpanId;
    this.spanId = spanId;
    this.sampled = sampled;
    this.debug = debug;
    this.traceState = traceState;
    this.formats = formats;
    this.asItCame = asItCame;
  }
}

/** What `readTrace` and `writeTrace` need of the configuration, worked out once. */
export interface TraceSettings {
  /** A trace id whose last 52 bits are at least this is sampled; 2^52: none. */
  readonly threshold: number;
  /** Formats always written, as bits. */
  readonly formats: number;
}

const SPACE = 2 ** 52;
/** What the first of 13 hexadecimal digits counts. */
const DIGIT = 2 ** 48;

export function traceSettings(config: Pick<TracingConfig, 'sampling' | 'propagation'>): TraceSettings {
  let formats = 0;
  for (const format of config.propagation) formats |= FORMAT[format];
  return { threshold: Math.round((1 - Math.min(1, Math.max(0, config.sampling))) * SPACE), formats };
}

/**
 * The trace context of a request. Always one: without a valid one in the headers a new trace begins.
 * `onInvalid` is called when a context was ignored because it is malformed.
 */
export function readTrace(
  headers: HeaderList,
  settings: TraceSettings,
  ids: RandomIds,
  onInvalid: () => void,
): TraceContext {
  let formats = 0;
  let found: IncomingTrace | null = null;
  let fromW3c = false;
  for (let i = 0; i < READERS.length; i++) {
    const reading = READERS[i](headers);
    if (reading === ABSENT) continue;
    formats |= 1 << i;
    if (reading === INVALID) onInvalid();
    else if (found === null || (found.traceId === '' && reading.traceId !== '')) {
      found = reading;
      fromW3c = i === 0;
    }
  }
  const forced = headers.has(H['x-envoy-force-trace']) || headers.has(H['jaeger-debug-id']);
  const spanId = ids.spanId();
  if (found === null) {
    const traceId = ids.traceId();
    return new TraceContext(
      traceId,
      '',
      spanId,
      forced || isChosen(traceId, settings),
      false,
      '',
      formats,
      false,
    );
  }
  const traceId = found.traceId === '' ? ids.traceId() : found.traceId;
  const sampled = forced || found.debug || (found.sampled ?? isChosen(traceId, settings));
  const traceState = fromW3c ? readTraceState(headers) : '';
  const asItCame = formats === FORMAT.w3c && fromW3c && !sampled && isAsSent(headers, traceState);
  return new TraceContext(traceId, found.spanId, spanId, sampled, found.debug, traceState, formats, asItCame);
}

/**
 * Tells the next hop: replaces every trace header by `ctx` with `spanId` (the attempt's span) as parent. A
 * request that is not sampled passes on the caller's span, because ours will never be seen.
 */
export function writeTrace(
  headers: HeaderList,
  ctx: TraceContext,
  spanId: string,
  settings: TraceSettings,
): void {
  const formats = ctx.formats | settings.formats;
  if (ctx.asItCame && formats === FORMAT.w3c) return;
  headers.deleteAll(TRACE_FIELDS);
  let parent = spanId;
  if (!ctx.sampled) parent = ctx.parentSpanId === '' ? ctx.spanId : ctx.parentSpanId;
  if ((formats & FORMAT.w3c) !== 0) {
    headers.appendClean(H.traceparent, `00-${ctx.traceId}-${parent}-${ctx.sampled ? '01' : '00'}`);
    if (ctx.traceState !== '') headers.appendClean(H.tracestate, ctx.traceState);
  }
  if (formats === FORMAT.w3c) return;
  const trace = ctx.traceId.startsWith(NO_HIGH_BITS) ? ctx.traceId.slice(16) : ctx.traceId;
  if ((formats & FORMAT.b3) !== 0) {
    headers.appendClean(H.b3, `${trace}-${parent}-${ctx.debug ? 'd' : ctx.sampled ? '1' : '0'}`);
  }
  if ((formats & FORMAT.b3multi) !== 0) {
    headers.appendClean(H['x-b3-traceid'], trace);
    headers.appendClean(H['x-b3-spanid'], parent);
    // The B3 text forbids x-b3-sampled beside the debug flag, which implies it.
    if (ctx.debug) headers.appendClean(H['x-b3-flags'], '1');
    else headers.appendClean(H['x-b3-sampled'], ctx.sampled ? '1' : '0');
  }
  if ((formats & FORMAT.jaeger) !== 0) {
    headers.appendClean(
      H['uber-trace-id'],
      `${trace}:${parent}:0:${ctx.debug ? '3' : ctx.sampled ? '1' : '0'}`,
    );
  }
}

/** In order of precedence; position i reads the format whose bit is 1 << i. */
const READERS: readonly ((headers: HeaderList) => Reading)[] = [
  readW3c,
  readB3Single,
  readB3Multi,
  readJaeger,
];

const TRACE_FIELDS = new FieldSet([
  H.traceparent,
  H.tracestate,
  H.b3,
  H['x-b3-traceid'],
  H['x-b3-spanid'],
  H['x-b3-parentspanid'],
  H['x-b3-sampled'],
  H['x-b3-flags'],
  H['uber-trace-id'],
]);

/** A 64-bit trace id (older Zipkin and Jaeger clients), which goes on as it came. */
const NO_HIGH_BITS = '0'.repeat(16);

function isChosen(traceId: string, { threshold }: TraceSettings): boolean {
  if (threshold === SPACE) return false;
  // The first of the 13 digits mostly decides.
  const code = traceId.charCodeAt(19);
  const first = code <= 0x39 ? code - 0x30 : code - 0x57;
  if ((first + 1) * DIGIT <= threshold) return false;
  return Number.parseInt(traceId.slice(19), 16) >= threshold;
}

/** Whether the headers of an unsampled W3C trace say, to the letter, what `writeTrace` would. */
function isAsSent(headers: HeaderList, traceState: string): boolean {
  const text = headers.get(H.traceparent) as string;
  if (!text.startsWith('00-') || !text.endsWith('-00')) return false;
  const count = headers.count(H.tracestate);
  return count === 0 || (count === 1 && traceState !== '' && headers.get(H.tracestate) === traceState);
}
