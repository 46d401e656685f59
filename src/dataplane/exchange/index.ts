/** exchange: the conductor. A listener hands it requests; it does the rest. */
import type { Failure } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import type {
  ConnectionFacts,
  DownstreamHandler,
  DownstreamStream,
  RequestHead,
} from '../../message/index.ts';
import { localReply } from '../policy/index.ts';
import { beginUnreadable } from './begin-record.ts';
import type { ExchangeContext } from './context.ts';
import { Exchange } from './exchange.ts';
import { sendAnswer } from './local-answer.ts';

export { compileRulePolicy, type ExchangeContext, type RulePolicy } from './context.ts';

export class Conductor {
  private readonly context: ExchangeContext;

  constructor(context: ExchangeContext) {
    this.context = context;
  }

  /** Takes a request on; what it returns is told of the rest of it. */
  accept(listener: ListenerConfig, head: RequestHead, stream: DownstreamStream): DownstreamHandler {
    const exchange = new Exchange(this.context, listener, head, stream);
    exchange.begin();
    return exchange;
  }

  /** Records a connection on which no request could be read: its TLS handshake failed. */
  connectionFailed(facts: ConnectionFacts, why: Failure): void {
    const { clock, recorder } = this.context;
    const record = beginUnreadable(recorder, facts);
    record.failure = why;
    record.endMs = clock.nowMs();
    recorder.finish(record);
  }

  /** Answers and records a request that broke the protocol before its head was complete. */
  refuse(why: Failure, stream: DownstreamStream): void {
    const { clock, recorder } = this.context;
    const record = beginUnreadable(recorder, stream.facts);
    record.failure = why;
    if (why.status === 0) stream.abort(why);
    else {
      const reply = localReply(why, undefined, record.requestId);
      record.status = reply.status;
      record.responseBytes = sendAnswer(stream, reply, '', record.requestId, clock.wallMs());
    }
    record.endMs = clock.nowMs();
    recorder.finish(record);
  }
}
