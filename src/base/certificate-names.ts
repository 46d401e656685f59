/**
 * The names of a certificate, and whether it holds the one that is wanted: the one place that decides it, for
 * requests and health checks alike. Only subject alternative names count, never a common name (RFC 9525
 * section 2). They come from OpenSSL as one text, in which Node quotes (as JSON) every value that holds a
 * separator, so a certificate can't smuggle in a second name by a comma (CVE-2021-44532).
 */
import { isIP } from 'node:net';

export interface AltNames {
  readonly dns: string[];
  readonly uris: string[];
  readonly ips: string[];
}

/**
 * Null when the certificate whose alternative names are `text` holds one of `wanted` (DNS names, addresses or
 * URIs); else what it holds and what was expected.
 */
export function nameMismatch(wanted: readonly string[], text: string | undefined): string | null {
  const names = altNames(text);
  for (const name of wanted) {
    if (isIP(name) !== 0 ? names.ips.some((ip) => sameAddress(ip, name)) : names.uris.includes(name))
      return null;
    const host = normalName(name);
    if (names.dns.some((pattern) => hostMatches(host, normalName(pattern)))) return null;
  }
  const holds = [...names.dns, ...names.ips, ...names.uris].slice(0, NAMES_SHOWN).join(', ');
  return `the endpoint certificate holds ${holds || 'no subjectAltName at all'}; expected ${wanted.join(' or ')}`;
}

/** Names compare without case and without a final dot (RFC 6066 section 3). */
export function normalName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

/** Splits `DNS:a, URI:"...", IP Address:1.2.3.4`; other kinds of names are left out. */
export function altNames(text: string | undefined): AltNames {
  const out: AltNames = { dns: [], uris: [], ips: [] };
  if (text === undefined) return out;
  let at = 0;
  while (at < text.length) {
    const colon = text.indexOf(':', at);
    if (colon < 0) break;
    const kind = text.slice(at, colon);
    const quoted = text[colon + 1] === '"';
    const end = quoted ? closingQuote(text, colon + 2) : nextComma(text, colon + 1);
    const raw = text.slice(colon + 1, end);
    const value = quoted ? (JSON.parse(raw) as string) : raw;
    if (kind === 'DNS') out.dns.push(value);
    else if (kind === 'URI') out.uris.push(value);
    else if (kind === 'IP Address') out.ips.push(value);
    at = end + 2;
  }
  return out;
}

function nextComma(text: string, from: number): number {
  const comma = text.indexOf(', ', from);
  return comma < 0 ? text.length : comma;
}

/** The offset after the quote that ends the JSON string begun before `from`. */
function closingQuote(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return Math.min(at + 1, text.length);
}

const NAMES_SHOWN = 20;

/** A wildcard stands for one whole leftmost label (RFC 6125 section 6.4.3). */
function hostMatches(host: string, pattern: string): boolean {
  if (pattern === host) return true;
  const dot = host.indexOf('.');
  return dot > 0 && pattern.startsWith('*.') && pattern.slice(1) === host.slice(dot);
}

function sameAddress(a: string, b: string): boolean {
  return a === b || (isIP(a) === 6 && isIP(b) === 6 && canonicalIpv6(a) === canonicalIpv6(b));
}

function canonicalIpv6(address: string): string {
  return new URL(`http://[${address}]`).hostname;
}
