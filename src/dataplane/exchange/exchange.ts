/**
 * One request's life, from its head to the last byte of its answer. Read from top to bottom:
 *
 *   begin → route → answer it ourselves, or → gates (gates/) → attempts (attempts/) → answer → finish
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
import { asGrpcReply, type CallerFields, countedMs, grpcTimeouts, type Timeouts } from '../policy/index.ts';
import type { CompiledRule } from '../router/index.ts';
import type { UpstreamService } from '../upstream/index.ts';
import { AnswerFields } from './answer-fields.ts';
import { AnswerPacer, type PacerOwner } from './answer-pacer.ts';
import { noteBreaker, noteLimit } from './attempts/admission.ts';
import { type Affinity, affinityOf } from './attempts/affinity.ts';
import { RequestBody } from './attempts/request-body.ts';
import { Tries, type TriesOwner } from './attempts/tries.ts';
import { beginRecord } from './begin-record.ts';
import { choose, type Routed } from './choose.ts';
import { type ExchangeContext, policyFor, type RulePolicy } from './context.ts';
import { corsOf } from './cors.ts';
import { type GatedRequest, Gates, type GatesOwner } from './gates/gates.ts';
import { shed } from './gates/shed.ts';
import { answerFor, type OwnAnswer, sendAnswer } from './local-answer.ts';
import { Mirrors } from './mirror.ts';
import { stoodStill, timedOut } from './out-of-time.ts';
import { decorateAnswer, decorateFailure } from './proxy-fields.ts';
import { TunnelLimits, type TunnelOwner } from './tunnel-limits.ts';
import { prepareRequest, prepareResponse } from './upstream-head.ts';

const REQUEST_TIMEOUT = 1;
const IDLE_TIMEOUT = 2;

export class Exchange
  implements DownstreamHandler, GatedRequest, GatesOwner, TriesOwner, PacerOwner, TunnelOwner, TimerOwner
{
  readonly context: ExchangeContext;
  readonly listener: ListenerConfig;
  readonly head: RequestHead;
  readonly record: RequestRecord;
  private readonly stream: DownstreamStream;
  /** It holds one of its caller's places. */
  private readonly placed: boolean;
  /** What a trusted caller wants for this request; null: nothing. */
  private readonly asks: CallerFields | null;
  private readonly accept: string | undefined;
  private readonly requestTimer = new Timer(this, REQUEST_TIMEOUT);
  private readonly idleTimer = new Timer(this, IDLE_TIMEOUT);
  /** Null: it is not sent on, or not yet. */
  private routed: Routed | null = null;
  /** The rule's, with what a trusted caller wants. */
  private policy: RulePolicy | null = null;
  private timeouts: Timeouts | null = null;
  /** 0: no bound. */
  private maxRequestBytes: number;
  private affinity: Affinity | null = null;
  private body: RequestBody | null = null;
  private mirrors: Mirrors | null = null;
  private gates: Gates | null = null;
  private tries: Tries | null = null;
  private answerFields: AnswerFields | null = null;
  /** Null: the answer goes out as fast as it comes. */
  private pacer: AnswerPacer | null = null;
  private answerBegun = false;
  /** From the answer on that agrees to a protocol switch: no other timeout holds any more. */
  private tunnel: TunnelLimits | null = null;
  private finished = false;

  constructor(
    context: ExchangeContext,
    listener: ListenerConfig,
    head: RequestHead,
    stream: DownstreamStream,
    asks: CallerFields | null,
    placed: boolean,
  ) {
    this.context = context;
    this.listener = listener;
    this.head = head;
    this.stream = stream;
    this.asks = asks;
    this.placed = placed;
    this.maxRequestBytes = listener.maxRequestBytes;
    this.accept = head.headers.get(H.accept);
    this.record = beginRecord(context.recorder, stream.facts, head);
    if (asks !== null) this.record.operation = asks.operation;
    context.active++;
  }

  /** Routes the request and sends it on, or answers it. */
  begin(): void {
    const { head, record } = this;
    this.touch();
    const choice = choose(this.context, this.listener, head);
    record.rule = choice.rule?.name ?? '';
    this.maxRequestBytes = choice.rule?.config.maxRequestBytes ?? this.maxRequestBytes;
    const cors = corsOf(choice.rule, head, record);
    if (cors !== null) this.answerFields = new AnswerFields(cors);
    if (cors !== null && cors.reply !== null) {
      this.answer(cors.reply);
      return;
    }
    if (choice.kind === 'failed' || shed(choice.rule, this)) {
      this.fail(choice.kind === 'failed' ? choice.failure : failure('overload'));
      return;
    }
    if (this.bodyTooLarge(head.contentLength)) return;
    if (choice.kind === 'answered') {
      this.answer(record.grpc ? asGrpcReply(choice.answer) : choice.answer);
      return;
    }
    this.routed = choice;
    const { rule, backend, service } = choice;
    prepareRequest(head, choice, record, this.listener);
    this.affinity = affinityOf(service, backend.subset, head, record, this.context);
    const policy = policyFor(rule.attached, this.asks);
    const { retry, timeouts, hedging } = policy;
    this.policy = policy;
    this.timeouts = record.grpc ? grpcTimeouts(timeouts, head.headers) : timeouts.http;
    if (this.timeouts.fromStart) this.startRequestTimer(this.timeouts);
    const again = retry.config.attempts > 0 || hedging !== null;
    const account = head.body === 'none' ? null : this.context.callers.accountOf(this.stream.facts.caller);
    this.body = new RequestBody(again ? retry.config.replayBytes : 0, account);
    this.mirrors = Mirrors.of(this.context, rule.attached.mirrors, head, record, this.timeouts.requestMs);
    this.gates = Gates.of(this, this);
    if (head.body === 'none' || head.body === 'tunnel') this.requestComplete(null);
    service.recordRequest();
    if (this.gates === null) this.sendOn();
    else this.gates.enter();
  }

  // At the gates.

  get rule(): CompiledRule<RulePolicy> {
    return (this.routed as Routed).rule;
  }

  get service(): UpstreamService {
    return (this.routed as Routed).service;
  }

  addAnswerField(name: string, value: string): void {
    this.answerFields ??= new AnswerFields(null);
    this.answerFields.add(name, value);
  }

  paceAnswer(kbps: number): void {
    this.pacer = new AnswerPacer(this, this.stream, this.context, kbps);
  }

  onGatesPassed(): void {
    const timeouts = this.timeouts as Timeouts;
    if (!timeouts.fromStart && this.record.requestEndMs >= 0) this.startRequestTimer(timeouts);
    this.sendOn();
  }

  onGateRefused(why: Failure): void {
    this.fail(why);
  }

  onGateAnswered(answer: OwnAnswer, because: Failure | null): void {
    this.record.failure = because;
    this.answer(answer);
  }

  // The client's side.

  onBody(chunk: Buffer): void {
    this.touch();
    this.record.requestBytes += chunk.length;
    if (this.tunnel !== null) {
      if (this.tries?.sendTunnel(chunk) === false) this.stream.pause();
      return;
    }
    if (this.bodyTooLarge(this.record.requestBytes) || this.body === null) return;
    this.mirrors?.onBody(chunk);
    this.body.push(chunk);
    this.tries?.onBodyProgress();
    this.body?.own();
    if (this.body?.full === true) this.stream.pause();
  }

  onEnd(trailers: HeaderList | null): void {
    this.touch();
    if (this.tunnel !== null) {
      this.tries?.endTunnel();
      if (this.tries?.over === true) this.finish();
      return;
    }
    if (this.body === null || this.body.complete) return;
    this.requestComplete(trailers);
    this.tries?.onBodyProgress();
  }

  onWritable(): void {
    this.touch();
    if (this.pacer === null) this.tries?.resumeAnswer();
    else this.pacer.onWritable();
  }

  onRefused(why: Failure): void {
    this.tries?.cancel(why, 'abandoned');
    this.fail(why);
  }

  onAborted(why: Failure): void {
    this.tries?.cancel(why, 'abandoned');
    this.record.failure ??= why;
    this.finish();
  }

  // The endpoint's side.

  onInformational(head: ResponseHead): void {
    this.touch();
    this.stream.sendInformational(head);
  }

  onAnswerHead(head: ResponseHead): void {
    this.touch();
    const { record } = this;
    const { rule, backend } = this.routed as Routed;
    record.responseStartMs = this.context.clock.nowMs();
    record.status = head.status;
    this.answerBegun = true;
    if (head.body === 'tunnel') this.becomeTunnel();
    prepareResponse(head, rule, backend, record.requestId);
    decorateAnswer(head, record, this.listener);
    this.affinity?.tell(head, this.tries?.endpoint ?? '', this.context.clock.wallMs());
    this.answerFields?.writeTo(head.headers);
    this.stream.sendHead(head);
  }

  onAnswerBody(chunk: Buffer): void {
    this.touch();
    this.record.responseBytes += chunk.length;
    const more = this.pacer === null ? this.stream.sendBody(chunk) : this.pacer.push(chunk);
    if (!more) this.tries?.pauseAnswer();
  }

  onAnswerEnd(trailers: HeaderList | null): void {
    if (this.pacer !== null) {
      this.context.wheel.cancel(this.requestTimer);
      this.pacer.end(trailers);
      return;
    }
    this.stream.sendEnd(trailers);
    // A tunnel's directions end one by one.
    if (this.tries?.over === false) this.touch();
    else this.finish();
  }

  onPaceFree(): void {
    this.tries?.resumeAnswer();
  }

  onPaceEnd(): void {
    this.finish();
  }

  onTriesWritable(): void {
    this.touch();
    if (this.tunnel !== null || this.body?.full === false) this.stream.resume();
  }

  onTriesFailed(why: Failure): void {
    this.fail(why);
  }

  onTunnelOver(why: Failure): void {
    this.giveUp(why);
  }

  onTimer(tag: number): void {
    if (tag === REQUEST_TIMEOUT) this.giveUp(timedOut(this.timeouts as Timeouts, this.record));
    else this.giveUp(stoodStill(this.body, this.listener.idleTimeoutMs));
  }

  elapsedMs(): number {
    const { startMs, requestEndMs } = this.record;
    const nowMs = this.context.clock.nowMs() - (this.gates?.uncountedMs ?? 0);
    return countedMs(this.timeouts as Timeouts, startMs, requestEndMs, nowMs);
  }

  // The request, and how long it may take.

  private sendOn(): void {
    const { context, head, record, service, affinity } = this;
    const body = this.body as RequestBody;
    const timeouts = this.timeouts as Timeouts;
    const policy = this.policy as RulePolicy;
    const says = this.listener.proxyHeaders;
    this.mirrors?.start();
    this.tries = new Tries(this, context, { head, body, record, service, policy, timeouts, affinity, says });
    this.tries.start();
  }

  private requestComplete(trailers: HeaderList | null): void {
    const timeouts = this.timeouts as Timeouts;
    this.body?.end(trailers);
    this.mirrors?.onEnd(trailers);
    this.record.requestEndMs = this.context.clock.nowMs();
    if (!timeouts.fromStart && this.gates?.passed !== false) this.startRequestTimer(timeouts);
  }

  private startRequestTimer({ requestMs }: Timeouts): void {
    if (requestMs > 0) this.context.wheel.arm(this.requestTimer, requestMs);
  }

  private bodyTooLarge(bytes: number): boolean {
    const { maxRequestBytes } = this;
    if (maxRequestBytes === 0 || bytes <= maxRequestBytes || this.finished) return false;
    noteLimit(this.record, 'maxRequestBytes', maxRequestBytes, bytes);
    this.giveUp(failure('body-too-large', `${bytes} of ${maxRequestBytes} bytes`));
    return true;
  }

  // Answers of our own, and the end.

  /** Ends the request with this failure, an attempt under way included. */
  private giveUp(why: Failure): void {
    if (why.origin === 'downstream') this.stream.closeAfter();
    this.tries?.cancel(why, why.kind === 'request-timeout' ? 'localOrigin' : 'abandoned');
    this.fail(why);
  }

  private fail(why: Failure): void {
    if (this.finished) return;
    this.record.failure = why;
    if (why.kind === 'max-pending' && this.routed !== null) noteBreaker(this.record, this.service, 'pending');
    if (this.answerBegun || why.status === 0) {
      this.stream.abort(why);
      this.finish();
      return;
    }
    const answer = answerFor(why, this.record, this.accept);
    decorateFailure(answer, why, this.record, this.listener);
    this.answer(answer);
  }

  private answer(reply: OwnAnswer): void {
    this.answerBegun = true;
    this.record.status = reply.status;
    if (this.record.grpc) this.record.grpcStatus = grpcStatusOf(reply.headers);
    this.answerFields?.writeTo(reply.headers);
    this.record.responseBytes = sendAnswer(
      this.stream,
      reply,
      this.record.method,
      this.record.requestId,
      this.context.clock.wallMs(),
    );
    this.finish();
  }

  private becomeTunnel(): void {
    const { context, listener, record } = this;
    this.pacer = null;
    context.wheel.cancel(this.requestTimer);
    context.wheel.cancel(this.idleTimer);
    this.tunnel = new TunnelLimits(this, context.wheel, listener, record);
  }

  touch(): void {
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
    this.gates?.end();
    this.pacer?.stop();
    this.tries?.end();
    this.mirrors?.leave();
    this.body?.release();
    this.body = null;
    if (this.placed) context.callers.endRequest(this.stream.facts.caller);
    record.endMs = context.clock.nowMs();
    context.active--;
    context.recorder.finish(record);
  }
}
