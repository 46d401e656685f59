/** Which time limit of a request was reached, as a failure. */
import { type Failure, failure } from '../../base/index.ts';
import type { RequestRecord } from '../../telemetry/index.ts';
import type { Timeouts } from '../policy/index.ts';
import { noteLimit } from './attempts/admission.ts';
import type { RequestBody } from './attempts/request-body.ts';

/** All the time that the request had is over; the record says who gave it so much. */
export function timedOut({ requestMs, statedBy }: Timeouts, record: RequestRecord): Failure {
  noteLimit(record, statedBy, requestMs, requestMs);
  return failure(statedBy === 'grpc-timeout' ? 'deadline' : 'request-timeout', `${requestMs} ms`);
}

/** No byte has moved for the idle timeout. `body`: of the request; null: there is none any more. */
export function stoodStill(body: RequestBody | null, idleTimeoutMs: number): Failure {
  // A client that we don't read from is not to blame: the endpoint takes nothing.
  const bodyMissing = body !== null && !body.complete && !body.full;
  return failure(bodyMissing ? 'body-timeout' : 'stream-idle', `${idleTimeoutMs} ms`);
}
