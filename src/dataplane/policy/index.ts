/** policy: decisions as data. What to do is decided here; doing it is the exchange's work. */

export { GradientController, gradientStep, quantileUs } from './adaptive-concurrency.ts';
export { isAddableField } from './addable-field.ts';
export { backoffMs, resetDelayMs } from './backoff.ts';
export { BREAKER_LIMITS, type BreakerGauge, type BreakerLimit } from './breaker.ts';
export { type CallerFields, callerHedging, callerRetry, takeCallerFields } from './caller-fields.ts';
export { type CallerExcess, Callers } from './callers.ts';
export { type CorsAnswer, type CorsPolicy, compileCors, judgeCors, writeCors } from './cors.ts';
export {
  compileGlobalRateLimit,
  descriptorsOf,
  type GlobalRateLimit,
} from './descriptors.ts';
export { type DrawnFault, drawFault } from './fault.ts';
export { addForwardedHeaders, addVia, clientAddress } from './forwarded.ts';
export { grpcTimeouts, writeGrpcTimeout } from './grpc-deadline.ts';
export { asGrpcReply, grpcReply, grpcStatusOfFailure } from './grpc-reply.ts';
export { formatGrpcTimeout, parseGrpcTimeout } from './grpc-timeout.ts';
export { affinityCookie, cookieOf, hashKeyOf } from './hash-key.ts';
export { isIdempotent } from './idempotency.ts';
export { LatencyWindow } from './latency-window.ts';
export { type LocalReply, localReply } from './local-reply.ts';
export { Overload, type Pressures } from './overload.ts';
export { rateLimitField, rateLimitKeyOf, rateLimitPolicyField, wholeSeconds } from './rate-limit.ts';
export {
  afterFailure,
  afterHead,
  compileRetry,
  NO_RETRY,
  type RetryDecision,
  type RetryPolicy,
} from './retry.ts';
export { sessionCookie, sessionEndpoint } from './session-cookie.ts';
export { headerEndpoint, sessionHeader } from './session-header.ts';
export {
  attemptTimeoutMs,
  callerTimeouts,
  compileTimeouts,
  countedMs,
  expectedTimeoutMs,
  type RuleTimeouts,
  remainingMs,
  type Timeouts,
} from './timeouts.ts';
export { TrustedCallers } from './trusted-callers.ts';
