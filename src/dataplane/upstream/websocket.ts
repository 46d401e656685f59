/**
 * The one part of a WebSocket's handshake that exists in HTTP/1.1 only (RFC 6455 section 4.2.2, RFC 8441 section 5):
 * a key, and the proof that it was read. Between a client and an endpoint that speak different versions, the proxy
 * makes the key or the proof itself.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { HeaderList, RequestHead } from '../../message/index.ts';

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

/** Takes the proof out of an answer; false when it is not the expected one. */
export function checkAnswer(headers: HeaderList, expected: string): boolean {
  const proof = headers.get(ACCEPT);
  headers.delete(ACCEPT);
  return proof === expected;
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
