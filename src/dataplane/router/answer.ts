/**
 * Answers that a rule gives itself: Gateway API's RequestRedirect and the direct response.
 *
 * A redirect's port is the filter's; else, where the filter states a scheme, that scheme's well-known
 * port; else the listener's. Port 80 of http and 443 of https are left out of Location.
 */
import type { FilterConfig } from '../../config/index.ts';
import { HeaderList, type RequestHead } from '../../message/index.ts';
import type { PreparedPath } from './normalize-path.ts';
import { editPath, type PathEdit } from './request-edit.ts';

export type FixedAnswer =
  | { readonly type: 'direct'; readonly status: number; readonly body: Buffer; readonly contentType: string }
  | {
      readonly type: 'redirect';
      readonly status: number;
      readonly scheme: 'http' | 'https' | null;
      readonly hostname: string | null;
      readonly port: number | null;
      readonly path: PathEdit | null;
    };

export interface Answer {
  readonly status: number;
  /** A new list; framing fields are the codec's. */
  readonly headers: HeaderList;
  /** Shared, not to be changed; empty: no body. */
  readonly body: Buffer;
}

/** The answer to this request. `listenerPort` is the port the listener is configured with. */
export function answerOf(
  fixed: FixedAnswer,
  head: RequestHead,
  path: PreparedPath,
  listenerPort: number,
): Answer {
  const headers = HeaderList.empty();
  if (fixed.type === 'direct') {
    if (fixed.body.length > 0) headers.append('content-type', fixed.contentType);
    return { status: fixed.status, headers, body: fixed.body };
  }
  const scheme = fixed.scheme ?? head.scheme;
  const hostname = fixed.hostname ?? hostnameOf(head.authority);
  const target = (fixed.path ? editPath(fixed.path, path.path) : path.path) + path.query;
  if (hostname === '') {
    // A client of HTTP/1.0 that sent no Host: a relative reference (RFC 9110 section 10.2.2), which must
    // not start with `//`, because that names another host.
    headers.append('location', target.replace(LEADING_SLASHES, '/'));
  } else {
    const port = fixed.port ?? (fixed.scheme ? WELL_KNOWN[fixed.scheme] : listenerPort);
    const suffix = port === WELL_KNOWN[scheme] ? '' : `:${port}`;
    headers.append('location', `${scheme}://${hostname}${suffix}${target}`);
  }
  return { status: fixed.status, headers, body: EMPTY };
}

/** The answer these filters give instead of a backend's; null: none. */
export function compileAnswer(filters: readonly FilterConfig[], prefix: string | null): FixedAnswer | null {
  for (const filter of filters) {
    if (filter.type === 'DirectResponse') {
      return {
        type: 'direct',
        status: filter.statusCode,
        body: Buffer.from(filter.body, 'utf8'),
        contentType: filter.contentType,
      };
    }
    if (filter.type === 'RequestRedirect') {
      return {
        type: 'redirect',
        status: filter.statusCode,
        scheme: filter.scheme,
        hostname: filter.hostname,
        port: filter.port,
        path: filter.path && { modifier: filter.path, prefix },
      };
    }
  }
  return null;
}

const WELL_KNOWN = { http: 80, https: 443 } as const;
const EMPTY = Buffer.alloc(0);
const LEADING_SLASHES = /^\/{2,}/;
const PORT = /:[0-9]*$/;

/** The authority without its port; an IPv6 literal keeps its brackets. */
function hostnameOf(authority: string): string {
  return authority.replace(PORT, '');
}
