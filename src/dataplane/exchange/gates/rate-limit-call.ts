/**
 * One question to a rate limit service: a unary gRPC call over the connections of one of the services, with its circuit breaker
 * and its endpoints. It is asked once: a retry would cost the request that waits for it more time than it has.
 */
import { type Clock, type Failure, failure, LIMITS, type TimerWheel } from '../../../base/index.ts';
import {
  type ConnectionFacts,
  grpcStatusName,
  grpcStatusOf,
  H,
  HeaderList,
  type RequestHead,
  type ResponseHead,
} from '../../../message/index.ts';
import { AttemptRecord, COUNTER, countCall, type RequestRecord } from '../../../telemetry/index.ts';
import { decodeRateLimitResponse, type RateLimitResponse } from '../../codec/rls/index.ts';
import { BREAKER_LIMITS, formatGrpcTimeout } from '../../policy/index.ts';
import type { UpstreamService } from '../../upstream/index.ts';
import { Attempt, type AttemptOwner } from '../attempts/attempt.ts';
import { RequestBody } from '../attempts/request-body.ts';
import type { ExchangeContext } from '../context.ts';

const METHOD = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';

/** One of the two is null. */
export interface CallOwner {
  /** Once, and possibly before `start` returns; never after `cancel`. */
  onCallEnd(response: RateLimitResponse | null, why: Failure | null): void;
}

export class RateLimitCall implements AttemptOwner {
  readonly service: UpstreamService;
  readonly head: RequestHead;
  readonly body = new RequestBody(0);
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly client: ConnectionFacts;
  readonly grpc = true;
  readonly clientDeadline = false;
  readonly record: AttemptRecord;
  private readonly owner: CallOwner;
  private readonly timeoutMs: number;
  private readonly chunks: Buffer[] = [];
  private attempt: Attempt | null = null;
  private bytes = 0;
  private over = false;

  /** `asker`: the record of the request that waits. */
  constructor(
    owner: CallOwner,
    context: ExchangeContext,
    service: UpstreamService,
    message: Buffer,
    timeoutMs: number,
    asker: RequestRecord,
  ) {
    const { clock, recorder, wheel } = context;
    this.owner = owner;
    this.service = service;
    this.wheel = wheel;
    this.clock = clock;
    this.client = asker.facts;
    this.timeoutMs = timeoutMs;
    this.record = new AttemptRecord(service.config.name, clock.nowMs(), 0, '');
    this.head = headOf(service.config.name, timeoutMs, asker.requestId);
    if (asker.trace !== null) {
      this.record.spanId = recorder.attemptSpanId(asker.trace);
      recorder.writeTrace(this.head.headers, asker.trace, this.record.spanId);
    }
    this.body.push(message);
    this.body.end(null);
  }

  start(): void {
    const { service } = this;
    if (!service.acquireRequest()) {
      this.end(null, BREAKER_LIMITS.requests.failure);
      return;
    }
    const picked = service.pick([], null, false);
    if (picked === null) {
      service.counters.add(COUNTER.upstreamCxNoneHealthy, 1);
      service.releaseRequest(service.config.slot);
      this.end(null, service.whyNone(null));
      return;
    }
    this.record.endpoint = picked.address;
    this.attempt = new Attempt(this, this, picked, [], false, this.record, this.timeoutMs);
    this.attempt.start();
  }

  /** Nobody waits for it any more. */
  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.attempt?.cancel(null, 'abandoned');
    countCall(this.service.counters, this.record);
  }

  onAttemptConnected(): void {}

  onAttemptInformational(): void {}

  onAttemptHead(_attempt: Attempt, head: ResponseHead): void {
    this.record.grpcStatus = grpcStatusOf(head.headers);
    if (head.status !== 200)
      this.giveUp(failure('upstream-protocol', `status ${head.status} to a gRPC call`));
  }

  onAttemptBody(_attempt: Attempt, chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > LIMITS.rateLimitAnswerBytes)
      this.giveUp(failure('upstream-protocol', `an answer above ${LIMITS.rateLimitAnswerBytes} bytes`));
    else this.chunks.push(Buffer.from(chunk));
  }

  onAttemptEnd(_attempt: Attempt, trailers: HeaderList | null): void {
    const { record } = this;
    const stated = trailers === null ? -1 : grpcStatusOf(trailers);
    if (stated >= 0) record.grpcStatus = stated;
    if (record.grpcStatus !== 0) {
      const name = record.grpcStatus < 0 ? 'no status' : grpcStatusName(record.grpcStatus);
      this.end(null, failure('upstream-protocol', name));
      return;
    }
    const response = decodeRateLimitResponse(Buffer.concat(this.chunks));
    if (response === null) this.end(null, failure('upstream-protocol', 'no RateLimitResponse'));
    else this.end(response, null);
  }

  onAttemptFailed(_attempt: Attempt, why: Failure): void {
    this.end(null, why);
  }

  onAttemptWritable(): void {}

  onAttemptOverdue(): boolean {
    return false;
  }

  private giveUp(why: Failure): void {
    this.attempt?.cancel(why, 'localOrigin');
    this.end(null, why);
  }

  private end(response: RateLimitResponse | null, why: Failure | null): void {
    if (this.over) return;
    this.over = true;
    const { record } = this;
    if (why !== null) record.failure = why;
    if (record.endMs < 0) record.endMs = this.clock.nowMs();
    countCall(this.service.counters, record);
    this.owner.onCallEnd(response, why);
  }
}

function headOf(service: string, timeoutMs: number, requestId: string): RequestHead {
  const headers = HeaderList.of('content-type', 'application/grpc', 'te', 'trailers');
  headers.setClean(H['grpc-timeout'], formatGrpcTimeout(timeoutMs));
  if (requestId !== '') headers.setClean(H['x-request-id'], requestId);
  return {
    method: 'POST',
    target: METHOD,
    authority: service,
    scheme: 'http',
    version: '2',
    headers,
    body: 'stream',
    contentLength: -1,
    expectContinue: false,
    upgrade: '',
  };
}
