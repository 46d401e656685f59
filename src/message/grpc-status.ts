/**
 * gRPC's status codes: their numbers, their names, and how they are read from a message. They travel in trailers, or in
 * the head of an answer that has nothing else to say ("trailers-only").
 */
import type { HeaderList } from './headers.ts';
import { H } from './names.ts';

export const GRPC = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** What people call a status. */
export function grpcStatusName(status: number): string {
  return NAMES[status] ?? 'UNKNOWN';
}

/** The status that fields state; -1: none. What is no code of gRPC's counts as UNKNOWN, as its clients have it. */
export function grpcStatusOf(fields: HeaderList): number {
  const text = fields.get(H['grpc-status']);
  if (text === undefined) return -1;
  return CODES.get(text) ?? GRPC.unknown;
}

/** What a client makes of an answer without a status (grpc/doc/http-grpc-status-mapping.md). */
export function grpcStatusOfHttp(status: number): number {
  switch (status) {
    case 400:
    case 431:
      return GRPC.internal;
    case 401:
      return GRPC.unauthenticated;
    case 403:
      return GRPC.permissionDenied;
    case 404:
      return GRPC.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GRPC.unavailable;
    default:
      return GRPC.unknown;
  }
}

const CODES: ReadonlyMap<string, number> = new Map(NAMES.map((_, code) => [String(code), code]));
