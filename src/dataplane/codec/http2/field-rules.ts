/**
 * Whether the fields of a decoded block make a request, an answer or trailers (RFC 9113 sections 8.2 and 8.3). What
 * depends on octets and order alone was noticed while decoding (`HeaderBlock.fault`). What is refused here is malformed:
 * a stream error of type PROTOCOL_ERROR. The verdict is kept with the block, so that a cached one is judged once.
 */
import { FieldSet, H } from '../../../message/index.ts';
import type { HeaderBlock } from './header-block.ts';

const REQUEST = 1;
const RESPONSE = 2;
const TRAILERS = 3;

/** Connection-specific fields (section 8.2.2), and those whose value is looked at. */
const JUDGED = new FieldSet([
  H.connection,
  H['proxy-connection'],
  H['keep-alive'],
  H['transfer-encoding'],
  H.upgrade,
  H.te,
  H['content-length'],
]).marks;

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/;
/** Visible ASCII without what ends an authority or begins user information (section 8.3.1). */
const AUTHORITY = /^[^\x00-\x20\x7f-\xff/?#@\\]+$/;
/** Visible ASCII without a fragment, as for HTTP/1.1. */
const PATH = /^\/[\x21\x22\x24-\x7e]*$/;
const PATH_OCTETS = new Uint8Array(256).fill(1, 0x21, 0x7f);
PATH_OCTETS[0x23] = 0;
const STATUS = /^[1-9][0-9]{2}$/;
const DIGITS = /^[0-9]{1,16}$/;

/** What makes this block no request; empty: nothing. Sets `contentLength`. */
export function requestFault(block: HeaderBlock): string {
  return block.judgedAs === REQUEST
    ? block.verdict
    : judge(block, REQUEST, block.fault || pseudoOfRequest(block) || fieldsFault(block, true));
}

/** It was judged and makes a request, and would with any other path too. */
export function isRequest({ judgedAs, verdict, pseudo }: HeaderBlock): boolean {
  return judgedAs === REQUEST && verdict === '' && pseudo.path !== null && pseudo.path !== '*';
}

/** Whether these octets are the path of a request. */
export function isPath(bytes: Buffer, start: number, end: number): boolean {
  if (start === end || bytes[start] !== 0x2f) return false;
  for (let at = start; at < end; at++) if (PATH_OCTETS[bytes[at]] !== 1) return false;
  return true;
}

/** What makes this block no answer, interim or final. Sets `status` and `contentLength`. */
export function responseFault(block: HeaderBlock): string {
  return block.judgedAs === RESPONSE
    ? block.verdict
    : judge(block, RESPONSE, block.fault || pseudoOfResponse(block) || fieldsFault(block, false));
}

/** What makes this block no trailers. */
export function trailersFault(block: HeaderBlock): string {
  if (block.judgedAs === TRAILERS) return block.verdict;
  const { method, scheme, authority, path, status, protocol } = block.pseudo;
  const none = (method ?? scheme ?? authority ?? path ?? status ?? protocol) === null;
  return judge(
    block,
    TRAILERS,
    block.fault || (none ? fieldsFault(block, true) : 'a pseudo-header field in trailers'),
  );
}

function judge(block: HeaderBlock, as: number, verdict: string): string {
  block.judgedAs = as;
  block.verdict = verdict;
  return verdict;
}

function pseudoOfRequest(block: HeaderBlock): string {
  const { method, scheme, authority, path, status, protocol } = block.pseudo;
  if (status !== null) return ':status in a request';
  if (method === null) return 'no :method';
  if (method !== 'GET' && method !== 'POST' && !METHOD.test(method)) return 'malformed :method';
  if (authority !== null && authority !== '' && !AUTHORITY.test(authority)) return 'malformed :authority';
  if (method === 'CONNECT' && protocol === null) {
    // RFC 9113 section 8.5.
    if (scheme !== null || path !== null) return ':scheme or :path with CONNECT';
    return authority === null || authority === '' ? 'CONNECT without :authority' : '';
  }
  // RFC 8441 section 4.
  if (protocol !== null && method !== 'CONNECT') return ':protocol without CONNECT';
  if (protocol !== null && !METHOD.test(protocol)) return 'malformed :protocol';
  if (scheme === null) return 'no :scheme';
  if (scheme !== 'https' && scheme !== 'http' && !SCHEME.test(scheme)) return 'malformed :scheme';
  if (path === null) return 'no :path';
  if (PATH.test(path) || (path === '*' && method === 'OPTIONS')) return '';
  return path === '' ? 'empty :path' : 'malformed :path';
}

function pseudoOfResponse(block: HeaderBlock): string {
  const { method, scheme, authority, path, status, protocol } = block.pseudo;
  if ((method ?? scheme ?? authority ?? path ?? protocol) !== null)
    return 'a request pseudo-header field in an answer';
  if (status === null) return 'no :status';
  if (!STATUS.test(status)) return 'malformed :status';
  // RFC 9113 section 8.6.
  if (status === '101') return ':status 101';
  block.status = Number(status);
  return '';
}

function fieldsFault(block: HeaderBlock, teAllowed: boolean): string {
  const { ids, text, spans } = block;
  let length = -1;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i];
    if (JUDGED[id] !== 1) continue;
    const value = text.slice(spans[4 * i + 2], spans[4 * i + 3]);
    if (id === H_CONTENT_LENGTH) {
      if (length >= 0) return 'more than one content-length';
      length = DIGITS.test(value) ? Number(value) : Number.NaN;
      if (!Number.isSafeInteger(length)) return 'malformed content-length';
    } else if (id !== H_TE || !teAllowed)
      return `connection-specific field ${text.slice(spans[4 * i], spans[4 * i + 1])}`;
    else if (value.toLowerCase() !== 'trailers') return 'te other than trailers';
  }
  block.contentLength = length;
  return '';
}

const H_TE = H.te;
const H_CONTENT_LENGTH = H['content-length'];
