/** Answers of our own: what one says, and how it is put on the wire. */
import type { Failure } from '../../base/index.ts';
import { type DownstreamStream, H, type HeaderList } from '../../message/index.ts';
import type { RequestRecord } from '../../telemetry/index.ts';
import { grpcReply, localReply } from '../policy/index.ts';

export interface OwnAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Buffer;
}

/** The answer for a failure whose status isn't 0, in the protocol of the request. `accept`: its Accept field. */
export function answerFor(why: Failure, record: RequestRecord, accept: string | undefined): OwnAnswer {
  const { grpc, requestId } = record;
  return grpc ? grpcReply(why, requestId) : localReply(why, accept, requestId);
}

/**
 * Sends the whole answer and returns the bytes of its body. `wallMs` becomes the Date field, as RFC 9110
 * section 6.6.1 asks of whoever originates an answer.
 */
export function sendAnswer(
  stream: DownstreamStream,
  answer: OwnAnswer,
  requestMethod: string,
  requestId: string,
  wallMs: number,
): number {
  const { headers, status, body } = answer;
  headers.setClean(H.date, httpDate(wallMs));
  headers.setClean(H.server, 'outboard');
  if (requestId !== '') headers.setClean(H['x-request-id'], requestId);
  stream.sendHead({
    status,
    reason: '',
    version: '1.1',
    headers,
    body: body.length === 0 ? 'none' : 'length',
    contentLength: body.length,
  });
  const bodiless = requestMethod === 'HEAD' || status === 204 || status === 304;
  const sent = bodiless ? 0 : body.length;
  if (sent > 0) stream.sendBody(body);
  stream.sendEnd(null);
  return sent;
}

let second = -1;
let text = '';

/** The same text for a whole second; formatting it costs more than the rest of the answer. */
function httpDate(wallMs: number): string {
  const now = Math.floor(wallMs / 1_000);
  if (now !== second) {
    second = now;
    text = new Date(wallMs).toUTCString();
  }
  return text;
}
