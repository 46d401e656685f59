/**
 * The four forms of a request target (RFC 9112 section 3.2). An absolute form is split: its authority replaces
 * the Host field, as section 3.2.2 demands of an origin and a gateway alike. Its scheme is checked and not believed:
 * what the connection is, it is.
 */
import type { FailureKind } from '../../../base/index.ts';
import { isAuthority, isHostAndPort } from '../../../message/index.ts';

const ABSOLUTE = /^https?:\/\//i;

export class TargetForm {
  /** Origin form, `*`, or for CONNECT the authority. */
  target = '';
  /** The authority the target brings along; empty: the Host field's counts. */
  authority = '';
  kind: FailureKind | null = null;
  detail = '';

  /** `text` holds only bytes that a target may hold. */
  read(method: string, text: string): boolean {
    this.authority = '';
    this.target = text;
    if (method === 'CONNECT') {
      if (!isHostAndPort(text)) return this.refuse('CONNECT needs host:port');
      this.authority = text;
      return true;
    }
    if (text.charCodeAt(0) === 0x2f) return true;
    if (text === '*') return method === 'OPTIONS' || this.refuse('* is for OPTIONS');
    return this.readAbsolute(method, text);
  }

  private readAbsolute(method: string, text: string): boolean {
    const scheme = ABSOLUTE.exec(text);
    if (scheme === null) return this.refuse('neither a path nor an http URI');
    const start = scheme[0].length;
    let end = start;
    while (end < text.length && text[end] !== '/' && text[end] !== '?') end++;
    const authority = text.slice(start, end);
    // RFC 9110 section 4.2.4: userinfo in an http URI is an error; it hides the real host from people.
    if (authority.includes('@')) return this.refuse('user information in the authority');
    if (!isAuthority(authority)) return this.refuse('malformed authority');
    this.authority = authority;
    const rest = text.slice(end);
    if (rest.startsWith('/')) this.target = rest;
    // RFC 9112 section 3.2.4: OPTIONS for a URI without path and query asks about the server.
    else if (rest === '' && method === 'OPTIONS') this.target = '*';
    else this.target = `/${rest}`;
    return true;
  }

  private refuse(detail: string): boolean {
    this.kind = 'bad-target';
    this.detail = detail;
    return false;
  }
}
