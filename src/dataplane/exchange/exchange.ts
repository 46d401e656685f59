/**
 * One request's life, from its head to the last byte of its answer. Read from top to bottom:
 *
 *   begin → route → answer it ourselves, or → attempt → (retry? → wait → attempt)* → answer → finish
 *
 * The exchange decides; codecs, pools, policies and the ledger each know one thing and are asked. It ends
 * exactly once, in `finish`, whatever happens: answered, refused, timed out, or left by the client.
 */
import { type Failure, failure, Timer, type TimerOwner } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import {
  type DownstreamHandler,
  type DownstreamStream,
  grpcStatusOf,
  H,
  type HeaderList,
  type RequestHead,
  type ResponseHead,
} from '../../message/index.ts';
import type { RequestRecord } from '../../telemetry/index.ts';
import {
  afterFailure,
  afterHead,
  asGrpcReply,
  clientAddress,
  countedMs,
  drawFault,
  grpcTimeouts,
  type RetryDecision,
  remainingMs,
  resetDelayMs,
  type Timeouts,
} from '../policy/index.ts';
import type { BackendChoice, CompiledRule } from '../router/index.ts';
import type { UpstreamService } from '../upstream/index.ts';
import { admit, noteBreaker, noteLimit } from './admission.ts';
import { type Affinity, affinityOf } from './affinity.ts';
import type { Attempt, AttemptOwner } from './attempt.ts';
import { beginAttempt } from './begin-attempt.ts';
import { beginRecord } from './begin-record.ts';
import { choose } from './choose.ts';
import type { ExchangeContext, RulePolicy } from './context.ts';
import { FaultInjection, type FaultOwner } from './fault-injection.ts';
import { noteGrpcEnd, noteGrpcHead } from './grpc-status.ts';
import { answerFor, type OwnAnswer, sendAnswer } from './local-answer.ts';
import { stoodStill, timedOut } from './out-of-time.ts';
import { RequestBody } from './request-body.ts';
import { RetryPlan } from './retry-plan.ts';
import { TunnelLimits, type TunnelOwner } from './tunnel-limits.ts';
import { prepareRequest, prepareResponse } from './upstream-head.ts';

const REQUEST_TIMEOUT = 1;
const IDLE_TIMEOUT = 2;
const BACKOFF = 3;

export class Exchange implements DownstreamHandler, AttemptOwner, TunnelOwner, FaultOwner, TimerOwner {
  private readonly context: ExchangeContext;
  private readonly listener: ListenerConfig;
  private readonly head: RequestHead;
  private readonly stream: DownstreamStream;
  private readonly record: RequestRecord;
  private readonly method: string;
  private readonly accept: string | undefined;
  private readonly requestTimer = new Timer(this, REQUEST_TIMEOUT);
  private readonly idleTimer = new Timer(this, IDLE_TIMEOUT);
  private backoffTimer: Timer | null = null;
  private rule: CompiledRule<RulePolicy> | null = null;
  private backend: BackendChoice | null = null;
  private service: UpstreamService | null = null;
  private timeouts: Timeouts | null = null;
  private body: RequestBody | null = null;
  private attempt: Attempt | null = null;
  private retries: RetryPlan | null = null;
  private affinity: Affinity | null = null;
  private fault: FaultInjection | null = null;
  private answerBegun = false;
  /** From the answer on that agrees to a protocol switch: no other timeout holds any more. */
  private tunnel: TunnelLimits | null = null;
  private finished = false;

  constructor(
    context: ExchangeContext,
    listener: ListenerConfig,
    head: RequestHead,
    stream: DownstreamStream,
  ) {
    this.context = context;
    this.listener = listener;
    this.head = head;
    this.stream = stream;
    this.method = head.method;
    this.accept = head.headers.get(H.accept);
    this.record = beginRecord(context.recorder, stream.facts, head);
    context.active++;
  }

  /** Routes the request and starts its first attempt, or answers it. */
  begin(): void {
    const { head, record } = this;
    this.touch();
    const choice = choose(this.context, this.listener, head);
    this.rule = choice.rule;
    record.rule = choice.rule?.name ?? '';
    if (choice.kind === 'failed') {
      this.fail(choice.failure);
      return;
    }
    if (this.bodyTooLarge(head.contentLength)) return;
    if (choice.kind === 'answered') {
      this.answer(record.grpc ? asGrpcReply(choice.answer) : choice.answer);
      return;
    }
    const { rule, backend, service, path } = choice;
    this.backend = backend;
    this.service = service;
    record.service = service.config.name;
    record.serviceSlot = service.config.slot;
    const { trustedHops } = this.listener;
    if (trustedHops > 0) record.clientAddress = clientAddress(head.headers, this.stream.facts, trustedHops);
    prepareRequest(head, path, rule, backend, this.stream.facts, this.listener);
    record.forwardedFor = head.headers.get(H['x-forwarded-for']) ?? '';
    this.affinity = affinityOf(service, head, record, this.context.random);
    const { retry, timeouts } = rule.attached;
    this.timeouts = record.grpc ? grpcTimeouts(timeouts, head.headers) : timeouts.http;
    if (this.timeouts.fromStart) this.startRequestTimer(this.timeouts);
    this.retries = new RetryPlan(retry, service);
    this.body = new RequestBody(retry.config.attempts > 0 ? retry.config.replayBytes : 0);
    const fault = drawFault(rule.attached.fault, this.context.random);
    if (fault !== null) this.fault = new FaultInjection(this, fault, record, this.context);
    if (head.body === 'none' || head.body === 'tunnel') this.requestComplete(null);
    service.recordRequest();
    if (this.fault === null) this.startAttempt();
    else if (!this.fault.holds) this.afterFault(this.fault);
  }

