/**
 * What of a request decides its endpoint, where a service balances by consistent hashing: a header, a cookie, a query
 * parameter (raw, as Envoy takes it), or the client's address. Null: the request has none.
 */
import type { HashKeyConfig } from '../../config/index.ts';
import { H, type RequestHead } from '../../message/index.ts';

type CookieConfig = Extract<HashKeyConfig, { readonly type: 'cookie' }>;

export function hashKeyOf(config: HashKeyConfig, head: RequestHead, clientAddress: string): string | null {
  switch (config.type) {
    case 'header':
      return head.headers.getAll(config.name) ?? null;
    case 'cookie':
      return cookieOf(head.headers.getAll(H.cookie) ?? '', config.name);
    case 'query':
      return parameterOf(head.target, config.name);
    default:
      return clientAddress;
  }
}

/** A Set-Cookie value (RFC 6265 section 4.1) with a key for a client that has none. */
export function affinityCookie({ name, path, ttlMs }: CookieConfig, key: string): string {
  const age = ttlMs === null || ttlMs === 0 ? '' : `; Max-Age=${Math.ceil(ttlMs / 1000)}`;
  return `${name}=${key}${age}${path === null ? '' : `; Path=${path}`}; HttpOnly`;
}

/** The first one of that name that is not empty, without the quotes it may stand in. */
export function cookieOf(cookies: string, name: string): string | null {
  for (const pair of cookies.split(/[;,]/)) {
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    const bare =
      value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    if (bare !== '') return bare;
  }
  return null;
}

function parameterOf(target: string, name: string): string | null {
  const query = target.indexOf('?');
  if (query < 0) return null;
  for (const pair of target.slice(query + 1).split('&')) {
    const equals = pair.indexOf('=');
    if ((equals < 0 ? pair : pair.slice(0, equals)) === name) return equals < 0 ? '' : pair.slice(equals + 1);
  }
  return null;
}
