/**
 * Whether an OCSP response may be stapled for a certificate: it must be about that certificate, say
 * `good`, and not be out of date. A wrong staple is worse than none, since a client that asked aborts on
 * it (RFC 6066 section 8). The signature is the client's to check. Format: RFC 6960 section 4.2.1.
 */
import type Forge from 'node-forge';
import { forge } from './forge.ts';

type Node = Forge.asn1.Asn1;

export interface StapleVerdict {
  /** Why it is not stapled, or null. */
  readonly refusal: string | null;
  readonly cure: string;
  /** When it goes out of date, milliseconds since the epoch; null: it doesn't say. */
  readonly nextUpdateMs: number | null;
}

/** ASN.1 class of the tags `[0]`, `[1]` …, as node-forge numbers it. */
const CONTEXT = 0x80;
/** A response made on a machine whose clock is ahead by less is not called early. */
const SKEW_MS = 300_000;
const FETCH = 'fetch one again from the responder the certificate names: openssl ocsp -respout FILE';

export function staplable(der: Uint8Array, serial: string, nowMs: number): StapleVerdict {
  let singles: Node[];
  try {
    singles = singleResponses(der);
  } catch {
    return refused('it is no successful OCSP response in DER', FETCH);
  }
  for (const single of singles) {
    const [certId, status, thisUpdate, next] = children(single);
    if (!certId || !status || !thisUpdate) continue;
    const theirs = forge()
      .util.bytesToHex(children(certId)[3]?.value as string)
      .toUpperCase();
    if (stripZeros(theirs) !== stripZeros(serial)) continue;
    if (status.tagClass !== CONTEXT || Number(status.type) !== 0)
      return refused('it does not say that the certificate is good', 'issue another certificate');
    if (timeOf(thisUpdate) > nowMs + SKEW_MS)
      return refused('it is from the future', "check this machine's clock");
    const nextNode =
      next && next.tagClass === CONTEXT && Number(next.type) === 0 ? children(next)[0] : undefined;
    const nextUpdateMs = nextNode ? timeOf(nextNode) : null;
    if (nextUpdateMs !== null && nextUpdateMs <= nowMs) return refused('it is out of date', FETCH);
    return { refusal: null, cure: '', nextUpdateMs };
  }
  return refused(`it is not about the certificate with serial ${serial}`, FETCH);
}

function refused(why: string, cure: string): StapleVerdict {
  return { refusal: `the OCSP response is not stapled: ${why}`, cure, nextUpdateMs: null };
}

/** OCSPResponse → responseBytes → BasicOCSPResponse → tbsResponseData → responses. */
function singleResponses(der: Uint8Array): Node[] {
  const [status, bytes] = children(parse(Buffer.from(der).toString('latin1')));
  if (status?.value !== '\0' || !bytes) throw new Error('not successful');
  const octets = children(children(bytes)[0] as Node)[1] as Node;
  // Forge may have parsed an OCTET STRING that holds DER.
  const basic = typeof octets.value === 'string' ? parse(octets.value) : (octets.value[0] as Node);
  const data = children(children(basic)[0] as Node);
  const responses = data.find(
    (node) => node.tagClass === 0 && Number(node.type) === forge().asn1.Type.SEQUENCE,
  );
  return children(responses as Node);
}

function parse(der: string): Node {
  return forge().asn1.fromDer(der);
}

function children(node: Node): Node[] {
  if (typeof node.value === 'string') throw new Error('not constructed');
  return node.value;
}

function timeOf(node: Node): number {
  return forge()
    .asn1.generalizedTimeToDate(node.value as string)
    .getTime();
}

function stripZeros(hex: string): string {
  return hex.replace(/^0+/, '');
}
