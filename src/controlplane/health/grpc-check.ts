/**
 * grpc.health.v1.Health/Check (grpc/doc/health-checking.md): SERVING is healthy, everything else is not, and says why
 * in terms of what can be done about it.
 */
import type { Socket } from 'node:net';
import { grpcStatusName } from '../../message/index.ts';
import { decodeServingStatus, encodeCheckRequest } from './grpc-message.ts';
import { type Http2Answer, requestOverHttp2 } from './http2-request.ts';

export interface GrpcCheckRequest {
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  /** What is asked about; empty: the server as a whole. */
  readonly service: string;
  readonly timeoutMs: number;
  readonly userAgent: string;
}

export interface GrpcCheckResult {
  readonly passed: boolean;
  /** `health SERVING`, `grpc-status 14 UNAVAILABLE: draining`. */
  readonly reason: string;
}

/** Characters of what the endpoint wrote that go into a reason. */
const QUOTED_CHARS = 200;

export async function checkOverGrpc(socket: Socket, request: GrpcCheckRequest): Promise<GrpcCheckResult> {
  const { scheme, authority, service, timeoutMs, userAgent } = request;
  const headers = {
    ':method': 'POST',
    ':scheme': scheme,
    ':path': '/grpc.health.v1.Health/Check',
    ':authority': authority,
    te: 'trailers',
    'grpc-timeout': grpcTimeout(timeoutMs),
    'content-type': 'application/grpc',
    'user-agent': userAgent,
  };
  return judge(await requestOverHttp2(socket, headers, encodeCheckRequest(service)), service);
}

function judge({ status, headers, trailers, body }: Http2Answer, service: string): GrpcCheckResult {
  if (body === null) return failed('the answer is too long for one of grpc.health.v1');
  // An answer that has nothing else to say carries its status in its head ("trailers-only").
  const code = trailers['grpc-status'] ?? headers['grpc-status'];
  if (code === undefined) {
    const type = quoted(headers['content-type'] ?? 'no content type');
    return failed(`status ${status}, ${type}, no grpc-status: is it a gRPC server? correct the port`);
  }
  if (code !== '0') {
    const message = trailers['grpc-message'] ?? headers['grpc-message'];
    return failed(refusal(String(code), typeof message === 'string' ? message : '', service));
  }
  const health = decodeServingStatus(body);
  if (health === null) return failed('the answer is no HealthCheckResponse of grpc.health.v1');
  return { passed: status === 200 && health === 'SERVING', reason: `health ${health}` };
}

function refusal(code: string, message: string, service: string): string {
  const name = grpcStatusName(/^\d{1,2}$/.test(code) ? Number(code) : UNKNOWN);
  const text = `grpc-status ${quoted(code)} ${name}`;
  if (name === 'UNIMPLEMENTED')
    return `${text}: the server has no grpc.health.v1.Health; register it there, or check with GET`;
  if (name === 'NOT_FOUND')
    return service === ''
      ? `${text}: the server states no health of its own; set it there for the empty name, or write grpc.service`
      : `${text}: the server knows no service ${service}; correct grpc.service, or set its health there`;
  return message === '' ? text : `${text}: ${quoted(percentDecoded(message))}`;
}

function failed(reason: string): GrpcCheckResult {
  return { passed: false, reason };
}

/** One to eight digits and a unit (PROTOCOL-HTTP2.md, "Requests"). */
function grpcTimeout(ms: number): string {
  for (const [unit, unitMs] of UNITS)
    if (ms / unitMs < DIGITS_END) return `${Math.max(1, Math.floor(ms / unitMs))}${unit}`;
  return `${DIGITS_END - 1}H`;
}

const UNITS = [
  ['m', 1],
  ['S', 1_000],
  ['M', 60_000],
  ['H', 3_600_000],
] as const;
const DIGITS_END = 100_000_000;
const UNKNOWN = 2;

/** What is wrong in it stays as it is, as gRPC asks of readers. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** On one line of a log, and not longer than anyone reads. */
function quoted(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ').slice(0, QUOTED_CHARS);
}
