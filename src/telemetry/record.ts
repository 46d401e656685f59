/**
 * What is known of one request, written down by the exchange while it happens. The record is plain
 * fields, so that writing costs a store; everything that is made of it (metrics, the log line, spans, the
 * decision record) is made once, when the request has ended, by `Recorder.finish`.
 *
 * Times are monotonic milliseconds of `Clock.nowMs`; `startWallMs` ties them to the calendar.
 */
import type { Failure } from '../base/index.ts';
import type { ConnectionFacts } from '../message/index.ts';
import type { TraceContext } from './trace-context.ts';

export class RequestRecord {
  readonly facts: ConnectionFacts;
  readonly startMs: number;
  readonly startWallMs: number;
  requestId = '';
  method = '';
  /** As the client sent it, before normalisation and rewriting. */
  target = '';
  authority = '';
  userAgent = '';
  /** The client that the trusted proxies in front of this one named; empty: none is trusted. */
  clientAddress = '';
  /** `x-forwarded-for` as it is sent upstream; empty: none. */
  forwardedFor = '';
  /** `TCP`: of a connection whose bytes are passed on, those of TLS included; method, target and status stay empty. */
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' | 'TCP' = 'HTTP/1.1';
  /** What its caller, or its answer, calls its span (`x-envoy-decorator-operation`); empty: neither did. */
  operation = '';
  /** Null when tracing has not looked at the request (it was refused before routing). */
  trace: TraceContext | null = null;
  /** Name of the rule that matched; empty: none did. */
  rule = '';
  /** Of a request of another site's page: may that read the answer? Empty: it is none, or its rule has no CORS filter. */
  corsOrigin: '' | 'valid' | 'invalid' = '';
  /** Services that got a copy of it, separated by commas; empty: none. */
  mirrors = '';
  /** Service the last attempt went to, or would have gone to; empty: none. */
  service = '';
  /** Its slot in the ledger; -1: none. */
  serviceSlot = -1;
  readonly attempts: AttemptRecord[] = [];
  /** Why no further attempt was made, where a policy would have allowed one but a limit did not. */
  retryRefused: RetryRefusal = '';
  /** Status sent to the client; 0: none. */
  status = 0;
  /** It is a gRPC call. */
  grpc = false;
  /** Its status, of trailers, of an answer without a body, or of our own answer; -1: none was sent. */
  grpcStatus = -1;
  /** What ended the request; null: it was answered by an endpoint or a filter. */
  failure: Failure | null = null;
  /** Limit and observed value, where a limit decided; see `Decision`. */
  limit = '';
  limitValue = -1;
  observedValue = -1;
  /** A rate limit that would have refused the request if it were enforced; empty: none. */
  shadowedBy = '';
  /** A rate limit service gave no answer, and the request passed all the same: which, and why; empty: not so. */
  failedOpen = '';
  /** What a rate limit service was asked for this request. */
  rateLimitCall: { readonly attempt: AttemptRecord; readonly outcome: RateLimitOutcome } | null = null;
  /** Held up on purpose so long, in ms; 0: not. */
  injectedDelayMs = 0;
  /** Its answer was slowed down on purpose to so many KiB a second; 0: not. */
  responseKbps = 0;
  requestBytes = 0;
  responseBytes = 0;
  /** Whole request received; -1: not yet. */
  requestEndMs = -1;
  /** First byte of the final answer's head from upstream; -1: none. */
  responseStartMs = -1;
  endMs = -1;

  constructor(facts: ConnectionFacts, startMs: number, startWallMs: number) {
    this.facts = facts;
    this.startMs = startMs;
    this.startWallMs = startWallMs;
  }
}

/** What a rate limit service said, in Envoy's words for its span. */
export type RateLimitOutcome = 'ok' | 'over_limit' | 'error';

/** `AttemptRecord.retryReason` of one that began beside a slow attempt. */
export const HEDGE = 'hedge';

/**
 * Milliseconds from the end of the request to the head of its answer, backoffs included, as Envoy's `x-envoy-upstream-service-time`; -1: one
 * of the two has not come.
 */
export function upstreamServiceMs({ requestEndMs, responseStartMs }: RequestRecord): number {
  return requestEndMs < 0 || responseStartMs < 0
    ? -1
    : Math.max(0, Math.floor(responseStartMs - requestEndMs));
}

/**
 * Why a retry that the policy wanted was not made: `attempts` used up, `budget` empty, `max-retries` full, `body`
 * too large to replay, `timeout`: no time left, `started`: the answer had begun, `no-endpoint`.
 */
export type RetryRefusal =
  | ''
  | 'attempts'
  | 'budget'
  | 'max-retries'
  | 'body'
  | 'timeout'
  | 'started'
  | 'no-endpoint';

export class AttemptRecord {
  readonly service: string;
  /** `address:port`; empty: none could be picked. */
  endpoint = '';
  /** 16 hex digits; empty when the request is not sampled. */
  spanId = '';
  readonly startMs: number;
  /** Backoff waited before this attempt, in ms. */
  readonly backoffMs: number;
  /** The backoff came from the last answer (`Retry-After`, `X-RateLimit-Reset`), not from the exponential windows. */
  backoffFromAnswer = false;
  /** Rule by which this attempt is a retry, e.g. `connect-failure`, `5xx`, `code-503`, or `HEDGE`; empty: the first attempt. */
  readonly retryReason: string;
  /** Milliseconds spent waiting for a connection, handshake included. */
  connectMs = 0;
  /** Of a TCP connection: the endpoint took it. */
  connected = false;
  reused = false;
  /** How its endpoint came to be chosen, as `priority 1, degraded`; empty: by the policy, among all. */
  choice = '';
  /** Another attempt answered first, and this one was cancelled. */
  outrun = false;
  /** Its failure was the one by which the outlier detector ejected the endpoint. */
  ejectedEndpoint = false;
  status = 0;
  /** gRPC's status of its answer; -1: none so far. */
  grpcStatus = -1;
  failure: Failure | null = null;
  endMs = -1;

  constructor(service: string, startMs: number, backoffMs: number, retryReason: string) {
    this.service = service;
    this.startMs = startMs;
    this.backoffMs = backoffMs;
    this.retryReason = retryReason;
  }
}
