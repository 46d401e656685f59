/** exchange: the conductor. A listener hands it requests; it does the rest. */
import type { Failure } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import {
  type ByteStream,
  type ConnectionFacts,
  type DownstreamHandler,
  type DownstreamStream,
  grpcStatusOf,
  H,
  type RequestHead,
} from '../../message/index.ts';
import { wrapGrpcWeb } from '../codec/grpc-web/index.ts';
import type { CallerExcess, Overload } from '../policy/index.ts';
import type { Carried } from '../router/index.ts';
import { noteLimit } from './attempts/admission.ts';
import { beginRecord, beginUnreadable } from './begin-record.ts';
import type { ExchangeContext } from './context.ts';
import { Exchange } from './exchange.ts';
import { answerFor, sendAnswer } from './local-answer.ts';
import { screenCaller } from './proxy-fields.ts';
import { TcpExchange } from './tcp/tcp-exchange.ts';

export { compileRulePolicy, type ExchangeContext, type RulePolicy } from './context.ts';
export { RateLimits } from './gates/rate-limits.ts';
export type { TcpExchange } from './tcp/tcp-exchange.ts';

/** Of a request that was answered before anybody took it on. */
const NOBODY: DownstreamHandler = {
  onBody() {},
  onEnd() {},
  onWritable() {},
  onRefused() {},
  onAborted() {},
};

export class Conductor {
  private readonly context: ExchangeContext;

  constructor(context: ExchangeContext) {
    this.context = context;
  }

  /** Takes a request on; what it returns is told of the rest of it. */
  accept(listener: ListenerConfig, head: RequestHead, stream: DownstreamStream): DownstreamHandler {
    const web = wrapGrpcWeb(head, stream);
    const placed = this.context.callers.beginRequest(stream.facts.caller);
    if (typeof placed !== 'boolean') {
      web?.attach(NOBODY);
      this.refuse(placed.failure, web ?? stream, head, placed);
      return NOBODY;
    }
    const asks = screenCaller(listener, head, stream.facts);
    const exchange = new Exchange(this.context, listener, head, web ?? stream, asks, placed);
    web?.attach(exchange);
    exchange.begin();
    return web ?? exchange;
  }

  /** What this worker does about overload; null: nothing is watched. */
  get overload(): Overload | null {
    return this.context.overload;
  }

  /** What besides requests this listener's routes have a use for. */
  carried(listener: ListenerConfig): Carried {
    return this.context.connectionRoutes.carried(listener.name);
  }

  /**
   * Takes a connection on whose bytes are passed on; what it returns is told of the rest of it. `serverName`: of TLS that
   * is passed through, empty where the client states none; else null.
   */
  connect(
    listener: ListenerConfig,
    facts: ConnectionFacts,
    stream: ByteStream,
    serverName: string | null,
  ): TcpExchange {
    return new TcpExchange(this.context, listener, facts, stream, serverName);
  }

  /** Records a connection on which no request could be read: its TLS handshake failed. */
  connectionFailed(facts: ConnectionFacts, why: Failure): void {
    const { clock, recorder } = this.context;
    const record = beginUnreadable(recorder, facts);
    record.failure = why;
    record.endMs = clock.nowMs();
    recorder.finish(record);
  }

  /**
   * Answers and records a request that broke the protocol, or one too many of its caller (`excess`). `head`: null where
   * it did so before that was complete.
   */
  refuse(
    why: Failure,
    stream: DownstreamStream,
    head: RequestHead | null = null,
    excess: CallerExcess | null = null,
  ): void {
    const { clock, recorder } = this.context;
    const { facts } = stream;
    const record = head === null ? beginUnreadable(recorder, facts) : beginRecord(recorder, facts, head);
    record.failure = why;
    if (excess !== null) noteLimit(record, excess.name, excess.value, excess.observed);
    if (why.status === 0) stream.abort(why);
    else {
      const reply = answerFor(why, record, head?.headers.get(H.accept));
      record.status = reply.status;
      if (record.grpc) record.grpcStatus = grpcStatusOf(reply.headers);
      const { requestId } = record;
      record.responseBytes = sendAnswer(stream, reply, head?.method ?? '', requestId, clock.wallMs());
    }
    record.endMs = clock.nowMs();
    recorder.finish(record);
  }
}
