/** The first lines of an attempt's record, and what its head says besides the request's own fields. */
import { H, type HeaderList } from '../../message/index.ts';
import { AttemptRecord, type RequestRecord } from '../../telemetry/index.ts';
import { type Timeouts, writeGrpcTimeout } from '../policy/index.ts';
import type { ExchangeContext } from './context.ts';
import type { RetryPlan } from './retry-plan.ts';

/**
 * Adds the coming attempt to `record`, and tells its endpoint, by `headers`, which attempt it is, its trace and how much
 * time it has. `elapsedMs`: of the request's timeout.
 */
export function beginAttempt(
  context: ExchangeContext,
  record: RequestRecord,
  retries: RetryPlan,
  endpoint: string,
  headers: HeaderList,
  timeouts: Timeouts,
  elapsedMs: number,
): AttemptRecord {
  const attempt = new AttemptRecord(record.service, context.clock.nowMs(), retries.waitMs, retries.reason);
  attempt.backoffFromAnswer = retries.waitFromAnswer;
  attempt.endpoint = endpoint;
  record.attempts.push(attempt);
  headers.setClean(H['x-envoy-attempt-count'], String(record.attempts.length));
  if (record.trace !== null) {
    attempt.spanId = context.recorder.attemptSpanId(record.trace);
    context.recorder.writeTrace(headers, record.trace, attempt.spanId);
  }
  if (record.grpc) writeGrpcTimeout(headers, timeouts, elapsedMs);
  return attempt;
}
