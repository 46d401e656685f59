/**
 * The attempts of one request: the first, retries after failures, hedges beside an attempt that is slow. Of those under way the
 * first answer that is not to be tried again is the request's, and the others are cancelled, at their endpoints too.
 *
 *   start → attempt → (failure, or an answer that is to be tried again → backoff → attempt)* → answer
 *              └ slow → a hedge beside it
 */
import { type Failure, failure, Timer, type TimerOwner } from '../../../base/index.ts';
import type { ProxyHeaders } from '../../../config/index.ts';
import {
  type ConnectionFacts,
  H,
  type HeaderList,
  type RequestHead,
  type ResponseHead,
} from '../../../message/index.ts';
import { AttemptRecord, HEDGE, type RequestRecord } from '../../../telemetry/index.ts';
import {
  afterFailure,
  afterHead,
  attemptTimeoutMs,
  expectedTimeoutMs,
  type RetryDecision,
  type RetryPolicy,
  remainingMs,
  resetDelayMs,
  type Timeouts,
  writeGrpcTimeout,
} from '../../policy/index.ts';
import type { UpstreamService } from '../../upstream/index.ts';
import type { ExchangeContext, RulePolicy } from '../context.ts';
import { admit } from './admission.ts';
import type { Affinity } from './affinity.ts';
import { Attempt, type Attempted, type AttemptOwner } from './attempt.ts';
import { noteGrpcEnd, noteGrpcHead } from './grpc-status.ts';
import { Hedge, type HedgeOwner } from './hedge.ts';
import type { RequestBody } from './request-body.ts';
import { RetryPlan } from './retry-plan.ts';

export interface TriesOwner {
  onInformational(head: ResponseHead): void;
  /** The request's answer begins: no other will. */
  onAnswerHead(head: ResponseHead): void;
  onAnswerBody(chunk: Buffer): void;
  onAnswerEnd(trailers: HeaderList | null): void;
  /** No attempt is left, and none will follow. */
  onTriesFailed(why: Failure): void;
  /** More of the request may be sent. */
  onTriesWritable(): void;
  /** Milliseconds that count against the request's timeout. */
  elapsedMs(): number;
}

/** A request on its way upstream. */
export interface TriedRequest {
  readonly head: RequestHead;
  readonly body: RequestBody;
  readonly record: RequestRecord;
  readonly service: UpstreamService;
  readonly policy: RulePolicy;
  readonly timeouts: Timeouts;
  readonly affinity: Affinity | null;
  /** Which fields tell endpoints of this proxy's doings. */
  readonly says: ProxyHeaders;
}

export class Tries implements AttemptOwner, Attempted, HedgeOwner, TimerOwner {
  readonly client: ConnectionFacts;
  readonly service: UpstreamService;
  readonly head: RequestHead;
  readonly body: RequestBody;
  readonly wheel: ExchangeContext['wheel'];
  readonly clock: ExchangeContext['clock'];
  readonly grpc: boolean;
  readonly clientDeadline: boolean;
  private readonly owner: TriesOwner;
  private readonly context: ExchangeContext;
  private readonly record: RequestRecord;
  private readonly policy: RetryPolicy;
  private readonly timeouts: Timeouts;
  private readonly affinity: Affinity | null;
  private readonly says: ProxyHeaders;
  private readonly plan: RetryPlan;
  private readonly hedge: Hedge | null;
  /** In the order in which they began; once there is an answer, the answering one alone. */
  private readonly live: Attempt[] = [];
  private answering: Attempt | null = null;
  private backoffTimer: Timer | null = null;

  constructor(owner: TriesOwner, context: ExchangeContext, request: TriedRequest) {
    this.owner = owner;
    this.context = context;
    this.wheel = context.wheel;
    this.clock = context.clock;
    this.head = request.head;
    this.body = request.body;
    this.record = request.record;
    this.client = request.record.facts;
    this.grpc = request.record.grpc;
    this.clientDeadline = request.timeouts.statedBy !== 'timeouts.request';
    this.service = request.service;
    this.policy = request.policy.retry;
    this.hedge = Hedge.of(this, context, request);
    this.timeouts = request.timeouts;
    this.affinity = request.affinity;
    this.says = request.says;
    this.plan = new RetryPlan(this.policy, this.service);
  }

  /** Begins the first attempt. */
  start(): void {
    this.begin('', 0);
    this.armHedge();
  }

