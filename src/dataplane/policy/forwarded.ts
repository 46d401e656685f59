/**
 * Who asked, told onwards: `x-forwarded-for`, `-proto`, `-host`, `-port`, the client certificate header
 * and `via`. The rules are Envoy's with `use_remote_address`: the peer's address is always appended, so
 * that entries a client invents stay to the left of the ones that can be trusted, and with N trusted hops the
 * client is the Nth entry from the right of what came in. Without trusted hops a peer's word about scheme,
 * host, port and certificate is replaced.
 */
import {
  type ConnectionFacts,
  H,
  type HeaderList,
  type PeerCertificate,
  type RequestHead,
} from '../../message/index.ts';
import { isIpAddress, plainAddress } from './ip-address.ts';

/**
 * The address of the client. With `trustedHops` 0 the peer's; else the entry that the outermost trusted
 * proxy appended, or the peer's when there are not so many entries or that one is no address.
 * To be asked before `addForwardedHeaders`.
 */
export function clientAddress(headers: HeaderList, facts: ConnectionFacts, trustedHops: number): string {
  if (trustedHops > 0) {
    const entry = entryFromRight(headers.getAll(H['x-forwarded-for']) ?? '', trustedHops);
    if (isIpAddress(entry)) return entry;
  }
  return plainAddress(facts.remoteAddress);
}

/** Sets the headers on a request that is to be sent on. `head.authority` must still be the client's. */
export function addForwardedHeaders(head: RequestHead, facts: ConnectionFacts, trustedHops: number): void {
  const { headers } = head;
  const trusted = trustedHops > 0;
  const peer = plainAddress(facts.remoteAddress);
  const before = headers.getAll(H['x-forwarded-for']);
  if (before === undefined) headers.appendClean(H['x-forwarded-for'], peer);
  else headers.setClean(H['x-forwarded-for'], `${before}, ${peer}`);

  const proto = trusted ? headers.get(H['x-forwarded-proto']) : undefined;
  if (proto !== 'http' && proto !== 'https')
    headers.setClean(H['x-forwarded-proto'], facts.tls ? 'https' : 'http');
  if (!trusted || !headers.has(H['x-forwarded-host'])) {
    if (head.authority === '') headers.delete(H['x-forwarded-host']);
    else headers.setClean(H['x-forwarded-host'], head.authority);
  }
  if (!trusted || !headers.has(H['x-forwarded-port'])) {
    headers.setClean(H['x-forwarded-port'], String(facts.localPort));
  }

  const certificate = facts.tls?.peer;
  if (certificate) headers.set(H['x-forwarded-client-cert'], describeCertificate(certificate));
  else if (!trusted) headers.delete(H['x-forwarded-client-cert']);
}

/** Adds this proxy to `via` (RFC 9110 section 7.6.3). `version` is that of the message received. */
export function addVia(headers: HeaderList, version: '1.0' | '1.1' | '2'): void {
  const before = headers.getAll(H.via);
  if (before === undefined) headers.appendClean(H.via, VIA[version]);
  else headers.setClean(H.via, `${before}, ${VIA[version]}`);
}

const VIA = { '1.0': '1.0 outboard', '1.1': '1.1 outboard', '2': '2 outboard' } as const;

/** The `count`th entry from the right, 1 being the last; empty when there are fewer. */
function entryFromRight(list: string, count: number): string {
  let end = list.length;
  for (let left = count; ; left--) {
    const comma = end > 0 ? list.lastIndexOf(',', end - 1) : -1;
    if (left === 1) return list.slice(comma + 1, end).trim();
    if (comma < 0) return '';
    end = comma;
  }
}

/** Envoy's x-forwarded-client-cert element, from a certificate that was verified here. */
function describeCertificate(certificate: PeerCertificate): string {
  let text = `Hash=${certificate.fingerprint256.replaceAll(':', '').toLowerCase()}`;
  text += `;Subject="${quoted(certificate.subject)}"`;
  for (const uri of certificate.uriSans) text += `;URI=${element(uri)}`;
  for (const name of certificate.dnsSans) text += `;DNS=${element(name)}`;
  return text;
}

const UNSAFE = /[^\x20-\x7e]/g;

function quoted(text: string): string {
  return text.replace(UNSAFE, ' ').replace(/["\\]/g, '\\$&');
}

/** A value with a separator in it is quoted, as Envoy's documentation asks. */
function element(text: string): string {
  return /[,;="\\]|[^\x20-\x7e]/.test(text) ? `"${quoted(text)}"` : text;
}
