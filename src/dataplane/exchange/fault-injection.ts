/**
 * A fault on purpose, done to one request: it is held up for a while, which no timeout counts but a deadline of the client's
 * own, and then sent on, or answered without a backend.
 */
import {
  type Clock,
  type Failure,
  failure,
  Timer,
  type TimerOwner,
  type TimerWheel,
} from '../../base/index.ts';
import { H } from '../../message/index.ts';
import type { RequestRecord } from '../../telemetry/index.ts';
import type { DrawnFault } from '../policy/index.ts';
import { answerFor, type OwnAnswer } from './local-answer.ts';

export interface FaultOwner {
  /** It has been held up long enough. */
  onDelayOver(): void;
}

export class FaultInjection implements TimerOwner {
  /** The request is held up. */
  holds: boolean;
  /** Time since the end of the request that counts against nothing, in ms. */
  uncountedMs = 0;
  private readonly owner: FaultOwner;
  private readonly fault: DrawnFault;
  private readonly record: RequestRecord;
  private readonly clock: Clock;
  private readonly wheel: TimerWheel;
  private readonly timer = new Timer(this, 0);
  private readonly startMs: number;

  constructor(
    owner: FaultOwner,
    fault: DrawnFault,
    record: RequestRecord,
    { clock, wheel }: { readonly clock: Clock; readonly wheel: TimerWheel },
  ) {
    this.owner = owner;
    this.fault = fault;
    this.record = record;
    this.clock = clock;
    this.wheel = wheel;
    this.startMs = clock.nowMs();
    this.holds = fault.delayMs > 0;
    if (!this.holds) return;
    record.injectedDelayMs = fault.delayMs;
    wheel.arm(this.timer, fault.delayMs);
  }

  onTimer(): void {
    const { requestEndMs } = this.record;
    this.holds = false;
    if (requestEndMs >= 0) this.uncountedMs = this.clock.nowMs() - Math.max(this.startMs, requestEndMs);
    this.owner.onDelayOver();
  }

  /** The answer in place of a backend's, which the record is told of; null: the request is sent on. */
  abort(accept: string | undefined): OwnAnswer | null {
    const { fault, record } = this;
    if (fault.abort === null) return null;
    const { status, grpcStatus } = fault.abort;
    const why: Failure = { ...failure('fault-injected'), status };
    record.failure = why;
    const reply = answerFor(why, record, accept);
    if (record.grpc && grpcStatus !== null) reply.headers.setClean(H['grpc-status'], String(grpcStatus));
    return reply;
  }

  /** The request is over. */
  end(): void {
    this.wheel.cancel(this.timer);
  }
}
