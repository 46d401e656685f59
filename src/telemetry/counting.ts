/**
 * Envoy's cluster and listener counters, from the record of an ended request. Whatever a record tells is
 * counted here and nowhere else; pools, listeners and the outlier detector count what no record tells
 * (connections, handshakes, ejections). Envoy counts a request when it starts, Outboard when it ends.
 */
import type { FailureKind } from '../base/index.ts';
import type { CounterBlock } from './counter-block.ts';
import { COUNTER, FAILURE_CELL, LISTENER_COUNTER } from './families.ts';
import { type AttemptRecord, HEDGE, type RequestRecord } from './record.ts';
import { isServerError } from './server-error.ts';

/** Counts what happened on the way to `record.service`. */
export function countUpstream(counters: CounterBlock, record: RequestRecord): void {
  const { attempts, failure } = record;
  for (let i = 0; i < attempts.length; i++) countAttempt(counters, attempts[i], i);
  if (record.status > 0) countStatus(counters, record.status);
  if (failure === null && wasRetried(record) && isSuccess(record))
    counters.add(COUNTER.upstreamRqRetrySuccess, 1);
  if (record.retryRefused !== '') countRefusal(counters, record);
  if (failure === null) return;
  if (failure.kind === 'request-timeout' || failure.kind === 'deadline')
    counters.add(COUNTER.upstreamRqTimeout, 1);
  else if (failure.kind === 'max-requests' || failure.kind === 'max-pending') {
    counters.add(COUNTER.upstreamRqPendingOverflow, 1);
  }
}

/** Counts a copy of a request at the service that got it. */
export function countMirrored(counters: CounterBlock, attempt: AttemptRecord): void {
  counters.add(COUNTER.upstreamRqShadow, 1);
  countAttempt(counters, attempt, 0);
  if (attempt.status > 0) countStatus(counters, attempt.status);
}

/** Counts a question of our own to a service. */
export function countCall(counters: CounterBlock, attempt: AttemptRecord): void {
  countAttempt(counters, attempt, 0);
  if (attempt.status > 0) countStatus(counters, attempt.status);
}

/** Counts what the client saw. */
export function countDownstream(counters: CounterBlock, record: RequestRecord): void {
  const { failure } = record;
  if (failure !== null) counters.add(FAILURE_CELL[failure.kind], 1);
  if (!isRequest(record)) return;
  counters.add(LISTENER_COUNTER.downstreamRqTotal, 1);
  if (record.status > 0) {
    counters.add(LISTENER_COUNTER.downstreamRqCompleted, 1);
    const cls = (record.status / 100) | 0;
    if (cls >= 1 && cls <= 5) counters.add(LISTENER_COUNTER.downstreamRq1xx + cls - 1, 1);
  }
  if (record.injectedDelayMs > 0) counters.add(LISTENER_COUNTER.faultDelaysInjected, 1);
  if (record.responseKbps > 0) counters.add(LISTENER_COUNTER.faultResponseRlInjected, 1);
  if (record.corsOrigin === 'valid') counters.add(LISTENER_COUNTER.corsOriginValid, 1);
  else if (record.corsOrigin === 'invalid') counters.add(LISTENER_COUNTER.corsOriginInvalid, 1);
  if (failure === null) return;
  if (failure.kind === 'fault-injected') counters.add(LISTENER_COUNTER.faultAbortsInjected, 1);
  if (failure.flag === 'DPE') counters.add(LISTENER_COUNTER.downstreamCxProtocolError, 1);
  else if (failure.kind === 'downstream-gone') counters.add(LISTENER_COUNTER.downstreamRqRxReset, 1);
}

/** Counts what a TCP connection met on its way to a service; the pool counts the rest. */
export function countConnection(counters: CounterBlock, { failure }: RequestRecord): void {
  if (failure?.kind === 'max-pending') counters.add(COUNTER.upstreamRqPendingOverflow, 1);
}

/** What ends a connection before there can be a request. */
const BEFORE_REQUESTS: ReadonlySet<FailureKind> = new Set([
  'tls-handshake',
  'proxy-protocol',
  'caller-connections',
  'caller-penalty',
]);

/** False for a TCP connection, and for one that failed before there could be a request. */
export function isRequest(record: RequestRecord): boolean {
  return record.protocol !== 'TCP' && (record.failure === null || !BEFORE_REQUESTS.has(record.failure.kind));
}

function countAttempt(counters: CounterBlock, attempt: AttemptRecord, index: number): void {
  if (attempt.retryReason === HEDGE) {
    counters.add(COUNTER.upstreamRqHedge, 1);
    if (!attempt.outrun && attempt.status > 0) counters.add(COUNTER.upstreamRqHedgeSuccess, 1);
  } else if (index > 0) {
    counters.add(COUNTER.upstreamRqRetry, 1);
    if (attempt.backoffFromAnswer) counters.add(COUNTER.upstreamRqRetryBackoffRatelimited, 1);
    else if (attempt.backoffMs > 0) counters.add(COUNTER.upstreamRqRetryBackoffExponential, 1);
  }
  const kind = attempt.failure === null ? '' : attempt.failure.kind;
  switch (kind) {
    case 'no-endpoint':
    case 'max-requests':
    case 'max-pending':
    case 'max-retries':
      return;
    case 'connect-refused':
    case 'connect-failed':
    case 'upstream-tls':
    case 'connect-timeout':
      // The pool counts connections that fail; this request never reached an endpoint.
      return;
    case 'per-try-timeout':
      counters.add(COUNTER.upstreamRqPerTryTimeout, 1);
      counters.add(COUNTER.upstreamRqTxReset, 1);
      break;
    case 'request-timeout':
    case 'deadline':
    case 'stream-idle':
    case 'max-duration':
    case 'downstream-gone':
      counters.add(COUNTER.upstreamRqTxReset, 1);
      break;
    case 'refused-stream':
    case 'closed-before-response':
    case 'reset-before-response':
    case 'closed-mid-response':
      counters.add(COUNTER.upstreamRqRxReset, 1);
      break;
  }
  counters.add(COUNTER.upstreamRqTotal, 1);
}

function countStatus(counters: CounterBlock, status: number): void {
  counters.add(COUNTER.upstreamRqCompleted, 1);
  const cls = (status / 100) | 0;
  if (cls >= 1 && cls <= 5) counters.add(COUNTER.upstreamRq1xx + cls - 1, 1);
}

function wasRetried({ attempts }: RequestRecord): boolean {
  for (let i = 1; i < attempts.length; i++) if (attempts[i].retryReason !== HEDGE) return true;
  return false;
}

function isSuccess({ status, grpcStatus }: RequestRecord): boolean {
  return status > 0 && !isServerError(status, grpcStatus);
}

function countRefusal(counters: CounterBlock, record: RequestRecord): void {
  switch (record.retryRefused) {
    case 'attempts':
      counters.add(COUNTER.upstreamRqRetryLimitExceeded, 1);
      break;
    case 'budget':
    case 'max-retries':
      counters.add(COUNTER.upstreamRqRetryOverflow, 1);
      break;
    case 'body':
      counters.add(COUNTER.retryOrShadowAbandoned, 1);
      break;
  }
}
