/**
 * Heads to text. Fields go out in the order and case they came in; those that frame the message or belong to the
 * connection are left out and written anew from what the head says, except a Content-Length that still
 * holds, which stays where it is. Text is latin1, one code unit per byte.
 */
import {
  FieldSet,
  H,
  type HeaderList,
  type RequestHead,
  type ResponseHead,
  safeWord,
} from '../../../message/index.ts';
import { isBodiless, requestFraming, responseFraming } from './framing.ts';
import { reasonOf } from './reasons.ts';
import { withoutForbidden } from './trailers.ts';

/** What an answer's head depends on besides itself. */
export interface ResponseContext {
  /** The client's version. */
  readonly version: '1.0' | '1.1' | '2';
  /** The connection may live on after this answer; ignored where the framing makes a close necessary. */
  readonly keepAlive: boolean;
  /** Method of the request that is answered. */
  readonly requestMethod: string;
}

const CONNECTION_FIELDS = [
  H.host,
  H.connection,
  H['keep-alive'],
  H['proxy-connection'],
  H['transfer-encoding'],
  H.upgrade,
];
const ALL_BUT_LENGTH = new FieldSet(CONNECTION_FIELDS);
const ALL = new FieldSet([...CONNECTION_FIELDS, H['content-length']]);

/** Latin1 text of the head with its final CRLF CRLF, as HTTP/1.1. The head is not changed. */
export function encodeRequestHead(head: RequestHead): string {
  const { method, headers } = head;
  const authority = safeWord(head.authority);
  const target = method === 'CONNECT' ? authority : safeWord(head.target);
  const start = `${method} ${target} HTTP/1.1\r\nHost: ${authority}\r\n`;
  // RFC 9110 section 10.1.4: TE is named by Connection, lest an HTTP/1.0 proxy passes it on.
  const te = headers.has(H.te);
  const upgrade = head.upgrade === '' ? '' : `Upgrade: ${safeWords(head.upgrade)}\r\n`;
  const options =
    upgrade === ''
      ? te
        ? 'Connection: TE\r\n'
        : ''
      : te
        ? 'Connection: Upgrade, TE\r\n'
        : 'Connection: Upgrade\r\n';
  switch (requestFraming(head)) {
    case 'length':
      return `${start}${textWithLength(headers, head.contentLength)}${options}${upgrade}\r\n`;
    case 'chunked':
      return `${start}${headers.toText(ALL)}${options}${upgrade}Transfer-Encoding: chunked\r\n\r\n`;
    default:
      return `${start}${headers.toText(ALL)}${options}${upgrade}\r\n`;
  }
}

/** Latin1 text of a final answer's head (or 101) with its final CRLF CRLF. The head is not changed. */
export function encodeResponseHead(head: ResponseHead, context: ResponseContext): string {
  const { headers } = head;
  const start = statusLine(head);
  const framing = responseFraming(head, context);
  if (framing === 'tunnel') {
    const upgrade = head.status === 101 ? headers.getAll(H.upgrade) : undefined;
    const options = upgrade === undefined ? '' : `Connection: Upgrade\r\nUpgrade: ${safeWords(upgrade)}\r\n`;
    return `${start}${headers.toText(ALL)}${options}\r\n`;
  }
  const options = connectionLine(context, framing === 'close');
  switch (framing) {
    case 'length':
      return `${start}${textWithLength(headers, head.contentLength)}${options}\r\n`;
    case 'chunked':
      return `${start}${headers.toText(ALL)}${options}Transfer-Encoding: chunked\r\n\r\n`;
    case 'close':
      return `${start}${headers.toText(ALL)}${options}\r\n`;
    default:
      return `${start}${textWithoutBody(head, context.requestMethod)}${options}\r\n`;
  }
}

/** A 1xx answer other than 101. */
export function encodeInformational(head: ResponseHead): string {
  return `${statusLine(head)}${head.headers.toText(ALL)}\r\n`;
}

/** Trailer lines after the last chunk, without the empty line; HTTP/2 may bring fields that HTTP/1.1 has no place for there. */
export function encodeTrailers(trailers: HeaderList): string {
  return withoutForbidden(trailers).toText(ALL);
}

function statusLine({ status, reason }: ResponseHead): string {
  if (status === 200 && (reason === 'OK' || reason === '')) return 'HTTP/1.1 200 OK\r\n';
  return `HTTP/1.1 ${status} ${reason === '' ? reasonOf(status) : safeWords(reason)}\r\n`;
}

/** RFC 9112 section 9.3: what is not the version's default is said. */
function connectionLine(context: ResponseContext, mustClose: boolean): string {
  if (!context.keepAlive || mustClose) return 'Connection: close\r\n';
  return context.version === '1.0' ? 'Connection: keep-alive\r\n' : '';
}

function textWithLength(headers: HeaderList, length: number): string {
  if (headers.count(H['content-length']) === 1 && headers.get(H['content-length']) === String(length))
    return headers.toText(ALL_BUT_LENGTH);
  return `${headers.toText(ALL)}Content-Length: ${length}\r\n`;
}

/**
 * Fields of an answer that has no body. To HEAD, and with 304, Content-Length tells what the body would have been
 * (RFC 9110 section 8.6); with 1xx and 204 it is forbidden; elsewhere it must say 0, or the client would
 * wait for the connection to close.
 */
function textWithoutBody(head: ResponseHead, requestMethod: string): string {
  const { headers, status } = head;
  if (!isBodiless(status, requestMethod)) return textWithLength(headers, 0);
  if (status < 200 || status === 204) return headers.toText(ALL);
  return head.body === 'length'
    ? textWithLength(headers, head.contentLength)
    : headers.toText(ALL_BUT_LENGTH);
}

const UNSAFE_IN_WORDS = /[^\t\x20-\x7e\x80-\xff]/g;

function safeWords(words: string): string {
  return words.search(UNSAFE_IN_WORDS) < 0 ? words : words.replace(UNSAFE_IN_WORDS, ' ');
}