  // The client's side.

  onBody(chunk: Buffer): void {
    this.touch();
    this.record.requestBytes += chunk.length;
    if (this.tunnel !== null) {
      if (this.attempt?.sendTunnel(chunk) === false) this.stream.pause();
      return;
    }
    if (this.bodyTooLarge(this.record.requestBytes) || this.body === null) return;
    this.body.push(chunk);
    this.attempt?.onBodyProgress();
    this.body?.own();
    if (this.body?.full === true) this.stream.pause();
  }

  onEnd(trailers: HeaderList | null): void {
    this.touch();
    if (this.tunnel !== null) {
      this.attempt?.endTunnel();
      if (this.attempt?.over === true) this.finish();
      return;
    }
    if (this.body === null || this.body.complete) return;
    this.requestComplete(trailers);
    this.attempt?.onBodyProgress();
  }

  onWritable(): void {
    this.touch();
    this.attempt?.resumeAnswer();
  }

  onRefused(why: Failure): void {
    this.attempt?.cancel(why, 'abandoned');
    this.fail(why);
  }

  onAborted(why: Failure): void {
    this.attempt?.cancel(why, 'abandoned');
    this.record.failure ??= why;
    this.finish();
  }

  // The attempt's side.

  onAttemptInformational(head: ResponseHead): void {
    this.touch();
    this.stream.sendInformational(head);
  }

  onAttemptHead(head: ResponseHead): void {
    this.touch();
    const { attempt, rule, record } = this;
    const policy = (rule as CompiledRule<RulePolicy>).attached.retry;
    if (record.grpc && attempt !== null) noteGrpcHead(attempt.record, head);
    const decision = afterHead(policy, head, this.method);
    const resetMs = decision.retry
      ? resetDelayMs(policy.config, head.headers, this.context.clock.wallMs(), this.context.random())
      : -1;
    if (decision.retry && attempt !== null && this.scheduleRetry(attempt, decision, resetMs)) {
      this.attempt = null;
      attempt.discardAnswer();
      return;
    }
    record.responseStartMs = this.context.clock.nowMs();
    record.status = head.status;
    this.answerBegun = true;
    if (head.body === 'tunnel') this.becomeTunnel();
    this.body?.giveUpReplay();
    prepareResponse(head, rule as CompiledRule<RulePolicy>, this.backend as BackendChoice, record.requestId);
    this.affinity?.tell(head);
    this.stream.sendHead(head);
  }

  onAttemptBody(chunk: Buffer): void {
    this.touch();
    this.record.responseBytes += chunk.length;
    if (!this.stream.sendBody(chunk)) this.attempt?.pauseAnswer();
  }

  onAttemptEnd(trailers: HeaderList | null): void {
    if (this.record.grpc && this.attempt !== null) noteGrpcEnd(this.record, this.attempt.record, trailers);
    this.stream.sendEnd(trailers);
    // A tunnel's directions end one by one.
    if (this.attempt?.over === false) this.touch();
    else this.finish();
  }

  onAttemptWritable(): void {
    this.touch();
    if (this.tunnel !== null || this.body?.full === false) this.stream.resume();
  }

  onAttemptFailed(why: Failure): void {
    const { attempt } = this;
    this.attempt = null;
    if (this.finished) return;
    if (!this.answerBegun && attempt !== null) {
      const policy = (this.rule as CompiledRule<RulePolicy>).attached.retry;
      const decision = afterFailure(policy, why, this.method, attempt.started, attempt.record.reused);
      if (decision.retry && this.scheduleRetry(attempt, decision, -1)) return;
    }
    this.fail(why);
  }

  onTunnelOver(why: Failure): void {
    this.giveUp(why);
  }

  onDelayOver(): void {
    const timeouts = this.timeouts as Timeouts;
    if (!timeouts.fromStart && this.record.requestEndMs >= 0) this.startRequestTimer(timeouts);
    this.afterFault(this.fault as FaultInjection);
  }

  onTimer(tag: number): void {
    if (tag === BACKOFF) this.startAttempt();
    else if (tag === REQUEST_TIMEOUT) this.giveUp(timedOut(this.timeouts as Timeouts, this.record));
    else this.giveUp(stoodStill(this.body, this.listener.idleTimeoutMs));
  }

  // Attempts and retries.

  private afterFault(fault: FaultInjection): void {
    const reply = fault.abort(this.accept);
    if (reply === null) this.startAttempt();
    else this.answer(reply);
  }

