/**
 * A fault on purpose, done to one request: it is held up for a while, and then sent on, or answered without a backend; or its
 * answer comes slowly.
 */
import { type Failure, failure, Timer, type TimerOwner } from '../../../base/index.ts';
import { H } from '../../../message/index.ts';
import { type DrawnFault, drawFault } from '../../policy/index.ts';
import { answerFor } from '../local-answer.ts';
import type { Gate, GatedRequest, GateKeeper, Passage } from './gates.ts';

/** Null: nothing is done to this request. */
export function faultGate(request: GatedRequest): Gate | null {
  const { rule, head, record, context } = request;
  const fault = drawFault(rule.attached.fault, head.headers, record.grpc, context.random);
  if (fault === null) return null;
  record.responseKbps = fault.responseKbps;
  if (fault.responseKbps > 0) request.paceAnswer(fault.responseKbps);
  return fault.delayMs > 0 || fault.abort !== null ? new FaultInjection(fault, request) : null;
}

class FaultInjection implements Gate, TimerOwner {
  private readonly fault: DrawnFault;
  private readonly request: GatedRequest;
  private readonly timer = new Timer(this, 0);
  private keeper: GateKeeper | null = null;

  constructor(fault: DrawnFault, request: GatedRequest) {
    this.fault = fault;
    this.request = request;
  }

  enter(keeper: GateKeeper): Passage {
    const { delayMs } = this.fault;
    if (delayMs === 0) return this.afterDelay();
    this.keeper = keeper;
    this.request.record.injectedDelayMs = delayMs;
    this.request.context.wheel.arm(this.timer, delayMs);
    return 'held';
  }

  onTimer(): void {
    this.keeper?.onPassage(this.afterDelay());
  }

  end(): void {
    this.request.context.wheel.cancel(this.timer);
  }

  private afterDelay(): Exclude<Passage, 'held'> {
    const { abort } = this.fault;
    if (abort === null) return 'open';
    const { record, head } = this.request;
    const { status, grpcStatus } = abort;
    const why: Failure = { ...failure('fault-injected'), status };
    const answer = answerFor(why, record, head.headers.get(H.accept));
    if (record.grpc && grpcStatus !== null) answer.headers.setClean(H['grpc-status'], String(grpcStatus));
    return { answer, because: why };
  }
}
