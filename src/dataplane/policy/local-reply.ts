/**
 * Answers of the proxy's own: what happened as a code, in words, and what cures it. Text for people, JSON
 * for whoever prefers it by `Accept`. Of what the peer sent only the detail of its own fault comes
 * back, cut and stripped; what is known of endpoints stays in log and decision record. The request id leads there.
 */
import { cureOf, type Failure } from '../../base/index.ts';
import { HeaderList } from '../../message/index.ts';

export interface LocalReply {
  readonly status: number;
  /** A new list; framing fields are the codec's. */
  readonly headers: HeaderList;
  readonly body: Buffer;
}

/**
 * The answer for a failure whose status isn't 0. `accept` is the request's Accept field, if any; `requestId`
 * is empty when the request has none yet.
 */
export function localReply(failure: Failure, accept: string | undefined, requestId: string): LocalReply {
  const { kind, flag, status } = failure;
  const cure = cureOf(kind);
  const detail = failure.origin === 'downstream' ? printable(failure.detail) : '';
  const id = printable(requestId);
  const json = accept !== undefined && prefersJson(accept);
  const body = json
    ? `${JSON.stringify({ status, code: kind, flag, detail: detail || undefined, cure, requestId: id || undefined })}\n`
    : `${status} ${kind} (${flag})${detail && `: ${detail}`}\n${cure}\n${id && `request ${id}\n`}`;
  const headers = HeaderList.of(
    'content-type',
    json ? 'application/json' : 'text/plain; charset=utf-8',
    'x-content-type-options',
    'nosniff',
  );
  return { status, headers, body: Buffer.from(body, 'utf8') };
}

const MAX_PRINTED = 200;

/** What a peer sent, short and without what could be anything but text. */
export function printable(text: string): string {
  return text.slice(0, MAX_PRINTED).replace(/[^\x20-\x7e]/g, '?');
}

const MAX_RANGES = 16;

/** Does JSON come at least as high as text in Accept (RFC 9110 section 12.5.1)? `*` alone asks for neither. */
function prefersJson(accept: string): boolean {
  let json = 0;
  let text = 0;
  for (const range of accept.split(',', MAX_RANGES)) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const quality = qualityOf(parameters);
    if (type === 'application/json' || type.endsWith('+json')) json = Math.max(json, quality);
    else if (type.startsWith('text/')) text = Math.max(text, quality);
  }
  return json > 0 && json >= text;
}

function qualityOf(parameters: readonly string[]): number {
  const stated = parameters.find((parameter) => parameter.startsWith('q='));
  if (stated === undefined) return 1;
  const quality = Number(stated.slice(2));
  return quality >= 0 && quality <= 1 ? quality : 0;
}
