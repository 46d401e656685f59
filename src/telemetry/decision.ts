/**
 * Decision records: for every request that failed, was retried or was refused, which rule and which limit
 * decided, what was observed, and what happened on each attempt. They answer "why this 503?" without a debug
 * log. Plain data; the last ones are kept by the supervisor and served at `/decisions?request=ID`.
 */
import { cureOf } from '../base/index.ts';
import { grpcStatusName } from '../message/index.ts';
import { clip } from './clip.ts';
import { flagsOf } from './flags.ts';
import type { AttemptRecord, RequestRecord, RetryRefusal } from './record.ts';
import { isServerError } from './server-error.ts';

/**
 * `refused`: this proxy answered without an endpoint (breaker, no route, bad request).
 * `failed`: an endpoint or the client failed, or a timeout passed. `upstream-error`: an endpoint answered 5xx,
 * or a gRPC call with an error of the server's, and that answer was passed on. `recovered`: a retry succeeded.
 * `failed-open`: a rate limit service gave no answer, and it passed.
 * `shadowed`: a limit that is not enforced would have refused it.
 * `hedged`: of attempts side by side the first answered. `delayed`: it was held up on purpose, and all went well.
 */
export type Verdict =
  | 'refused'
  | 'failed'
  | 'upstream-error'
  | 'recovered'
  | 'hedged'
  | 'shadowed'
  | 'failed-open'
  | 'delayed';

export interface Decision {
  readonly requestId: string;
  /** 32 hex digits; empty: tracing had not looked at the request. */
  readonly traceId: string;
  /** ISO 8601 time at which the request began. */
  readonly time: string;
  readonly listener: string;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  /** Rule that matched; empty: none. */
  readonly rule: string;
  readonly service: string;
  readonly verdict: Verdict;
  /** Status sent to the client; 0: none. */
  readonly status: number;
  /** gRPC's name of the status that ended the call, such as `UNAVAILABLE`; empty: none, or no gRPC call. */
  readonly grpcStatus: string;
  /** Kind of the failure that ended the request; empty: none did. */
  readonly code: string;
  /** Envoy's response flags, `-` when there are none. */
  readonly flags: string;
  readonly detail: string;
  /** Field of the configuration whose limit decided, and its values; -1: not a number, or none. */
  readonly limit: string;
  readonly limitValue: number;
  readonly observedValue: number;
  /** Rate limit that would have refused the request if it were enforced; empty: none. */
  readonly shadowedBy: string;
  /** Why a rate limit service had no say in it; empty: not so. */
  readonly failedOpen: string;
  /** Why no further attempt was made; empty: none was wanted. */
  readonly retryRefused: RetryRefusal;
  /** Services that got a copy of the request. */
  readonly mirrors: readonly string[];
  readonly durationMs: number;
  readonly attempts: readonly AttemptDecision[];
  /** What a person can do about it. */
  readonly cure: string;
}

export interface AttemptDecision {
  /** 1 for the first. */
  readonly attempt: number;
  readonly service: string;
  /** `address:port`; empty: none could be picked. */
  readonly endpoint: string;
  /**
   * How it came to be chosen, where not by the policy among all endpoints: `subset v2, priority 1, eu/eu-a`, then `panic` or
   * `degraded`; or `session`.
   */
  readonly choice: string;
  /**
   * `503`, for a gRPC call `UNAVAILABLE`, for a TCP connection `connected`, a failure kind such as `connect-refused`,
   * `outrun` by another attempt, or `unfinished`.
   */
  readonly outcome: string;
  readonly flags: string;
  readonly detail: string;
  /** Why this attempt was made; empty for the first. */
  readonly reason: string;
  /** Backoff before it, in ms. */
  readonly backoffMs: number;
  /** Wait for a connection, in ms. */
  readonly connectMs: number;
  /** From its start to its end, in ms. */
  readonly durationMs: number;
  readonly reusedConnection: boolean;
  /** The outlier detector ejected the endpoint by this attempt; `/clusters` says why. */
  readonly ejectedEndpoint: boolean;
}

/** True for a request that an operator may want explained. */
export function needsDecision(record: RequestRecord): boolean {
  return (
    record.failure !== null ||
    record.attempts.length > 1 ||
    record.retryRefused !== '' ||
    isSlowed(record) ||
    isRefusedPreflight(record) ||
    record.shadowedBy !== '' ||
    record.failedOpen !== '' ||
    isServerError(record.status, record.grpcStatus)
  );
}

