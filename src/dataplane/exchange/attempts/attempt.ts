/**
 * One attempt to have a request answered by one endpoint: from the breaker to the last byte of the
 * answer. It holds what the attempt holds (a place under maxRequests, an endpoint's active request, a
 * connection or a place in the queue for one) and gives each back exactly once, whatever ends it.
 *
 * States: `waiting` (for a connection) → `sending` (head is out) → `answering` (head of the answer is in)
 * → `ended`. What an outcome means for the request is its owner's decision.
 */
import {
  type Clock,
  type Failure,
  failure,
  Timer,
  type TimerOwner,
  type TimerWheel,
} from '../../../base/index.ts';
import type { EndpointConfig } from '../../../config/index.ts';
import {
  type ConnectionFacts,
  GRPC,
  grpcStatusOf,
  type HeaderList,
  type RequestHead,
  type ResponseHead,
  type UpstreamHandler,
} from '../../../message/index.ts';
import type { AttemptRecord } from '../../../telemetry/index.ts';
import type {
  AttemptOutcome,
  AttemptStream,
  ConnectionWaiter,
  PickedEndpoint,
  UpstreamService,
} from '../../upstream/index.ts';
import { outcomeOf, outcomeOfCall } from './outcome.ts';
import type { BodyCursor, RequestBody } from './request-body.ts';

/** What its owner is told; `onAttemptEnd` and `onAttemptFailed` are its last words. */
export interface AttemptOwner {
  /** It has a connection: the head, which attempts share, is about to be written there. */
  onAttemptConnected(attempt: Attempt): void;
  onAttemptInformational(attempt: Attempt, head: ResponseHead): void;
  onAttemptHead(attempt: Attempt, head: ResponseHead): void;
  onAttemptBody(attempt: Attempt, chunk: Buffer): void;
  onAttemptEnd(attempt: Attempt, trailers: HeaderList | null): void;
  onAttemptFailed(attempt: Attempt, why: Failure): void;
  /** More of the request body may be sent. */
  onAttemptWritable(attempt: Attempt): void;
  /** The per-try timeout has passed. True: it may go on all the same, because another attempt will race it. */
  onAttemptOverdue(attempt: Attempt): boolean;
}

/** What an attempt is made of, besides its endpoint. */
export interface Attempted {
  /** Whose request it is. */
  readonly client: ConnectionFacts;
  readonly service: UpstreamService;
  readonly head: RequestHead;
  readonly body: RequestBody;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  /** It is a gRPC call, which ends with a status of its own. */
  readonly grpc: boolean;
  /** The client has said by when a call must be over. */
  readonly clientDeadline: boolean;
}

type State = 'waiting' | 'sending' | 'answering' | 'ended';

export class Attempt implements ConnectionWaiter, UpstreamHandler, TimerOwner {
  private picked: PickedEndpoint;
  private readonly tried: readonly number[];
  readonly record: AttemptRecord;
  readonly client: ConnectionFacts;
  private readonly owner: AttemptOwner;
  private readonly service: UpstreamService;
  /** The slot at the start: a later configuration must not change whose counts are given back. */
  private readonly slot: number;
  private readonly holdsRetry: boolean;
  private readonly wheel: TimerWheel;
  private readonly clock: Clock;
  private readonly head: RequestHead;
  private readonly body: RequestBody;
  private readonly cursor: BodyCursor;
  private readonly timer: Timer;
  private readonly tryTimeoutMs: number;
  private readonly grpc: boolean;
  private readonly clientDeadline: boolean;
  private stream: AttemptStream | null = null;
  private state: State = 'waiting';
  private reported = false;
  /** The answer has begun; its gRPC status, which says how the call went, is still to come. */
  private awaitsStatus = false;
  /** What the stream last said of the request body; see RequestBody.sendTo. */
  private sending: 'ended' | 'full' | 'open' = 'open';
  private sent = false;
  /** -1: not yet. */
  private sentMs = -1;
  /** After 101 raw bytes go both ways, and each direction ends on its own. */
  private tunnelled = false;
  private clientEnded = false;
  private endpointEnded = false;

