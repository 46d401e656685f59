/**
 * What an answer tells the outlier detector. An HTTP answer is judged by its status when its head comes, a gRPC call by
 * its `grpc-status` when that comes: with a head that is all of the answer, or in the trailers.
 */
import { GRPC } from '../../../message/index.ts';
import type { AttemptOutcome } from '../../upstream/index.ts';

/** Envoy: 502, 503 and 504 are gateway errors. */
export function outcomeOf(status: number): AttemptOutcome {
  if (status < 500) return 'success';
  return status === 502 || status === 503 || status === 504 ? 'gatewayError' : 'serverError';
}

/**
 * As Envoy maps gRPC statuses to HTTP's (grpcToHttpStatus). `clientDeadline`: the caller has said how long it waits, and
 * an endpoint that keeps to it has done nothing wrong.
 */
export function outcomeOfCall(grpcStatus: number, clientDeadline: boolean): AttemptOutcome {
  switch (grpcStatus) {
    case GRPC.deadlineExceeded:
      return clientDeadline ? 'abandoned' : 'gatewayError';
    case GRPC.unavailable:
      return 'gatewayError';
    case GRPC.unknown:
    case GRPC.unimplemented:
    case GRPC.internal:
    case GRPC.dataLoss:
      return 'serverError';
    default:
      return 'success';
  }
}
