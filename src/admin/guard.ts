/**
 * Who may speak to the admin server. It has no login: it trusts whoever reaches its address, which is a
 * loopback one unless configured otherwise. A web browser on this machine reaches it too, on behalf of any site:
 * by DNS rebinding (a name of the attacker's that resolves to 127.0.0.1; the Host header gives it
 * away) and by cross-site POST (Origin and Sec-Fetch-Site give it away). Both are refused.
 *
 * On an address other than loopback, names without a dot pass too: containers and pods call one another by
 * those, and nobody can register one in the public DNS.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { AdminError } from './answer.ts';

export interface Guard {
  /** Throws an AdminError when the request must not be served. */
  check(message: IncomingMessage, anyHost: boolean): void;
}

/** @param configuredHost the host part of `admin.address` */
export function createGuard(configuredHost: string): Guard {
  const loopback = isLoopback(configuredHost);
  const ownNames = new Set([configuredHost.toLowerCase(), hostname().toLowerCase()]);
  return {
    check(message, anyHost) {
      const host = hostOf(message.headers.host ?? '');
      if (!anyHost && !hostAllowed(host, loopback, ownNames)) {
        throw new AdminError(
          403,
          'host-refused',
          `the Host header names ${JSON.stringify(host)}, which this server is not known by`,
          'call it by address, by localhost, or by the host in admin.address',
        );
      }
      if (message.method !== 'GET' && message.method !== 'HEAD') refuseCrossSite(message);
    },
  };
}

function hostAllowed(host: string, loopback: boolean, ownNames: ReadonlySet<string>): boolean {
  if (isLoopback(host) || ownNames.has(host)) return true;
  if (loopback) return false;
  return isIP(host) !== 0 || (host !== '' && !host.includes('.'));
}

function refuseCrossSite(message: IncomingMessage): void {
  const site = message.headers['sec-fetch-site'];
  const { origin, host } = message.headers;
  const sameSite = site === undefined || site === 'same-origin' || site === 'none';
  const sameOrigin =
    origin === undefined || (host !== undefined && originHost(origin) === host.toLowerCase());
  if (sameSite && sameOrigin) return;
  throw new AdminError(
    403,
    'cross-site',
    `a page of ${origin ?? 'another site'} sent this request`,
    'call the admin server with curl or from its own pages',
  );
}

export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '::1' ||
    (isIP(host) === 4 && host.startsWith('127.'))
  );
}

/** The host of `host`, `host:port` or `[v6]:port`, lower case, without brackets and a final dot. */
function hostOf(field: string): string {
  const v6 = /^\[([^\]]*)\](?::[0-9]*)?$/.exec(field);
  const host = v6 ? (v6[1] as string) : field.replace(/:[0-9]*$/, '');
  return host.toLowerCase().replace(/\.$/, '');
}

/** `host:port` of an Origin; an opaque origin (`null`) gives the empty text, which no Host is. */
function originHost(origin: string): string {
  const match = /^https?:\/\/([^/]+)$/i.exec(origin);
  return match ? (match[1] as string).toLowerCase() : '';
}