  /**
   * `tried`: endpoints that it must not move to. `holdsRetry`: a unit of maxRetries is given back at its end.
   * `tryTimeoutMs`: 0 for none of its own.
   */
  constructor(
    owner: AttemptOwner,
    { client, service, head, body, wheel, clock, grpc, clientDeadline }: Attempted,
    picked: PickedEndpoint,
    tried: readonly number[],
    holdsRetry: boolean,
    record: AttemptRecord,
    tryTimeoutMs: number,
  ) {
    this.owner = owner;
    this.client = client;
    this.service = service;
    this.slot = service.config.slot;
    this.picked = picked;
    this.tried = tried;
    this.holdsRetry = holdsRetry;
    this.record = record;
    this.head = head;
    this.body = body;
    this.cursor = body.open();
    this.wheel = wheel;
    this.clock = clock;
    this.grpc = grpc;
    this.clientDeadline = clientDeadline;
    this.tryTimeoutMs = tryTimeoutMs;
    this.timer = new Timer(this, 0);
  }

  /** Asks for a connection; outcomes come as calls to the owner, possibly before this returns. */
  start(): void {
    if (this.body.complete) this.armTryTimeout();
    const refused = this.service.checkout(this);
    if (refused !== null) this.fail(refused, 'abandoned');
  }

  /** Index of the endpoint in the service's list. */
  get endpointIndex(): number {
    return this.picked.index;
  }

  /** A byte of the request may have reached the endpoint. */
  get started(): boolean {
    return this.sent;
  }

  /** Its last word has been said; a tunnel's when both sides have ended. */
  get over(): boolean {
    return this.state === 'ended';
  }

  private get undecided(): boolean {
    return this.state === 'waiting' || this.state === 'sending';
  }

  /** More of the request body has come, or its end. */
  onBodyProgress(): void {
    if (this.body.complete && this.undecided) this.armTryTimeout();
    this.pumpBody();
  }

  /** After a 101 answer: raw bytes of the client. */
  sendTunnel(chunk: Buffer): boolean {
    const { stream } = this;
    if (stream === null || stream.sendBody(chunk)) return true;
    this.body.waits(this.cursor, stream.waitingBytes);
    return false;
  }

  endTunnel(): void {
    this.clientEnded = true;
    this.stream?.sendEnd(null);
    if (this.endpointEnded) this.end('success');
  }

  pauseAnswer(): void {
    this.stream?.pause();
  }

  resumeAnswer(): void {
    this.stream?.resume();
  }

  /** Ends it from our side: the client left, time is up, or the answer can't be delivered. */
  cancel(why: Failure | null, outcome: AttemptOutcome): void {
    if (this.state === 'ended') return;
    const { stream } = this;
    const wasWaiting = this.state === 'waiting';
    if (why !== null) this.record.failure = why;
    // An endpoint that was not reached yet can't be blamed.
    this.end(wasWaiting ? 'abandoned' : outcome);
    if (wasWaiting) this.service.abandonCheckout(this);
    else stream?.cancel();
  }

  /** The answer will not be used (a retry follows): its rest is read and dropped if it is short. */
  discardAnswer(): void {
    const { stream } = this;
    this.end('abandoned');
    stream?.discard();
  }

  // ConnectionWaiter

  get endpoint(): EndpointConfig {
    return this.picked.endpoint;
  }

  accepts(endpointSlot: number): boolean {
    return (
      endpointSlot === this.picked.endpoint.slot ||
      this.service.mayMove(this.picked, endpointSlot, this.tried)
    );
  }

  onConnection(stream: AttemptStream): void {
    if (stream.endpointSlot !== this.picked.endpoint.slot) {
      this.picked = this.service.move(this.picked, stream.endpointSlot);
      this.record.endpoint = stream.endpointAddress;
    }
    this.stream = stream;
    this.state = 'sending';
    stream.begin(this);
    this.sentMs = this.clock.nowMs();
    this.record.connectMs = this.sentMs - this.record.startMs;
    this.record.reused = stream.reused;
    this.sent = true;
    this.owner.onAttemptConnected(this);
    stream.sendHead(this.head);
    this.pumpBody();
    this.owner.onAttemptWritable(this);
  }

