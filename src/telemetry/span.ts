/**
 * Spans as plain data: one server span per request and one client span per attempt, made only for sampled
 * requests, once the request has ended. Attribute names follow OpenTelemetry's stable HTTP semantic
 * conventions, those of gRPC calls its conventions for gRPC; Outboard's own start with `outboard.`.
 *
 * A proxy for a whole node speaks for many workloads, so the process name that Jaeger shows can't be its own:
 * `service` (the resource's service.name) is the service that the request was for. A trace then reads
 * web → cart → stock, as it would with a sidecar beside each. Requests that reached no service carry the
 * configured `tracing.serviceName`.
 */
import { grpcStatusName } from '../message/index.ts';
import { clip } from './clip.ts';
import { flagsOf } from './flags.ts';
import type { AttemptRecord, RequestRecord } from './record.ts';
import { isServerError } from './server-error.ts';
import type { TraceContext } from './trace-context.ts';

export interface SpanRecord {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** 16 hex digits, or empty. */
  readonly parentSpanId: string;
  /** True when the parent span is another process's. */
  readonly parentIsRemote: boolean;
  readonly traceState: string;
  readonly name: string;
  readonly kind: 'server' | 'client';
  /** service.name of the resource. */
  readonly service: string;
  /** Milliseconds since the Unix epoch, with a fraction. */
  readonly startMs: number;
  readonly endMs: number;
  readonly isError: boolean;
  /** Why it is an error; empty where the status code says it all. */
  readonly errorText: string;
  readonly attributes: SpanAttributes;
}

export type SpanAttributes = Record<string, string | number | boolean>;

/** Appends the spans of an ended request to `spans`. `serviceName`: for a request that reached no service. */
export function appendSpans(
  spans: SpanRecord[],
  record: RequestRecord,
  trace: TraceContext,
  serviceName: string,
): void {
  const toWallMs = record.startWallMs - record.startMs;
  const service = record.service === '' ? serviceName : record.service;
  spans.push(serverSpan(record, trace, service, toWallMs));
  const { attempts, rateLimitCall } = record;
  if (rateLimitCall !== null) spans.push(rateLimitSpan(rateLimitCall, trace, service, toWallMs));
  for (let i = 0; i < attempts.length; i++) {
    if (attempts[i].spanId !== '') spans.push(attemptSpan(record, trace, attempts[i], i, toWallMs));
  }
}

function serverSpan(
  record: RequestRecord,
  trace: TraceContext,
  service: string,
  toWallMs: number,
): SpanRecord {
  const { facts, failure } = record;
  const { address, port } = splitAuthority(record.authority);
  const query = record.target.indexOf('?');
  const attributes: SpanAttributes = {
    'http.request.method': clip(record.method),
    'url.path': clip(query < 0 ? record.target : record.target.slice(0, query)),
    'url.scheme': facts.tls === null ? 'http' : 'https',
    'network.protocol.name': 'http',
    'network.protocol.version': record.protocol.slice(5),
    'network.peer.address': facts.remoteAddress,
    'network.peer.port': facts.remotePort,
    'http.request.body.size': record.requestBytes,
    'http.response.body.size': record.responseBytes,
    'outboard.listener': facts.listener,
    'outboard.rule': record.rule,
    'outboard.request_id': record.requestId,
    'outboard.attempts': record.attempts.length,
    'outboard.response_flags': flagsOf(record),
  };
  if (address !== '') attributes['server.address'] = clip(address);
  if (port > 0) attributes['server.port'] = port;
  if (query >= 0) attributes['url.query'] = clip(record.target.slice(query + 1));
  if (record.userAgent !== '') attributes['user_agent.original'] = clip(record.userAgent);
  if (record.status > 0) attributes['http.response.status_code'] = record.status;
  if (facts.tls?.sni) attributes['tls.client.server_name'] = facts.tls.sni;
  const peer = facts.tls?.peer?.uriSans[0];
  if (peer !== undefined) attributes['outboard.peer'] = clip(peer);
  if (failure !== null) attributes['outboard.reason'] = failure.kind;
  if (record.responseKbps > 0) attributes['outboard.response_kbps'] = record.responseKbps;
  if (record.corsOrigin !== '') attributes['outboard.cors_origin'] = record.corsOrigin;
  if (record.mirrors !== '') attributes['outboard.mirrors'] = record.mirrors;
  if (record.shadowedBy !== '') attributes['outboard.shadowed_by'] = record.shadowedBy;
  if (record.retryRefused !== '') attributes['outboard.retry_refused'] = record.retryRefused;
  if (record.limit !== '') {
    attributes['outboard.limit'] = record.limit;
    attributes['outboard.limit_value'] = record.limitValue;
    attributes['outboard.observed_value'] = record.observedValue;
  }
  const call = record.grpc ? addCall(attributes, record.target, record.grpcStatus) : '';
  const isError =
    failure === null
      ? isServerError(record.status, record.grpcStatus)
      : record.status >= 500 || failure.origin !== 'downstream';
  if (isError)
    attributes['error.type'] = failure === null ? errorType(record.status, record.grpcStatus) : failure.kind;
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    parentIsRemote: trace.parentSpanId !== '',
    traceState: trace.traceState,
    name: nameOf(record, call),
    kind: 'server',
    service,
    startMs: record.startWallMs,
    endMs: toWallMs + record.endMs,
    isError,
    errorText: isError && failure !== null ? errorText(failure.kind, failure.detail) : '',
    attributes,
  };
}