  /** More of the request body has come, or its end. */
  onBodyProgress(): void {
    for (let i = 0; i < this.live.length; i++) (this.live[i] as Attempt).onBodyProgress();
    this.armHedge();
  }

  /** The answer's last word has been said; a tunnel's when both sides have ended. */
  get over(): boolean {
    return this.answering === null || this.answering.over;
  }

  /** `address:port` of who answers; empty: nobody so far. */
  get endpoint(): string {
    return this.answering === null ? '' : this.answering.record.endpoint;
  }

  /** After a 101 answer: raw bytes of the client. */
  sendTunnel(chunk: Buffer): boolean {
    return this.answering === null || this.answering.sendTunnel(chunk);
  }

  endTunnel(): void {
    this.answering?.endTunnel();
  }

  pauseAnswer(): void {
    this.answering?.pauseAnswer();
  }

  resumeAnswer(): void {
    this.answering?.resumeAnswer();
  }

  /** Ends what is under way from our side. `blame`: what the endpoints are told to have done. */
  cancel(why: Failure, blame: 'localOrigin' | 'abandoned'): void {
    this.answering = null;
    while (this.live.length > 0) (this.live.pop() as Attempt).cancel(why, blame);
    this.end();
  }

  /** The request is over, and no attempt is under way. */
  end(): void {
    this.hedge?.cancel();
    if (this.backoffTimer !== null) this.wheel.cancel(this.backoffTimer);
    this.plan.drop(this.record.serviceSlot);
  }

  /** The backoff is over. */
  onTimer(): void {
    const { plan } = this;
    this.begin(plan.reason, plan.waitMs);
  }

  /** The attempt under way is slower than most, so another begins. */
  onHedge(): void {
    const slow = this.live[0];
    const { hedge } = this;
    if (hedge === null || slow === undefined || !slow.started || this.answering !== null) return;
    if (this.live.length > 1 || !this.body.restartable || !hedge.take()) return;
    this.plan.tried.push(slow.endpointIndex);
    this.begin(HEDGE, 0);
  }

  // What attempts tell.

  onAttemptConnected({ record: made }: Attempt): void {
    const { record, timeouts, says } = this;
    const { headers } = this.head;
    if (says.attemptCount)
      headers.setClean(H['x-envoy-attempt-count'], String(record.attempts.indexOf(made) + 1));
    if (record.trace !== null) this.context.recorder.writeTrace(headers, record.trace, made.spanId);
    if (record.grpc) writeGrpcTimeout(headers, timeouts, this.owner.elapsedMs());
    // It may have become slow while it waited for its connection.
    if (this.hedge !== null) this.armHedge();
    if (!says.envoyDebugHeaders) return;
    const expectedMs = expectedTimeoutMs(timeouts, this.owner.elapsedMs(), this.goesOn);
    if (expectedMs > 0) headers.setClean(H['x-envoy-expected-rq-timeout-ms'], String(expectedMs));
  }

  onAttemptInformational(_attempt: Attempt, head: ResponseHead): void {
    this.owner.onInformational(head);
  }

  onAttemptHead(attempt: Attempt, head: ResponseHead): void {
    const { record, context, policy } = this;
    if (record.grpc) noteGrpcHead(attempt.record, head);
    this.hedge?.observe(attempt.record, context.clock.nowMs());
    const decision = afterHead(policy, head, record.method);
    if (decision.retry && this.othersRun) {
      this.forget(attempt);
      attempt.discardAnswer();
      return;
    }
    record.retryRefused = '';
    if (decision.retry) {
      const resetMs = resetDelayMs(policy.config, head.headers, context.clock.wallMs(), context.random());
      if (this.tryAgain(attempt, decision, resetMs)) {
        this.forget(attempt);
        attempt.discardAnswer();
        return;
      }
    }
    this.settle(attempt);
    this.owner.onAnswerHead(head);
  }

  onAttemptBody(_attempt: Attempt, chunk: Buffer): void {
    this.owner.onAnswerBody(chunk);
  }

  onAttemptEnd(attempt: Attempt, trailers: HeaderList | null): void {
    if (this.record.grpc) noteGrpcEnd(this.record, attempt.record, trailers);
    this.owner.onAnswerEnd(trailers);
  }

  onAttemptWritable(): void {
    this.owner.onTriesWritable();
  }