  onConnectFailed(why: Failure): void {
    // What this proxy lacks is no fault of the endpoint.
    this.fail(why, why.origin === 'proxy' ? 'abandoned' : 'localOrigin');
  }

  onDisplaced(why: Failure): void {
    this.fail(why, 'abandoned');
  }

  // UpstreamHandler

  onInformational(head: ResponseHead): void {
    this.owner.onAttemptInformational(this, head);
  }

  onHead(head: ResponseHead): void {
    this.state = 'answering';
    this.wheel.cancel(this.timer);
    this.record.status = head.status;
    this.tunnelled = head.body === 'tunnel';
    this.service.heedHealth(this.picked, head.headers);
    this.reportHead(head);
    this.owner.onAttemptHead(this, head);
  }

  onBody(chunk: Buffer): void {
    this.owner.onAttemptBody(this, chunk);
  }

  onEnd(trailers: HeaderList | null): void {
    this.endpointEnded = true;
    if (this.awaitsStatus) {
      const status = trailers === null ? -1 : grpcStatusOf(trailers);
      // Without one the client makes UNKNOWN of it.
      this.report(outcomeOfCall(status < 0 ? GRPC.unknown : status, this.clientDeadline));
    }
    if (!this.tunnelled || this.clientEnded) this.end('success');
    this.owner.onAttemptEnd(this, trailers);
  }

  onWritable(): void {
    if (this.sending === 'full') this.sending = 'open';
    this.body.waits(this.cursor, 0);
    this.pumpBody();
    this.owner.onAttemptWritable(this);
  }

  onFailed(why: Failure): void {
    this.fail(why, 'localOrigin');
  }

  onTimer(): void {
    if (this.owner.onAttemptOverdue(this)) {
      this.report(this.sent ? 'localOrigin' : 'abandoned');
      return;
    }
    const why = failure('per-try-timeout', `${this.tryTimeoutMs} ms`);
    const { stream } = this;
    const wasWaiting = this.state === 'waiting';
    if (wasWaiting) this.service.abandonCheckout(this);
    else stream?.cancel();
    this.fail(why, wasWaiting ? 'abandoned' : 'localOrigin');
  }

  private pumpBody(): void {
    if (this.stream === null || this.sending !== 'open' || this.state === 'ended') return;
    this.sending = this.body.sendTo(this.stream, this.cursor);
  }

  private armTryTimeout(): void {
    if (this.tryTimeoutMs > 0 && !this.timer.armed) this.wheel.arm(this.timer, this.tryTimeoutMs);
  }

  private fail(why: Failure, outcome: AttemptOutcome): void {
    if (this.state === 'ended') return;
    this.record.failure = why;
    this.end(outcome);
    this.owner.onAttemptFailed(this, why);
  }

  private reportHead(head: ResponseHead): void {
    if (!this.grpc || head.status !== 200) {
      this.report(outcomeOf(head.status));
      return;
    }
    const status = grpcStatusOf(head.headers);
    if (status >= 0) this.report(outcomeOfCall(status, this.clientDeadline));
    else if (!this.reported) {
      this.awaitsStatus = true;
      this.picked = this.service.begun(this.picked, this.sentMs);
    }
  }

  private report(outcome: AttemptOutcome): void {
    if (this.reported) return;
    this.reported = true;
    // Who leaves a call that was being answered, such as a stream without an end, has seen nothing wrong.
    const left = this.awaitsStatus && outcome === 'abandoned' && this.state === 'ended';
    const sentMs = this.awaitsStatus ? -1 : this.sentMs;
    const ejected = this.service.report(this.picked, left ? 'success' : outcome, sentMs);
    this.record.ejectedEndpoint = ejected;
  }

  private end(outcome: AttemptOutcome): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.stream = null;
    this.wheel.cancel(this.timer);
    this.body.close(this.cursor);
    this.record.endMs = this.clock.nowMs();
    this.report(outcome);
    this.service.releaseEndpoint(this.picked);
    this.service.releaseRequest(this.slot);
    if (this.holdsRetry) this.service.releaseRetry(this.slot);
  }
}
