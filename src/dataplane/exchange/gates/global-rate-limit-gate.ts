/**
 * Leave from a rate limit service: the request is held until it answers. Without an answer the rule says what becomes of the
 * request: it passes (as by default), or it is refused. What the service wants to be added to request and answer is added.
 */
import { type Failure, failure } from '../../../base/index.ts';
import { GRPC, H, HeaderList } from '../../../message/index.ts';
import { COUNTER, type RateLimitOutcome } from '../../../telemetry/index.ts';
import {
  type DescriptorEntry,
  type DescriptorStatus,
  encodeRateLimitRequest,
  type RateLimitResponse,
} from '../../codec/rls/index.ts';
import { asGrpcReply, descriptorsOf, type GlobalRateLimit, isAddableField } from '../../policy/index.ts';
import { noteLimit } from '../attempts/admission.ts';
import type { OwnAnswer } from '../local-answer.ts';
import type { Gate, GatedRequest, GateKeeper, Passage } from './gates.ts';
import { type CallOwner, RateLimitCall } from './rate-limit-call.ts';

/** Null: the rule asks no service. */
export function globalRateLimitGate(request: GatedRequest): Gate | null {
  const limit = request.rule.attached.globalRateLimit;
  return limit === null ? null : new GlobalRateLimitGate(request, limit);
}

type Decided = Exclude<Passage, 'held'>;

class GlobalRateLimitGate implements Gate, CallOwner {
  private readonly request: GatedRequest;
  private readonly limit: GlobalRateLimit;
  private descriptors: readonly (readonly DescriptorEntry[])[] = [];
  private call: RateLimitCall | null = null;
  /** Null while `enter` runs. */
  private keeper: GateKeeper | null = null;
  private decided: Decided | null = null;

  constructor(request: GatedRequest, limit: GlobalRateLimit) {
    this.request = request;
    this.limit = limit;
  }

  enter(keeper: GateKeeper): Passage {
    const { context, head, record, service } = this.request;
    const { config, domain } = this.limit;
    const { clientAddress, facts } = record;
    this.descriptors = descriptorsOf(this.limit, {
      head,
      clientAddress: clientAddress === '' ? facts.remoteAddress : clientAddress,
      destination: service.config.name,
      source: context.recorder.serviceName,
    });
    if (this.descriptors.length === 0) return 'open';
    const asked = context.services.get(config.service);
    if (asked === undefined) return this.unanswered(failure('no-service', config.service));
    const message = encodeRateLimitRequest(domain, this.descriptors);
    this.call = new RateLimitCall(this, context, asked, message, config.timeoutMs, record);
    this.call.start();
    if (this.decided !== null) return this.decided;
    this.keeper = keeper;
    return 'held';
  }

  end(): void {
    this.call?.cancel();
  }

  onCallEnd(response: RateLimitResponse | null, why: Failure | null): void {
    this.decided = response === null ? this.unanswered(why as Failure) : this.answered(response);
    this.keeper?.onPassage(this.decided);
  }

  private answered(response: RateLimitResponse): Decided {
    const { request, limit } = this;
    const { config } = limit;
    const { overLimit } = response;
    this.note(overLimit ? 'over_limit' : 'ok', overLimit ? COUNTER.ratelimitOverLimit : COUNTER.ratelimitOk);
    for (const { key, value } of response.responseHeaders)
      if (isAddableField(key)) request.addAnswerField(key.toLowerCase(), value);
    if (config.headers) this.tellQuota(response.statuses);
    if (!overLimit) return this.pass(response);
    request.addAnswerField('x-envoy-ratelimited', 'true');
    if (config.enforcedPercent < 100 && request.context.random() * 100 >= config.enforcedPercent) {
      if (request.record.shadowedBy === '') request.record.shadowedBy = this.name;
      return this.pass(response);
    }
    return this.refuse(response);
  }

  private pass({ requestHeaders }: RateLimitResponse): Decided {
    const { headers } = this.request.head;
    for (const { key, value } of requestHeaders)
      if (isAddableField(key)) headers.append(key.toLowerCase(), value);
    return 'open';
  }

  private refuse(response: RateLimitResponse): Decided {
    const { request, limit } = this;
    const { status } = limit.config;
    const at = response.statuses.findIndex((each) => each.overLimit);
    const over = response.statuses[at];
    const told = response.responseHeaders.some(({ key }) => key.toLowerCase() === 'retry-after');
    const waitSeconds = secondsUntilReset(response.statuses);
    if (!told && waitSeconds > 0) request.addAnswerField('retry-after', String(waitSeconds));
    noteLimit(request.record, this.name, over?.requestsPerUnit ?? -1, over?.remaining ?? -1);
    const entries = this.descriptors[at] ?? [];
    const which = entries.map(({ key, value }) => `${key}=${value}`).join(', ');
    const why = { ...failure('rate-limited', which === '' ? this.name : which), status };
    if (response.body.length === 0) return { refused: why };
    return { answer: this.ownAnswer(status, response), because: why };
  }

  /** The service has written the body of the refusal. */
  private ownAnswer(status: number, { body, responseHeaders }: RateLimitResponse): OwnAnswer {
    const headers = HeaderList.empty();
    if (this.request.record.grpc) return asGrpcReply({ status, headers, body }, GRPC.resourceExhausted);
    if (!responseHeaders.some(({ key }) => key.toLowerCase() === 'content-type'))
      headers.setClean(H['content-type'], 'text/plain');
    return { status, headers, body };
  }

  private unanswered(why: Failure): Decided {
    const { config } = this.limit;
    const { record, service } = this.request;
    const detail = `${this.name}: ${why.kind}${why.detail === '' ? '' : `, ${why.detail}`}`;
    this.note('error', COUNTER.ratelimitError);
    if (config.failureModeDeny)
      return { refused: { ...failure('rate-limit-service', detail), status: config.statusOnError } };
    service.counters.add(COUNTER.ratelimitFailureModeAllowed, 1);
    record.failedOpen = detail;
    return 'open';
  }

  private note(outcome: RateLimitOutcome, counter: number): void {
    const { record, service } = this.request;
    service.counters.add(counter, 1);
    if (this.call !== null) record.rateLimitCall = { attempt: this.call.record, outcome };
  }

  private get name(): string {
    return `globalRateLimit ${this.limit.config.domain}`;
  }

  /** As Envoy does for DRAFT_VERSION_03: of the limit with the least left, and every limit with its window. */
  private tellQuota(statuses: readonly DescriptorStatus[]): void {
    let least: DescriptorStatus | null = null;
    let windows = '';
    for (const status of statuses) {
      const { requestsPerUnit, windowSeconds, name } = status;
      if (requestsPerUnit < 0) continue;
      if (least === null || status.remaining < least.remaining) least = status;
      if (windowSeconds === 0) continue;
      windows += `, ${requestsPerUnit};w=${windowSeconds}${name === '' ? '' : `;name="${name}"`}`;
    }
    if (least === null) return;
    this.request.addAnswerField('x-ratelimit-limit', `${least.requestsPerUnit}${windows}`);
    this.request.addAnswerField('x-ratelimit-remaining', String(least.remaining));
    this.request.addAnswerField('x-ratelimit-reset', String(least.untilResetSeconds));
  }
}

/** Until every limit that is reached is another window's, rounded up; 0: the service does not say. */
function secondsUntilReset(statuses: readonly DescriptorStatus[]): number {
  let seconds = 0;
  for (const { overLimit, untilResetSeconds, untilResetNanos } of statuses)
    if (overLimit) seconds = Math.max(seconds, untilResetSeconds + (untilResetNanos > 0 ? 1 : 0));
  return seconds;
}