  onAttemptFailed(attempt: Attempt, why: Failure): void {
    const { policy, record } = this;
    const { othersRun } = this;
    this.forget(attempt);
    if (attempt === this.answering) {
      this.owner.onTriesFailed(why);
      return;
    }
    if (othersRun) return;
    const decision = afterFailure(policy, why, record.method, attempt.started, attempt.record.reused);
    if (this.tryAgain(attempt, decision, -1)) return;
    this.owner.onTriesFailed(why);
  }

  onAttemptOverdue(attempt: Attempt): boolean {
    if (!this.goesOn) return false;
    const { record, policy } = this;
    const why = failure('per-try-timeout');
    const decision = afterFailure(policy, why, record.method, attempt.started, attempt.record.reused);
    if (this.backoffTimer?.armed !== true) this.tryAgain(attempt, decision, -1);
    return true;
  }

  /** A per-try timeout does not end its attempt. */
  private get goesOn(): boolean {
    return this.hedge?.config.onPerTryTimeout === true;
  }

  // Attempts, one after the other and side by side.

  /** `reason`: of the record. `waitMs`: the backoff before it. */
  private begin(reason: string, waitMs: number): void {
    const { context, record, plan, service, policy } = this;
    const avoided = policy.config.hostSelectionAttempts > 0 || reason === HEDGE ? plan.tried : [];
    const { picked, failure: refused } = admit(service, avoided, this.affinity, record);
    if (picked === null) {
      if (reason !== HEDGE) plan.drop(service.config.slot);
      if (this.live.length === 0) this.owner.onTriesFailed(refused);
      return;
    }
    const made = new AttemptRecord(record.service, context.clock.nowMs(), waitMs, reason);
    made.backoffFromAnswer = waitMs > 0 && plan.waitFromAnswer;
    made.endpoint = picked.address;
    made.choice = picked.choice;
    if (record.trace !== null) made.spanId = context.recorder.attemptSpanId(record.trace);
    record.attempts.push(made);
    if (!plan.allowsMore && this.hedge?.mayCome !== true) this.body.giveUpReplay();
    const timeoutMs = attemptTimeoutMs(this.timeouts, this.owner.elapsedMs());
    const holdsUnit = reason !== HEDGE && plan.takeUnit();
    const attempt = new Attempt(this, this, picked, plan.tried, holdsUnit, made, timeoutMs);
    this.live.push(attempt);
    attempt.start();
  }

  /** True: what became of `attempt` does not decide the request, because another will follow. */
  private tryAgain(attempt: Attempt, decision: RetryDecision, resetMs: number): boolean {
    if (!decision.retry) return false;
    const { context, record, plan } = this;
    const leftMs = remainingMs(this.timeouts, this.owner.elapsedMs());
    record.retryRefused = plan.plan(decision, this.body.restartable, resetMs, leftMs, context.random());
    if (record.retryRefused !== '') return false;
    plan.tried.push(attempt.endpointIndex);
    this.backoffTimer ??= new Timer(this, 0);
    this.wheel.arm(this.backoffTimer, plan.waitMs);
    return true;
  }

  /** `attempt` answers the request: the others are cancelled, and none will follow. */
  private settle(attempt: Attempt): void {
    this.answering = attempt;
    if (this.othersRun) this.stopOthers(attempt);
    this.hedge?.cancel();
    this.body.giveUpReplay();
  }

  private stopOthers(attempt: Attempt): void {
    const { live, hedge } = this;
    for (const other of live) {
      if (other === attempt) continue;
      other.record.outrun = true;
      other.cancel(null, 'abandoned');
      // It would have taken longer still; for a percentile below it that is as good.
      hedge?.observe(other.record, this.clock.nowMs());
    }
    live.length = 0;
    live.push(attempt);
    this.end();
  }

  /** Besides one attempt, which `live` still holds, others are under way or about to begin. */
  private get othersRun(): boolean {
    return this.live.length > 1 || this.backoffTimer?.armed === true;
  }

  /** Once the whole request is there, because only then how long an attempt takes is its endpoint's affair. */
  private armHedge(): void {
    const first = this.live[0];
    if (this.hedge === null || first === undefined || !this.body.complete) return;
    this.hedge.arm(first.record.startMs);
  }

  private forget(attempt: Attempt): void {
    this.live.splice(this.live.indexOf(attempt), 1);
  }
}
