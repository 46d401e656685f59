/**
 * May this attempt be made again? Two cases:
 *
 * The route states conditions (`retryOn`): they hold for every method, with Envoy's meaning. Status codes and
 * answer headers that a route lists hold for every method too. The five gRPC conditions look at the head of an answer
 * alone, as in Envoy: a status that comes in trailers comes after an answer that was passed on.
 *
 * It states none: only what was provably never processed (no connection, no byte of the request
 * handed to one, or a stream that the endpoint refused), whatever the method; and, for idempotent methods, an attempt that ended without an answer,
 * a per-try timeout and a 503. RFC 9110 section 9.2.2 forbids a proxy more than that: a POST on a kept-alive
 * connection that closes without a byte may have been processed. Istio's default replays it (istio#13851).
 *
 * Overflow, a missing endpoint and the request timeout are never retried. How often, when and whether a
 * budget allows it is not decided here. Decisions are made once and shared: nothing is allocated.
 */
import type { Failure, FailureKind } from '../../base/index.ts';
import type { HeaderPresence, RetryCondition, RetryConfig } from '../../config/index.ts';
import { GRPC, grpcStatusOf, H, nameIdOf, type ResponseHead } from '../../message/index.ts';
import { isIdempotent } from './idempotency.ts';

export interface RetryDecision {
  readonly retry: boolean;
  /** Why, as decision records say it: `connect-failure`, `code-503`, …; empty: no retry. */
  readonly reason: string;
}

export const NO_RETRY: RetryDecision = Object.freeze({ retry: false, reason: '' });

export interface RetryPolicy {
  readonly config: RetryConfig;
  /** The route stated no conditions: what is safe to send again is, besides what `conditions` allow. */
  readonly defaults: boolean;
  readonly conditions: ReadonlySet<RetryCondition>;
  /** Answers of an upstream proxy's rate limit are retried. */
  readonly rateLimited: boolean;
  /** By status: holds for every method. */
  readonly byStatus: readonly (RetryDecision | undefined)[];
  /** By status: holds for idempotent methods. */
  readonly byStatusIdempotent: readonly (RetryDecision | undefined)[];
  readonly headers: readonly HeaderPresence[];
  /** By gRPC status, for every method; null: no gRPC condition is stated. */
  readonly byGrpcStatus: readonly (RetryDecision | undefined)[] | null;
}

/** What a request's own fields add to its rule's policy; see caller-fields.ts. */
export interface CallerRetry {
  /** -1: as the rule has it. */
  readonly attempts: number;
  readonly conditions: readonly RetryCondition[];
  /** They count where `retriable-status-codes` is among the conditions, or the rule lists codes. */
  readonly codes: readonly number[];
  /** The same, with `retriable-headers`; in lower case. */
  readonly headers: readonly string[];
}

/** `caller`: of a request that brings its own wishes; null: of the rule alone. */
export function compileRetry(config: RetryConfig, caller: CallerRetry | null = null): RetryPolicy {
  return caller === null ? compiled(config, config.retryOn.length === 0) : withCaller(config, caller);
}

/** As in Envoy: conditions, codes and headers are added to the rule's, the number of attempts replaces it. */
function withCaller(config: RetryConfig, caller: CallerRetry): RetryPolicy {
  const { retryOn, codes, retriableHeaders } = config;
  const conditions = new Set([...retryOn, ...caller.conditions]);
  const byCode = codes.length > 0 || conditions.has('retriable-status-codes');
  const byHeader = retriableHeaders.length > 0 || conditions.has('retriable-headers');
  const merged = compiled(
    {
      ...config,
      attempts: caller.attempts < 0 ? config.attempts : caller.attempts,
      retryOn: [...conditions],
      codes: byCode ? [...new Set([...codes, ...caller.codes])] : codes,
      retriableHeaders: byHeader
        ? [...retriableHeaders, ...caller.headers.map((name) => ({ name, value: null }))]
        : retriableHeaders,
    },
    retryOn.length === 0,
  );
  if (retryOn.length + codes.length + retriableHeaders.length > 0) return merged;
  return { ...merged, byStatusIdempotent: compiled(config, true).byStatusIdempotent };
}

function compiled(config: RetryConfig, defaults: boolean): RetryPolicy {
  const { retryOn, codes, retriableHeaders } = config;
  const conditions = new Set(retryOn);
  const byStatus: (RetryDecision | undefined)[] = new Array(STATUS_END).fill(undefined);
  const byStatusIdempotent = byStatus.slice();
  if (conditions.has('5xx')) byStatus.fill(decide('5xx'), 500, 600);
  if (conditions.has('gateway-error')) byStatus.fill(decide('gateway-error'), 502, 505);
  if (conditions.has('retriable-4xx')) byStatus[409] = decide('retriable-4xx');
  for (const code of codes) byStatus[code] = decide(`code-${code}`);
  if (retryOn.length + codes.length + retriableHeaders.length === 0)
    byStatusIdempotent[503] = decide('code-503');
  const rateLimited = conditions.has('envoy-ratelimited');
  return {
    config,
    defaults,
    conditions,
    rateLimited,
    byStatus,
    byStatusIdempotent,
    headers: retriableHeaders,
    byGrpcStatus: grpcConditions(conditions),
  };
}

/**
 * After an attempt that failed without an answer. `requestStarted`: a byte of the request was handed to
 * a connection. `reused`: that connection had served a request before.
 */
