/** An attempt in the making: the first lines of its record, and what its head says besides the request's own fields. */
import { H, type RequestHead } from '../../message/index.ts';
import { AttemptRecord, type RequestRecord } from '../../telemetry/index.ts';
import { attemptTimeoutMs, type Timeouts, writeGrpcTimeout } from '../policy/index.ts';
import type { PickedEndpoint, UpstreamService } from '../upstream/index.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { ExchangeContext } from './context.ts';
import type { RequestBody } from './request-body.ts';
import type { RetryPlan } from './retry-plan.ts';

/** What an attempt is made for. */
export interface Attempted {
  readonly head: RequestHead;
  readonly body: RequestBody;
  readonly record: RequestRecord;
  readonly retries: RetryPlan;
  readonly timeouts: Timeouts;
  /** Of the request's timeout, in ms. */
  readonly elapsedMs: number;
}

/**
 * Adds the coming attempt to the record, and tells its endpoint, by the head, which attempt it is, its trace and how much time
 * it has. The attempt is to be started.
 */
export function beginAttempt(
  owner: AttemptOwner,
  context: ExchangeContext,
  service: UpstreamService,
  picked: PickedEndpoint,
  { head, body, record, retries, timeouts, elapsedMs }: Attempted,
): Attempt {
  const { clock, recorder, wheel } = context;
  const { headers } = head;
  const made = new AttemptRecord(record.service, clock.nowMs(), retries.waitMs, retries.reason);
  made.backoffFromAnswer = retries.waitFromAnswer;
  made.endpoint = picked.address;
  record.attempts.push(made);
  headers.setClean(H['x-envoy-attempt-count'], String(record.attempts.length));
  if (record.trace !== null) {
    made.spanId = recorder.attemptSpanId(record.trace);
    recorder.writeTrace(headers, record.trace, made.spanId);
  }
  if (record.grpc) writeGrpcTimeout(headers, timeouts, elapsedMs);
  body.rewind();
  if (!retries.allowsAfter(record.attempts.length)) body.giveUpReplay();
  return new Attempt(
    owner,
    service,
    picked,
    retries.tried,
    retries.takeUnit(),
    made,
    head,
    body,
    wheel,
    clock,
    attemptTimeoutMs(timeouts, elapsedMs),
  );
}
