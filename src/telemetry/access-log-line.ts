/**
 * One access log line: a JSON object with the field names of Istio's default JSON log, so that what reads a
 * sidecar's log reads this one, plus `listener`, `attempts`, `trace_id`, the caller's identity, `upstream_choice` where the
 * endpoint was not the policy's choice among all, and `grpc_status` (the number, or null) in the lines of gRPC calls. Built by
 * concatenation (0.9 µs, against 2.0 for JSON.stringify of an object made for it). The line is pure ASCII: whatever else a
 * client sent is escaped, so that no byte of it can forge a line, break UTF-8 or drive a terminal.
 */
import type { ConnectionFacts } from '../message/index.ts';
import { clip } from './clip.ts';
import { type RequestRecord, upstreamServiceMs } from './record.ts';

/** The line with its newline. `flags` as `flagsOf` gives them. */
export function accessLogLine(record: RequestRecord, flags: string): string {
  const { attempts } = record;
  const last = attempts.length === 0 ? null : attempts[attempts.length - 1];
  // Request ids were looked at when they were taken, and trace ids are digits: neither needs escaping.
  return (
    `{"start_time":"${isoTime(record.startWallMs)}",${asked(record)}` +
    `,"protocol":"${record.protocol}","response_code":${record.status},"response_flags":"${flags}"` +
    `${outcome(record)},"bytes_received":${record.requestBytes},"bytes_sent":${record.responseBytes}` +
    `,"duration":${Math.round(record.endMs - record.startMs)}` +
    `,"upstream_service_time":${serviceTime(record)}` +
    `,"x_forwarded_for":${textOrNull(record.forwardedFor)}` +
    `,"user_agent":${textOrNull(record.userAgent)}` +
    `,"request_id":${record.requestId === '' ? 'null' : `"${record.requestId}"`}` +
    `,"authority":${textOrNull(record.authority)}` +
    `,"upstream_host":${last === null ? 'null' : configured(last.endpoint)}` +
    `${last === null || last.choice === '' ? '' : `,"upstream_choice":${configured(last.choice)}`}` +
    `,"upstream_cluster":${configured(record.service)},"route_name":${configured(record.rule)}` +
    `${record.grpc ? grpcStatus(record.grpcStatus) : ''},"attempts":${attempts.length}` +
    `,"trace_id":${record.trace === null ? 'null' : `"${record.trace.traceId}"`}` +
    `,"downstream_remote_address":${downstream(record)}${connection(record.facts)}`
  );
}

/** Null for a TCP connection, on which nothing was asked. */
function asked({ method, target, protocol }: RequestRecord): string {
  if (protocol === 'TCP') return '"method":null,"path":null';
  return `"method":${method === 'GET' ? '"GET"' : text(method)},"path":${text(target)}`;
}

function grpcStatus(status: number): string {
  return `,"grpc_status":${status < 0 ? 'null' : status}`;
}

const ANSWERED =
  ',"response_code_details":"via_upstream","connection_termination_details":null,"upstream_transport_failure_reason":null';
/** A TCP connection has no answer. */
const CARRIED =
  ',"response_code_details":null,"connection_termination_details":null,"upstream_transport_failure_reason":null';

/** What ended the request: Envoy's details where there is an equal, otherwise the failure's kind. */
function outcome({ failure, attempts, protocol }: RequestRecord): string {
  if (failure === null && attempts.length > 0) return protocol === 'TCP' ? CARRIED : ANSWERED;
  const isUpstreamFault = failure !== null && failure.origin === 'upstream';
  return (
    `,"response_code_details":"${failure === null ? 'direct_response' : failure.kind}"` +
    `,"connection_termination_details":${failure !== null && failure.detail !== '' ? text(failure.detail) : 'null'}` +
    `,"upstream_transport_failure_reason":${isUpstreamFault ? text(failure.detail === '' ? failure.kind : failure.detail) : 'null'}`
  );
}

const byConnection = new WeakMap<ConnectionFacts, string>();

/** The end of every line of one connection, made once. */
function connection(facts: ConnectionFacts): string {
  const known = byConnection.get(facts);
  if (known !== undefined) return known;
  const { tls } = facts;
  const peer = tls === null ? null : tls.peer;
  const made =
    `,"listener":${text(facts.listener)}` +
    `,"downstream_local_address":${address(facts.localAddress, facts.localPort)}` +
    `,"requested_server_name":${tls === null ? 'null' : textOrNull(tls.sni)}` +
    `,"downstream_tls_version":${tls === null ? 'null' : textOrNull(tls.protocol)}` +
    `,"downstream_peer_uri_san":${peer === null || peer.uriSans.length === 0 ? 'null' : text(peer.uriSans.join(','))}` +
    `,"downstream_peer_subject":${peer === null ? 'null' : textOrNull(peer.subject)}}\n`;
  byConnection.set(facts, made);
  return made;
}

/** JSON strings of what configurations call things. */
const names = new Map<string, string>();
const NAMES_MAX = 8_192;

/** `textOrNull` for a name that comes from the configuration, of which there are few. */
function configured(name: string): string {
  let known = names.get(name);
  if (known === undefined) {
    if (names.size >= NAMES_MAX) names.clear();
    known = textOrNull(name);
    names.set(name, known);
  }
  return known;
}

/** Anything but printable ASCII without quote and backslash. */
const NEEDS_ESCAPE = /[^ !#-[\]-~]/;
const NOT_ASCII = /[\x7f-\uffff]/g;

/** A JSON string of `value`, clipped, in ASCII. */
function text(value: string): string {
  const kept = clip(value);
  return NEEDS_ESCAPE.test(kept) ? JSON.stringify(kept).replace(NOT_ASCII, escapeUnit) : `"${kept}"`;
}

function textOrNull(value: string): string {
  return value === '' ? 'null' : text(value);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function serviceTime(record: RequestRecord): string {
  const ms = upstreamServiceMs(record);
  return ms < 0 ? 'null' : String(ms);
}

/** As in Envoy: the client a trusted proxy named, whose port nobody knows, else the peer. */
function downstream({ clientAddress, facts }: RequestRecord): string {
  if (clientAddress !== '' && clientAddress !== facts.remoteAddress) return address(clientAddress, 0);
  return address(facts.remoteAddress, facts.remotePort);
}

function address(host: string, port: number): string {
  return host.includes(':') ? `"[${host}]:${port}"` : `"${host}:${port}"`;
}

let lastMs = -1;
let lastIso = '';

/** ISO 8601 in UTC; requests of one millisecond share the text. */
function isoTime(wallMs: number): string {
  const ms = Math.floor(wallMs);
  if (ms !== lastMs) {
    lastMs = ms;
    lastIso = new Date(ms).toISOString();
  }
  return lastIso;
}
