/**
 * A copy of a request, sent to another service to see what that makes of it (Gateway API's RequestMirror, Envoy's request
 * mirroring). Nobody waits for it: its answer is read and thrown away, it is never tried again, and a service that takes it too
 * slowly loses it. What it does shows in the counters of its own service.
 */
import { type Failure, failure, LIMITS, Timer, type TimerOwner, type TimerWheel } from '../../base/index.ts';
import type { MirrorConfig } from '../../config/index.ts';
import {
  addToHost,
  type ConnectionFacts,
  H,
  type HeaderList,
  type RequestHead,
} from '../../message/index.ts';
import { AttemptRecord, COUNTER, countMirrored, type RequestRecord } from '../../telemetry/index.ts';
import type { UpstreamService } from '../upstream/index.ts';
import { Attempt, type AttemptOwner } from './attempts/attempt.ts';
import { RequestBody } from './attempts/request-body.ts';
import type { ExchangeContext } from './context.ts';

/** The copies of one request. */
export class Mirrors {
  private readonly mirrors: readonly Mirror[];

  private constructor(mirrors: readonly Mirror[]) {
    this.mirrors = mirrors;
  }

  /** `head`: as it is sent upstream. `timeoutMs`: of the request; 0: none. Null: this one is not copied. */
  static of(
    context: ExchangeContext,
    configs: readonly MirrorConfig[],
    head: RequestHead,
    record: RequestRecord,
    timeoutMs: number,
  ): Mirrors | null {
    // A protocol switch has two sides, and nobody would speak for the client.
    if (configs.length === 0 || head.body === 'tunnel') return null;
    const mirrors: Mirror[] = [];
    for (const { service: name, percent } of configs) {
      const service = context.services.get(name);
      if (service === undefined || context.random() * 100 >= percent) continue;
      mirrors.push(new Mirror(context, record, service, shadowOf(head), timeoutMs));
      record.mirrors += record.mirrors === '' ? name : `,${name}`;
    }
    return mirrors.length === 0 ? null : new Mirrors(mirrors);
  }

  /** The request is sent on, and so are they. */
  start(): void {
    for (const mirror of this.mirrors) mirror.start();
  }

  onBody(chunk: Buffer): void {
    for (const mirror of this.mirrors) mirror.onBody(chunk);
  }

  onEnd(trailers: HeaderList | null): void {
    for (const mirror of this.mirrors) mirror.onEnd(trailers);
  }

  /** The request is over. */
  leave(): void {
    for (const mirror of this.mirrors) mirror.leave();
  }
}

class Mirror implements AttemptOwner, TimerOwner {
  readonly client: ConnectionFacts;
  readonly service: UpstreamService;
  readonly head: RequestHead;
  readonly body = new RequestBody(0);
  readonly wheel: TimerWheel;
  readonly clock: ExchangeContext['clock'];
  readonly grpc: boolean;
  readonly clientDeadline: boolean;
  private readonly timer = new Timer(this, 0);
  private readonly timeoutMs: number;
  private attempt: Attempt | null = null;
  private over = false;

  constructor(
    context: ExchangeContext,
    { facts, grpc }: RequestRecord,
    service: UpstreamService,
    head: RequestHead,
    timeoutMs: number,
  ) {
    this.client = facts;
    this.service = service;
    this.head = head;
    this.grpc = grpc;
    this.clientDeadline = grpc && head.headers.has(H['grpc-timeout']);
    this.wheel = context.wheel;
    this.clock = context.clock;
    this.timeoutMs = timeoutMs;
  }

  start(): void {
    const { service } = this;
    if (this.over) return;
    if (service.removed || this.clock.nowMs() < service.mirrorsFromMs || !service.acquireRequest()) {
      this.abandon();
      return;
    }
    const picked = service.pick([], null, false);
    if (picked === null) {
      service.releaseRequest(service.config.slot);
      this.abandon();
      return;
    }
    const made = new AttemptRecord(service.config.name, this.clock.nowMs(), 0, '');
    this.attempt = new Attempt(this, this, picked, [], false, made, 0);
    if (this.timeoutMs > 0) this.wheel.arm(this.timer, this.timeoutMs);
    this.attempt.start();
  }

  onBody(chunk: Buffer): void {
    if (this.over) return;
    this.body.push(chunk);
    this.attempt?.onBodyProgress();
    this.body.own();
    if (!this.over && this.body.full) this.abandon();
  }

  onEnd(trailers: HeaderList | null): void {
    if (this.over) return;
    this.body.end(trailers);
    this.attempt?.onBodyProgress();
  }

  /** Goes on with a whole request, for a while; half a one is worth nothing. */
  leave(): void {
    if (this.over) return;
    if (this.attempt === null) this.over = true;
    else if (!this.body.complete) this.abandon();
    else if (!this.timer.armed) this.wheel.arm(this.timer, LIMITS.requestTimeoutMs);
  }

  onTimer(): void {
    this.attempt?.cancel(failure('request-timeout'), 'localOrigin');
    this.finish();
  }

  // What its attempt tells.

  onAttemptConnected(): void {}

  onAttemptInformational(): void {}

  onAttemptHead(): void {}

  onAttemptBody(): void {}

  onAttemptWritable(): void {}

  onAttemptEnd(): void {
    this.finish();
  }

  onAttemptFailed(attempt: Attempt, _why: Failure): void {
    // Nobody was reached. To dial in vain for every request would cost more than all that callers ask for.
    if (!attempt.started) this.service.mirrorsFromMs = this.clock.nowMs() + LIMITS.mirrorPauseMs;
    this.finish();
  }

  onAttemptOverdue(): boolean {
    return false;
  }

  private abandon(): void {
    this.service.counters.add(COUNTER.retryOrShadowAbandoned, 1);
    this.attempt?.cancel(null, 'abandoned');
    this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.wheel.cancel(this.timer);
    if (this.attempt !== null) countMirrored(this.service.counters, this.attempt.record);
  }
}

/** A head of its own, whose host says that it is a copy, as Envoy has it: `cart-shadow:8080`. */
function shadowOf(head: RequestHead): RequestHead {
  return { ...head, headers: head.headers.clone(), authority: addToHost(head.authority, '-shadow') };
}
