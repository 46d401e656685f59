/**
 * Was an answer the server's fault? HTTP says so by its class. Of gRPC's statuses these six count (OpenTelemetry's
 * conventions for gRPC, "Server"); the others tell the caller what it did or what it asked for.
 */
import { GRPC } from '../message/index.ts';

const SERVER_ERRORS: ReadonlySet<number> = new Set([
  GRPC.unknown,
  GRPC.deadlineExceeded,
  GRPC.unimplemented,
  GRPC.internal,
  GRPC.unavailable,
  GRPC.dataLoss,
]);

/** `grpcStatus` -1: none. */
export function isServerError(status: number, grpcStatus: number): boolean {
  return status >= 500 || SERVER_ERRORS.has(grpcStatus);
}
