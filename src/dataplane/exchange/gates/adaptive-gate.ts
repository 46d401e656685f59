/** A request's place under the concurrency limit that its service found; held until the request is over. */
import { failure } from '../../../base/index.ts';
import type { RequestRecord } from '../../../telemetry/index.ts';
import type { GradientController } from '../../policy/index.ts';
import { noteLimit } from '../attempts/admission.ts';
import type { Gate, GatedRequest, Passage } from './gates.ts';

/** Null: the service has no such limit. */
export function adaptiveGate(request: GatedRequest): Gate | null {
  const { adaptive } = request.service;
  return adaptive === null ? null : new AdaptiveGate(adaptive, request);
}

class AdaptiveGate implements Gate {
  private readonly controller: GradientController;
  private readonly request: GatedRequest;
  /** When the place was taken; -1: none was. */
  private startMs = -1;

  constructor(controller: GradientController, request: GatedRequest) {
    this.controller = controller;
    this.request = request;
  }

  enter(): Passage {
    const { controller, request } = this;
    if (!controller.admit()) {
      noteLimit(request.record, 'adaptiveConcurrency', controller.limit, controller.outstanding);
      return { refused: failure('concurrency-limit') };
    }
    this.startMs = request.context.clock.nowMs();
    return 'open';
  }

  end(): void {
    if (this.startMs < 0) return;
    const { controller, request } = this;
    controller.release();
    // How long a tunnel lives says nothing of the service.
    if (request.head.body === 'tunnel') return;
    const nowMs = request.context.clock.nowMs();
    const said = whatLatencySays(request.record);
    if (said === 'all') controller.sample(this.startMs, nowMs);
    else if (said === 'at least') controller.sampleAtLeast(this.startMs, nowMs);
  }
}

/**
 * Answers and timeouts count. What the proxy itself refused or could not connect to says nothing (Envoy counts its own answers,
 * as very fast ones). A client that left before any byte of the answer waited too long, perhaps; left out, as in Envoy, the
 * slowest requests of an overloaded service would be the ones that are not seen.
 */
function whatLatencySays({ failure: why, responseStartMs }: RequestRecord): 'all' | 'at least' | 'nothing' {
  if (why === null) return responseStartMs >= 0 ? 'all' : 'nothing';
  switch (why.kind) {
    case 'request-timeout':
    case 'per-try-timeout':
    case 'deadline':
      return 'all';
    case 'downstream-gone':
      return responseStartMs < 0 ? 'at least' : 'nothing';
    default:
      return 'nothing';
  }
}
