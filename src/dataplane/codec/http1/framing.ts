/** How bodies are framed on the way out. */
import type { RequestHead, ResponseHead } from '../../../message/index.ts';
import type { ResponseContext } from './encode.ts';

/** How a body is put on the wire. `close`: raw bytes, and the connection must be closed after them. */
export type Framing = 'none' | 'length' | 'chunked' | 'close' | 'tunnel';

export function requestFraming(head: RequestHead): Framing {
  if (head.body === 'length' || head.body === 'none' || head.body === 'tunnel') return head.body;
  return 'chunked';
}

/** True where an answer has no body whatever its fields say (RFC 9110 section 6.4.1). */
export function isBodiless(status: number, requestMethod: string): boolean {
  return requestMethod === 'HEAD' || status < 200 || status === 204 || status === 304;
}

/**
 * How this answer's body is framed for this client. HTTP/1.0 has no chunks, so that there the end of the
 * connection ends the body; for later clients a body that an endpoint ended so is chunked.
 */
export function responseFraming(head: ResponseHead, context: ResponseContext): Framing {
  if (head.body === 'tunnel') return 'tunnel';
  if (isBodiless(head.status, context.requestMethod) || head.body === 'none') return 'none';
  if (head.body === 'length') return 'length';
  return context.version === '1.0' ? 'close' : 'chunked';
}
