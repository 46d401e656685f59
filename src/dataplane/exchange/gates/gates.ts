/**
 * What a request passes between its route and its first attempt: gates, one after the other, in the order of `GATES`. Each lets
 * it pass, refuses it, answers it, or holds it for a while. Time at a gate counts against no timeout but a deadline of the
 * client's own, as in Envoy, whose route timeout begins behind all filters.
 */
import type { Failure } from '../../../base/index.ts';
import type { ListenerConfig } from '../../../config/index.ts';
import type { RequestHead } from '../../../message/index.ts';
import type { RequestRecord } from '../../../telemetry/index.ts';
import type { CompiledRule } from '../../router/index.ts';
import type { UpstreamService } from '../../upstream/index.ts';
import type { ExchangeContext, RulePolicy } from '../context.ts';
import type { OwnAnswer } from '../local-answer.ts';
import { adaptiveGate } from './adaptive-gate.ts';
import { faultGate } from './fault-injection.ts';
import { globalRateLimitGate } from './global-rate-limit-gate.ts';
import { rateLimitGate } from './rate-limit-gate.ts';

/** A request at a gate. */
export interface GatedRequest {
  readonly context: ExchangeContext;
  readonly listener: ListenerConfig;
  /** As it will be sent upstream. */
  readonly head: RequestHead;
  readonly record: RequestRecord;
  readonly rule: CompiledRule<RulePolicy>;
  readonly service: UpstreamService;
  /** A field of every answer that it gets, our own included. */
  addAnswerField(name: string, value: string): void;
  /** The body of an endpoint's answer goes to the client at so many KiB a second. */
  paceAnswer(kbps: number): void;
}

/** `held`: the gate will tell its keeper. */
export type Passage =
  | 'open'
  | 'held'
  | { readonly refused: Failure }
  /** With `because`, an answer of our own all the same, which the record explains so. */
  | { readonly answer: OwnAnswer; readonly because: Failure | null };

export interface Gate {
  /** Asked once. A gate that answers `held` calls `keeper.onPassage` later, once, unless `end` comes first. */
  enter(keeper: GateKeeper): Passage;
  /** The request is over; whether it passed or not, all that the gate holds of it is given back. */
  end(): void;
}

export interface GateKeeper {
  onPassage(passage: Exclude<Passage, 'held'>): void;
}

export interface GatesOwner {
  onGatesPassed(): void;
  onGateRefused(why: Failure): void;
  onGateAnswered(answer: OwnAnswer, because: Failure | null): void;
}

/** Each makes a request's gate of its kind, or none; in the order in which the request comes to them. */
const GATES: readonly ((request: GatedRequest) => Gate | null)[] = [
  rateLimitGate,
  globalRateLimitGate,
  faultGate,
  adaptiveGate,
];

/** Null: there is none, as for most requests. */
function gatesOf(request: GatedRequest): Gate[] | null {
  let gates: Gate[] | null = null;
  for (let i = 0; i < GATES.length; i++) {
    const gate = (GATES[i] as (typeof GATES)[number])(request);
    if (gate === null) continue;
    gates ??= [];
    gates.push(gate);
  }
  return gates;
}

export class Gates implements GateKeeper {
  private readonly owner: GatesOwner;
  private readonly request: GatedRequest;
  private readonly gates: readonly Gate[];
  /** How many it has come to. */
  private entered = 0;
  private heldFromMs = -1;
  private heldMs = 0;
  private over = false;

  private constructor(owner: GatesOwner, request: GatedRequest, gates: readonly Gate[]) {
    this.owner = owner;
    this.request = request;
    this.gates = gates;
  }

  /** Null: the request has none to pass. */
  static of(owner: GatesOwner, request: GatedRequest): Gates | null {
    const gates = gatesOf(request);
    return gates === null ? null : new Gates(owner, request, gates);
  }

  /** The last gate is behind it. */
  get passed(): boolean {
    return this.entered === this.gates.length && this.heldFromMs < 0;
  }

  /** Time since the end of the request that counts against nothing, in ms. */
  get uncountedMs(): number {
    return this.heldMs;
  }

  /** Leads the request on to where it is held, refused or answered, or past the last gate; the owner is told. */
  enter(): void {
    while (!this.over && this.entered < this.gates.length) {
      const gate = this.gates[this.entered++] as Gate;
      const passage = gate.enter(this);
      if (passage === 'held') {
        this.heldFromMs = this.request.context.clock.nowMs();
        return;
      }
      if (passage !== 'open') {
        this.turnedAway(passage);
        return;
      }
    }
    if (!this.over) this.owner.onGatesPassed();
  }

  onPassage(passage: Exclude<Passage, 'held'>): void {
    if (this.over) return;
    const { clock } = this.request.context;
    const { requestEndMs } = this.request.record;
    if (requestEndMs >= 0) this.heldMs += clock.nowMs() - Math.max(this.heldFromMs, requestEndMs);
    this.heldFromMs = -1;
    if (passage === 'open') this.enter();
    else this.turnedAway(passage);
  }

  /** The request is over. */
  end(): void {
    this.over = true;
    for (let i = 0; i < this.entered; i++) (this.gates[i] as Gate).end();
  }

  private turnedAway(passage: Exclude<Passage, 'held' | 'open'>): void {
    if ('refused' in passage) this.owner.onGateRefused(passage.refused);
    else this.owner.onGateAnswered(passage.answer, passage.because);
  }
}
