/**
 * The one part of a WebSocket's handshake that exists in HTTP/1.1 only (RFC 6455 section 4.2.2, RFC 8441 section 5):
 * a key, and the proof that it was read. Between a client and an endpoint that speak different versions, the proxy
 * makes the key or the proof itself.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { HeaderList, RequestHead, ResponseHead } from '../../message/index.ts';

const KEY = 'sec-websocket-key';
const ACCEPT = 'sec-websocket-accept';
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY_BYTES = 16;

/** Gives the request of an HTTP/2 client the key it lacks; the proof to expect, empty where the client checks it itself. */
export function completeRequest(head: RequestHead): string {
  if (head.version !== '2' || head.upgrade.toLowerCase() !== 'websocket') return '';
  const key = randomBytes(KEY_BYTES).toString('base64');
  head.headers.set(KEY, key);
  return acceptOf(key);
}

/**
 * What is wrong with an answer to a request for a tunnel; empty: nothing. `expected`: the proof, which is taken out of it.
 * A client of HTTP/2 takes 2xx for agreement (RFC 8441 section 5), so one that is none must not reach it.
 */
export function answerFault(
  request: RequestHead,
  { status, headers }: ResponseHead,
  expected: string,
): string {
  if (request.version !== '2') return '';
  if (status !== 101)
    return status < 300 ? `answered ${status} and not 101 to an upgrade to ${request.upgrade}` : '';
  if (expected === '') return '';
  const proof = headers.get(ACCEPT);
  headers.delete(ACCEPT);
  return proof === expected ? '' : '101 with a wrong Sec-WebSocket-Accept';
}

/** Gives the answer of an HTTP/2 endpoint the proof that an HTTP/1.1 client waits for. */
export function completeAnswer(request: RequestHead, headers: HeaderList): void {
  const key = request.version === '2' ? undefined : request.headers.get(KEY);
  if (key !== undefined) headers.set(ACCEPT, acceptOf(key));
}

function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}