export function afterFailure(
  policy: RetryPolicy,
  failure: Failure,
  method: string,
  requestStarted: boolean,
  reused: boolean,
): RetryDecision {
  const cause = CAUSES[failure.kind];
  if (cause === undefined || policy.config.attempts === 0) return NO_RETRY;
  if (policy.conditions.size > 0) {
    const stated = afterFailureAsStated(policy.conditions, cause, requestStarted);
    if (stated.retry || !policy.defaults) return stated;
  }
  if (cause === 'connect') return CONNECT_FAILURE;
  if (cause === 'refused') return REFUSED_STREAM;
  if (!requestStarted) return RESET_BEFORE_REQUEST;
  if (!isIdempotent(method)) return NO_RETRY;
  if (cause === 'reset') return reused ? STALE_CONNECTION : RESET;
  return cause === 'timeout' ? PER_TRY_TIMEOUT : NO_RETRY;
}

/** After the head of an answer, before any of it was passed on. */
export function afterHead(policy: RetryPolicy, head: ResponseHead, method: string): RetryDecision {
  if (policy.config.attempts === 0) return NO_RETRY;
  const { status, headers } = head;
  let decision = policy.byStatus[status];
  if (decision === undefined) {
    decision = policy.byStatusIdempotent[status];
    if (decision !== undefined && !isIdempotent(method)) decision = undefined;
  }
  if (decision === undefined && policy.byGrpcStatus !== null) {
    const grpcStatus = grpcStatusOf(headers);
    if (grpcStatus > 0) decision = policy.byGrpcStatus[grpcStatus];
  }
  const rateLimitedToo = policy.rateLimited;
  // An answer that the upstream proxy's rate limit gave is retried where the route says so, and
  // otherwise not at all, whatever its status.
  if ((decision || rateLimitedToo || policy.headers.length > 0) && headers.has(H['x-envoy-ratelimited'])) {
    return rateLimitedToo ? ENVOY_RATELIMITED : NO_RETRY;
  }
  if (decision) return decision;
  for (let i = 0; i < policy.headers.length; i++) {
    const { name, value } = policy.headers[i] as HeaderPresence;
    const found = headers.getAll(nameIdOf(name) || name);
    if (found !== undefined && (value === null || value === found)) return RETRIABLE_HEADERS;
  }
  return NO_RETRY;
}

/** As Envoy has it: whatever ended without an answer is a reset, and 5xx and gateway-error include resets. */
function afterFailureAsStated(
  conditions: ReadonlySet<RetryCondition>,
  cause: Cause,
  requestStarted: boolean,
): RetryDecision {
  if (cause === 'connect' && conditions.has('connect-failure')) return CONNECT_FAILURE;
  if (cause === 'refused' && conditions.has('refused-stream')) return REFUSED_STREAM;
  if (!requestStarted && conditions.has('reset-before-request')) return RESET_BEFORE_REQUEST;
  if (conditions.has('reset')) return RESET;
  if (conditions.has('gateway-error')) return GATEWAY_ERROR;
  return conditions.has('5xx') ? FIVE_XX : NO_RETRY;
}

function grpcConditions(
  conditions: ReadonlySet<RetryCondition>,
): readonly (RetryDecision | undefined)[] | null {
  const stated = GRPC_CONDITIONS.filter(([condition]) => conditions.has(condition));
  if (stated.length === 0) return null;
  const byStatus: (RetryDecision | undefined)[] = new Array(GRPC.unauthenticated + 1).fill(undefined);
  for (const [condition, status] of stated) byStatus[status] = decide(condition);
  return byStatus;
}

const GRPC_CONDITIONS: readonly (readonly [RetryCondition, number])[] = [
  ['cancelled', GRPC.cancelled],
  ['deadline-exceeded', GRPC.deadlineExceeded],
  ['internal', GRPC.internal],
  ['resource-exhausted', GRPC.resourceExhausted],
  ['unavailable', GRPC.unavailable],
];

/** How an attempt ended without an answer. */
type Cause = 'connect' | 'refused' | 'reset' | 'timeout' | 'protocol';

/** Failures of one attempt; every other kind is the request's, and final. */
const CAUSES: Readonly<Partial<Record<FailureKind, Cause>>> = {
  'connect-refused': 'connect',
  'connect-timeout': 'connect',
  'connect-failed': 'connect',
  'upstream-tls': 'connect',
  'refused-stream': 'refused',
  'closed-before-response': 'reset',
  'reset-before-response': 'reset',
  'per-try-timeout': 'timeout',
  'upstream-protocol': 'protocol',
};

const STATUS_END = 600;

function decide(reason: string): RetryDecision {
  return Object.freeze({ retry: true, reason });
}

const CONNECT_FAILURE = decide('connect-failure');
const REFUSED_STREAM = decide('refused-stream');
const RESET_BEFORE_REQUEST = decide('reset-before-request');
const RESET = decide('reset');
const STALE_CONNECTION = decide('stale-connection');
const PER_TRY_TIMEOUT = decide('per-try-timeout');
const GATEWAY_ERROR = decide('gateway-error');
const FIVE_XX = decide('5xx');
const ENVOY_RATELIMITED = decide('envoy-ratelimited');
const RETRIABLE_HEADERS = decide('retriable-headers');