export function decisionOf(record: RequestRecord): Decision {
  const { failure } = record;
  return {
    requestId: record.requestId,
    traceId: record.trace === null ? '' : record.trace.traceId,
    time: new Date(record.startWallMs).toISOString(),
    listener: record.facts.listener,
    method: clip(record.method),
    authority: clip(record.authority),
    path: clip(record.target),
    rule: record.rule,
    service: record.service,
    verdict: verdictOf(record),
    status: record.status,
    grpcStatus: record.grpcStatus < 0 ? '' : grpcStatusName(record.grpcStatus),
    code: failure === null ? '' : failure.kind,
    flags: flagsOf(record),
    detail: failure === null ? '' : clip(failure.detail),
    limit: record.limit,
    limitValue: record.limitValue,
    observedValue: record.observedValue,
    shadowedBy: record.shadowedBy,
    failedOpen: clip(record.failedOpen),
    retryRefused: record.retryRefused,
    mirrors: record.mirrors === '' ? [] : record.mirrors.split(','),
    durationMs: round(record.endMs - record.startMs),
    attempts: record.attempts.map(attemptOf),
    cure: cureFor(record),
  };
}

function verdictOf(record: RequestRecord): Verdict {
  const { failure } = record;
  if (failure !== null) {
    const decidedHere = failure.origin === 'proxy' || failure.origin === 'downstream';
    return (decidedHere && record.attempts.length === 0) || failure.flag === 'UO' ? 'refused' : 'failed';
  }
  if (isRefusedPreflight(record)) return 'refused';
  if (isServerError(record.status, record.grpcStatus))
    return record.attempts.length === 0 ? 'refused' : 'upstream-error';
  if (record.attempts.some(({ outrun }) => outrun)) return 'hedged';
  if (record.attempts.length > 1 || record.retryRefused !== '') return 'recovered';
  if (record.failedOpen !== '') return 'failed-open';
  if (isSlowed(record)) return 'delayed';
  return record.shadowedBy === '' ? 'recovered' : 'shadowed';
}

function isSlowed({ injectedDelayMs, responseKbps }: RequestRecord): boolean {
  return injectedDelayMs > 0 || responseKbps > 0;
}

/** Answered 200, and the browser will not ask further. */
function isRefusedPreflight({ corsOrigin, limit }: RequestRecord): boolean {
  return corsOrigin === 'invalid' && limit === 'cors.allowOrigins';
}

function attemptOf(attempt: AttemptRecord, index: number): AttemptDecision {
  return {
    attempt: index + 1,
    service: attempt.service,
    endpoint: attempt.endpoint,
    choice: attempt.choice,
    outcome: outcomeOf(attempt),
    flags: attempt.failure === null ? '-' : attempt.failure.flag,
    detail: attempt.failure === null ? '' : clip(attempt.failure.detail),
    reason: attempt.retryReason,
    backoffMs: round(attempt.backoffMs),
    connectMs: round(attempt.connectMs),
    durationMs: attempt.endMs < 0 ? -1 : round(attempt.endMs - attempt.startMs),
    reusedConnection: attempt.reused,
    ejectedEndpoint: attempt.ejectedEndpoint,
  };
}

function outcomeOf({ failure, status, grpcStatus, connected, outrun }: AttemptRecord): string {
  if (outrun) return 'outrun';
  if (failure !== null) return failure.kind;
  if (grpcStatus >= 0) return grpcStatusName(grpcStatus);
  if (connected) return 'connected';
  return status > 0 ? String(status) : 'unfinished';
}

export const REFUSAL_CURES: Readonly<Record<Exclude<RetryRefusal, ''>, string>> = {
  attempts: 'every attempt that is allowed was made (retry.attempts; three for TCP)',
  budget: 'the retry budget of the service is used up; raise retryBudget, or mend the endpoints',
  'max-retries': 'circuitBreaker.maxRetries is reached for the whole node',
  body: 'the request body was larger than the replay buffer, so it could not be sent again',
  timeout: 'timeouts.request left no time for another attempt (or, for a gRPC call, its grpc-timeout)',
  started: 'the answer had already begun, so it could not be replaced',
  'no-endpoint': 'no other endpoint was left to try',
};

function cureFor(record: RequestRecord): string {
  const cures: string[] = [];
  if (record.failure !== null) cures.push(cureOf(record.failure.kind));
  else if (record.attempts.length > 0 && isServerError(record.status, record.grpcStatus))
    cures.push('the endpoint itself answered with this status; see its own log');
  if (isRefusedPreflight(record))
    cures.push("the page's origin is not among allowOrigins of the CORS filter");
  if (record.retryRefused !== '') cures.push(REFUSAL_CURES[record.retryRefused]);
  return cures.join('; ');
}

/** Microseconds are enough for people. */
function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