  private startAttempt(): void {
    const { context, record, head } = this;
    const service = this.service as UpstreamService;
    const rule = this.rule as CompiledRule<RulePolicy>;
    const body = this.body as RequestBody;
    const retries = this.retries as RetryPlan;
    const timeouts = this.timeouts as Timeouts;
    const avoided = rule.attached.retry.config.hostSelectionAttempts > 0 ? retries.tried : [];
    const { picked, failure: refused } = admit(service, avoided, this.affinity, record);
    if (picked === null) {
      retries.drop(service.config.slot);
      this.fail(refused);
      return;
    }
    const elapsedMs = this.elapsedMs();
    const attempted = { head, body, record, retries, timeouts, elapsedMs };
    this.attempt = beginAttempt(this, context, service, picked, attempted);
    this.attempt.start();
  }

  /** Arranges the attempt after `last`; false when something forbids it, which the record then says. */
  private scheduleRetry(last: Attempt, decision: RetryDecision, resetMs: number): boolean {
    const { context, record } = this;
    const retries = this.retries as RetryPlan;
    record.retryRefused = retries.plan(
      decision,
      record.attempts.length,
      this.body?.restartable === true,
      resetMs,
      remainingMs(this.timeouts as Timeouts, this.elapsedMs()),
      context.random(),
    );
    if (record.retryRefused !== '') return false;
    retries.tried.push(last.endpointIndex);
    this.backoffTimer ??= new Timer(this, BACKOFF);
    context.wheel.arm(this.backoffTimer, retries.waitMs);
    return true;
  }

  private requestComplete(trailers: HeaderList | null): void {
    const timeouts = this.timeouts as Timeouts;
    this.body?.end(trailers);
    this.record.requestEndMs = this.context.clock.nowMs();
    if (!timeouts.fromStart && this.fault?.holds !== true) this.startRequestTimer(timeouts);
  }

  private startRequestTimer({ requestMs }: Timeouts): void {
    if (requestMs > 0) this.context.wheel.arm(this.requestTimer, requestMs);
  }

  /** Milliseconds that count against the request timeout. */
  private elapsedMs(): number {
    const { startMs, requestEndMs } = this.record;
    const nowMs = this.context.clock.nowMs() - (this.fault?.uncountedMs ?? 0);
    return countedMs(this.timeouts as Timeouts, startMs, requestEndMs, nowMs);
  }

  private bodyTooLarge(bytes: number): boolean {
    const { maxRequestBytes } = this.listener;
    if (maxRequestBytes === 0 || bytes <= maxRequestBytes || this.finished) return false;
    noteLimit(this.record, 'maxRequestBytes', maxRequestBytes, bytes);
    this.giveUp(failure('body-too-large', `${bytes} of ${maxRequestBytes} bytes`));
    return true;
  }

  // Answers of our own, and the end.

  /** Ends the request with this failure, an attempt under way included. */
  private giveUp(why: Failure): void {
    if (why.origin === 'downstream') this.stream.closeAfter();
    this.attempt?.cancel(why, why.kind === 'request-timeout' ? 'localOrigin' : 'abandoned');
    this.attempt = null;
    this.fail(why);
  }

  private fail(why: Failure): void {
    if (this.finished) return;
    this.record.failure = why;
    if (why.kind === 'max-pending' && this.service !== null)
      noteBreaker(this.record, this.service, 'pending');
    if (this.answerBegun || why.status === 0) {
      this.stream.abort(why);
      this.finish();
      return;
    }
    this.answer(answerFor(why, this.record, this.accept));
  }

  private answer(reply: OwnAnswer): void {
    this.answerBegun = true;
    this.record.status = reply.status;
    if (this.record.grpc) this.record.grpcStatus = grpcStatusOf(reply.headers);
    this.record.responseBytes = sendAnswer(
      this.stream,
      reply,
      this.method,
      this.record.requestId,
      this.context.clock.wallMs(),
    );
    this.finish();
  }

  private becomeTunnel(): void {
    const { context, listener, record } = this;
    context.wheel.cancel(this.requestTimer);
    context.wheel.cancel(this.idleTimer);
    this.tunnel = new TunnelLimits(this, context.wheel, listener, record);
  }

  private touch(): void {
    const { idleTimeoutMs } = this.listener;
    if (this.tunnel !== null) this.tunnel.touch();
    else if (idleTimeoutMs > 0 && !this.finished) this.context.wheel.arm(this.idleTimer, idleTimeoutMs);
  }

  private finish(): void {
    if (this.finished) return;
    this.finished = true;
    const { context, record } = this;
    context.wheel.cancel(this.requestTimer);
    context.wheel.cancel(this.idleTimer);
    this.tunnel?.end();
    this.fault?.end();
    if (this.backoffTimer !== null) context.wheel.cancel(this.backoffTimer);
    this.retries?.drop(record.serviceSlot);
    this.attempt = null;
    this.body = null;
    record.endMs = context.clock.nowMs();
    context.active--;
    context.recorder.finish(record);
  }
}
