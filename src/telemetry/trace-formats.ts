/**
 * The four trace-context formats, read strictly: a malformed context is ignored as if it were absent and the
 * request starts a new trace, because a wrong id joins traces that have nothing to do with each other.
 * Each reader returns `ABSENT`, `INVALID` or what it found; ids come out as 32 and 16 lower-case hex digits,
 * shorter ones (B3, Jaeger) padded on the left with zeros.
 */
import { H, type HeaderList } from '../message/index.ts';

export interface IncomingTrace {
  /** Empty: only a sampling decision was sent (B3). */
  readonly traceId: string;
  readonly spanId: string;
  /** Null: the decision is left to us (B3 allows it). */
  readonly sampled: boolean | null;
  /** B3 and Jaeger debug: sampled whatever anybody decides. */
  readonly debug: boolean;
}

export const ABSENT = 0;
export const INVALID = 1;
export type Reading = IncomingTrace | typeof ABSENT | typeof INVALID;

const ZERO_TRACE = '0'.repeat(32);
const ZERO_SPAN = '0'.repeat(16);
const W3C_CHARS = 55;
const DASH = 0x2d;
const B3 = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?$/i;
const B3_TRACE = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i;
const B3_SPAN = /^[0-9a-f]{16}$/i;
const JAEGER = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{0,16}:([0-9a-f]{1,2})$/i;

/**
 * W3C Trace Context section 3.2: `{version}-{trace}-{span}-{flags}`. Version ff is invalid; a higher one than 00
 * is read as 00 with more behind it. Most requests in a mesh carry this one, so it is read by position.
 */
export function readW3c(headers: HeaderList): Reading {
  const text = headers.get(H.traceparent);
  if (text === undefined) return ABSENT;
  if (text.length < W3C_CHARS || headers.count(H.traceparent) > 1) return INVALID;
  for (let i = 0; i < W3C_CHARS; i++) {
    const code = text.charCodeAt(i);
    if (i === 2 || i === 35 || i === 52) {
      if (code !== DASH) return INVALID;
    } else if (!(code >= 0x30 && code <= 0x39) && !(code >= 0x61 && code <= 0x66)) return INVALID;
  }
  if (text.length > W3C_CHARS && (text.startsWith('00') || text.charCodeAt(W3C_CHARS) !== DASH))
    return INVALID;
  if (text.startsWith('ff')) return INVALID;
  const traceId = text.slice(3, 35);
  const spanId = text.slice(36, 52);
  if (traceId === ZERO_TRACE || spanId === ZERO_SPAN) return INVALID;
  // The last hexadecimal digit is odd: bit 0 of the flags, sampled.
  const last = text.charCodeAt(54);
  const sampled = ((last <= 0x39 ? last : last + 1) & 1) === 1;
  return { traceId, spanId, sampled, debug: false };
}

/** `b3: {trace}-{span}-{sampling}-{parent}`, or a sampling state alone. */
export function readB3Single(headers: HeaderList): Reading {
  const text = headers.get(H.b3);
  if (text === undefined) return ABSENT;
  if (headers.count(H.b3) > 1) return INVALID;
  if (text === '0' || text === '1' || text === 'd') return decisionOnly(text !== '0', text === 'd');
  const match = B3.exec(text);
  if (match === null) return INVALID;
  const [, traceId, spanId, state] = match;
  const sampled = state === undefined ? null : state !== '0';
  return identified(traceId, spanId, sampled, state === 'd' || state === 'D');
}

/** `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`, `x-b3-flags`. */
export function readB3Multi(headers: HeaderList): Reading {
  const traceId = headers.get(H['x-b3-traceid']);
  const spanId = headers.get(H['x-b3-spanid']);
  const state = headers.get(H['x-b3-sampled']);
  const debug = headers.get(H['x-b3-flags']) === '1';
  let sampled: boolean | null = debug ? true : null;
  if (state !== undefined && !debug) {
    // Early Zipkin clients wrote true and false; the B3 text asks that both be read.
    if (state === '1' || state === 'true') sampled = true;
    else if (state === '0' || state === 'false') sampled = false;
    else return INVALID;
  }
  if (traceId === undefined && spanId === undefined) {
    return sampled === null ? ABSENT : decisionOnly(sampled, debug);
  }
  if (traceId === undefined || spanId === undefined) return INVALID;
  if (!B3_TRACE.test(traceId) || !B3_SPAN.test(spanId)) return INVALID;
  return identified(traceId, spanId, sampled, debug);
}

/** `uber-trace-id: {trace}:{span}:{parent}:{flags}`, perhaps percent-encoded; leading zeros may be missing. */
export function readJaeger(headers: HeaderList): Reading {
  const text = headers.get(H['uber-trace-id']);
  if (text === undefined) return ABSENT;
  const match = JAEGER.exec(text.includes('%') ? text.replace(/%3a/gi, ':') : text);
  if (match === null || headers.count(H['uber-trace-id']) > 1) return INVALID;
  const [, traceId, spanId, flags] = match;
  const bits = Number.parseInt(flags, 16);
  return identified(traceId, spanId, (bits & 1) === 1 || (bits & 2) === 2, (bits & 2) === 2);
}

/** A list member without the white space around it; empty ones are allowed. */
const MEMBER = /^(?:[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~])?$/;
const PRINTABLE = /^[\t -~]*$/;
const MEMBERS_MAX = 32;
const TRACESTATE_CHARS = 512;
const LONG_MEMBER_CHARS = 128;

/**
 * W3C Trace Context section 3.3: a list with a malformed member or more than 32 is dropped whole (the trace
 * itself goes on). Above 512 characters long members go first, then those at the end.
 */
export function readTraceState(headers: HeaderList): string {
  const text = headers.getAll(H.tracestate);
  if (text === undefined || !PRINTABLE.test(text)) return '';
  const kept: string[] = [];
  let chars = -1;
  for (const part of text.split(',')) {
    const member = part.trim();
    if (member === '') continue;
    if (!MEMBER.test(member) || kept.length === MEMBERS_MAX) return '';
    kept.push(member);
    chars += member.length + 1;
  }
  for (let i = kept.length - 1; i >= 0 && chars > TRACESTATE_CHARS; i--) {
    if (kept[i].length > LONG_MEMBER_CHARS) chars -= kept.splice(i, 1)[0].length + 1;
  }
  while (chars > TRACESTATE_CHARS) chars -= (kept.pop() as string).length + 1;
  return kept.join(',');
}

function decisionOnly(sampled: boolean, debug: boolean): IncomingTrace {
  return { traceId: '', spanId: '', sampled, debug };
}

function identified(traceId: string, spanId: string, sampled: boolean | null, debug: boolean): Reading {
  const trace = traceId.toLowerCase().padStart(32, '0');
  const span = spanId.toLowerCase().padStart(16, '0');
  return trace === ZERO_TRACE || span === ZERO_SPAN
    ? INVALID
    : { traceId: trace, spanId: span, sampled, debug };
}
