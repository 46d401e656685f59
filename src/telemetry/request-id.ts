/**
 * `x-request-id`: what ties log lines, decision records and traces of one request together. A client's own
 * is kept, so that an id survives every hop, unless it is too long or holds what could forge a log line.
 */
import { LIMITS } from '../base/index.ts';
import { H, type HeaderList } from '../message/index.ts';
import type { RandomIds } from './ids.ts';

/** VCHAR only (RFC 9110 section 5.5), without quote, comma and backslash. */
const SANE = /^[!#-+\--[\]-~]+$/;

/** True when the value may be passed on. */
export function isSaneRequestId(value: string): boolean {
  return value.length > 0 && value.length <= LIMITS.requestIdChars && SANE.test(value);
}

/**
 * The request's id: the client's when it is sane and the only one, otherwise a new random UUID, which is also written to
 * `headers`. `onReplaced` is called when a client's id was thrown away.
 */
export function ensureRequestId(headers: HeaderList, ids: RandomIds, onReplaced: () => void): string {
  const given = headers.get(H['x-request-id']);
  if (given !== undefined) {
    if (isSaneRequestId(given) && headers.count(H['x-request-id']) === 1) return given;
    onReplaced();
  }
  const made = ids.uuid();
  headers.setClean(H['x-request-id'], made);
  return made;
}
