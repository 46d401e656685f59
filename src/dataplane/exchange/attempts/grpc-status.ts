/** How a gRPC call ended, for its record: by the answer's trailers, by its head alone, or by its HTTP status. */
import {
  grpcStatusOf,
  grpcStatusOfHttp,
  type HeaderList,
  type ResponseHead,
} from '../../../message/index.ts';
import type { AttemptRecord, RequestRecord } from '../../../telemetry/index.ts';

/** An answer has begun; one that is all head states its status there. */
export function noteGrpcHead(attempt: AttemptRecord, head: ResponseHead): void {
  attempt.grpcStatus = grpcStatusOf(head.headers);
}

/** The answer of this attempt, which the client was given, is complete. */
export function noteGrpcEnd(
  record: RequestRecord,
  attempt: AttemptRecord,
  trailers: HeaderList | null,
): void {
  const stated = trailers === null ? -1 : grpcStatusOf(trailers);
  if (stated >= 0) attempt.grpcStatus = stated;
  // Neither there nor in the head: it was no gRPC server that answered.
  else if (attempt.grpcStatus < 0) attempt.grpcStatus = grpcStatusOfHttp(attempt.status);
  record.grpcStatus = attempt.grpcStatus;
}