function attemptSpan(
  record: RequestRecord,
  trace: TraceContext,
  attempt: AttemptRecord,
  index: number,
  toWallMs: number,
): SpanRecord {
  const { failure } = attempt;
  const attributes: SpanAttributes = {
    'http.request.method': clip(record.method),
    'network.protocol.name': 'http',
    'outboard.attempt': index + 1,
    'outboard.upstream_cluster': attempt.service,
    'outboard.response_flags': failure === null ? '-' : failure.flag,
    'outboard.connection_reused': attempt.reused,
    'outboard.connect_ms': attempt.connectMs,
  };
  const { address, port } = splitAuthority(attempt.endpoint);
  if (address !== '') {
    attributes['network.peer.address'] = address;
    attributes['server.address'] = address;
  }
  if (port > 0) {
    attributes['network.peer.port'] = port;
    attributes['server.port'] = port;
  }
  if (index > 0) {
    attributes['http.request.resend_count'] = index;
    attributes['outboard.retry_reason'] = attempt.retryReason;
    attributes['outboard.backoff_ms'] = attempt.backoffMs;
  }
  if (attempt.ejectedEndpoint) attributes['outboard.endpoint_ejected'] = true;
  if (attempt.outrun) attributes['outboard.outrun'] = true;
  if (attempt.choice !== '') attributes['outboard.choice'] = attempt.choice;
  if (attempt.status > 0) attributes['http.response.status_code'] = attempt.status;
  if (failure !== null) attributes['outboard.reason'] = failure.kind;
  const call = record.grpc ? addCall(attributes, record.target, attempt.grpcStatus) : '';
  // For a client span 4xx is an error too (semantic conventions for HTTP spans, "Status"), and every gRPC status but OK.
  const isError = failure !== null || attempt.status >= 400 || attempt.grpcStatus > 0;
  if (isError)
    attributes['error.type'] =
      failure === null ? errorType(attempt.status, attempt.grpcStatus) : failure.kind;
  return {
    traceId: trace.traceId,
    spanId: attempt.spanId,
    parentSpanId: trace.spanId,
    parentIsRemote: false,
    traceState: trace.traceState,
    name: call === '' ? `${spanMethod(record.method)} ${attempt.service}` : call,
    kind: 'client',
    service: attempt.service === '' ? record.service : attempt.service,
    startMs: toWallMs + attempt.startMs,
    endMs: toWallMs + (attempt.endMs < 0 ? record.endMs : attempt.endMs),
    isError,
    errorText: failure === null ? '' : errorText(failure.kind, failure.detail),
    attributes,
  };
}

/** The question to a rate limit service; `ratelimit_status` is Envoy's tag. */
function rateLimitSpan(
  { attempt, outcome }: NonNullable<RequestRecord['rateLimitCall']>,
  trace: TraceContext,
  service: string,
  toWallMs: number,
): SpanRecord {
  const { failure } = attempt;
  const attributes: SpanAttributes = {
    'outboard.upstream_cluster': attempt.service,
    ratelimit_status: outcome,
    'outboard.response_flags': failure === null ? '-' : failure.flag,
  };
  const name = addCall(attributes, RATE_LIMIT_METHOD, attempt.grpcStatus);
  const { address, port } = splitAuthority(attempt.endpoint);
  if (address !== '') attributes['server.address'] = address;
  if (port > 0) attributes['server.port'] = port;
  if (failure !== null) attributes['error.type'] = failure.kind;
  return {
    traceId: trace.traceId,
    spanId: attempt.spanId,
    parentSpanId: trace.spanId,
    parentIsRemote: false,
    traceState: trace.traceState,
    name,
    kind: 'client',
    service,
    startMs: toWallMs + attempt.startMs,
    endMs: toWallMs + attempt.endMs,
    isError: failure !== null,
    errorText: failure === null ? '' : errorText(failure.kind, failure.detail),
    attributes,
  };
}

const RATE_LIMIT_METHOD = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';

/** `/package.Service/Method`, and nothing else. */
const CALL = /^\/([^/?]+)\/([^/?]+)$/;

/** What a span says of a gRPC call. Returns its name, `package.Service/Method`; empty: the path names none. */
function addCall(attributes: SpanAttributes, target: string, status: number): string {
  attributes['rpc.system'] = 'grpc';
  if (status >= 0) attributes['rpc.grpc.status_code'] = status;
  const match = CALL.exec(target);
  if (match === null) return '';
  attributes['rpc.service'] = clip(match[1] as string);
  attributes['rpc.method'] = clip(match[2] as string);
  return clip(target.slice(1));
}

function errorType(status: number, grpcStatus: number): string {
  return grpcStatus >= 0 ? grpcStatusName(grpcStatus) : String(status);
}

function nameOf({ operation, method, rule }: RequestRecord, call: string): string {
  if (operation !== '') return clip(operation);
  return call === '' ? httpName(method, rule) : call;
}

function httpName(method: string, rule: string): string {
  return rule === '' ? spanMethod(method) : `${spanMethod(method)} ${rule}`;
}

function errorText(kind: string, detail: string): string {
  return detail === '' ? kind : clip(`${kind}: ${detail}`);
}

const METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'CONNECT',
  'TRACE',
  'QUERY',
]);

/** The method in a span's name: an unknown one would make names of unbounded number (semantic conventions). */
function spanMethod(method: string): string {
  return METHODS.has(method) ? method : 'HTTP';
}

/** `host`, `host:port`, `[v6]:port`. */
function splitAuthority(authority: string): { address: string; port: number } {
  const colon = authority.lastIndexOf(':');
  const isPort = colon > 0 && /^[0-9]{1,5}$/.test(authority.slice(colon + 1));
  const host = isPort ? authority.slice(0, colon) : authority;
  const address = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return { address, port: isPort ? Number(authority.slice(colon + 1)) : 0 };
}
