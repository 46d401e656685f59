/**
 * Who the other side of a TLS connection is: the names of its certificate, read once per connection.
 * Subject alternative names come from OpenSSL as one text, in which Node quotes (as JSON) every value
 * that holds a separator, so a certificate can't smuggle in a second name by a comma
 * (CVE-2021-44532).
 */
import type { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from '../../message/index.ts';

export interface AltNames {
  readonly dns: string[];
  readonly uris: string[];
  readonly ips: string[];
}

export function peerCertificate(certificate: X509Certificate): PeerCertificate {
  const names = altNames(certificate.subjectAltName);
  return {
    subject: certificate.subject,
    uriSans: names.uris,
    dnsSans: names.dns,
    serial: certificate.serialNumber,
    fingerprint256: certificate.fingerprint256,
  };
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
