/**
 * TLS settings and the secrets behind them. A snapshot carries settings only, and names secrets; keys
 * travel from the secret store to the workers as a `SecretSet`, apart from every snapshot.
 *
 * Nothing that prints an object can print a key: `keyPem` and `ticketKeys` are not enumerable, so
 * JSON.stringify, util.inspect, a spread, Object.entries and structuredClone all pass them by. The one
 * way to another thread is `encodeSecrets`, whose ArrayBuffer JSON shows as {} and util.inspect as the
 * zeros of its padding.
 */
import { deserialize, serialize } from 'node:v8';

/** How a listener terminates TLS. */
export interface ListenerTls {
  /** Secret names; the first is shown to clients that send no server name, or one nobody has. */
  readonly certificates: readonly string[];
  /**
   * `off`: no client certificate is asked for. `request`: a client without one passes, one with an
   * invalid one is refused. `require`: one without is refused too.
   */
  readonly clientAuth: 'off' | 'request' | 'require';
  /** Name of the bundle that client certificates must chain to; null only with `clientAuth: off`. */
  readonly clientCa: string | null;
  readonly minProtocolVersion: 'TLSv1_2' | 'TLSv1_3';
  /** Protocols offered by ALPN (RFC 7301), preferred first; empty: ALPN is not answered. */
  readonly alpn: readonly string[];
}

/** How TLS is originated to the endpoints of a service. */
export interface UpstreamTls {
  /** Server name sent and, without `subjectAltNames`, verified. Null: none is sent. */
  readonly sni: string | null;
  /** Name of the bundle that endpoint certificates must chain to; null: the roots that come with Node. */
  readonly ca: string | null;
  /** Names (DNS, IP address or URI) of which the certificate must hold one; empty: `sni` is verified. */
  readonly subjectAltNames: readonly string[];
  /** Secret name of the client certificate; null: none is sent. */
  readonly certificate: string | null;
}

export interface CertificateSecret {
  readonly name: string;
  /** Leaf first, then its intermediates. */
  readonly certPem: string;
  /** Unencrypted PKCS#8, SEC 1 or PKCS#1. Not enumerable. */
  readonly keyPem: string;
  /** DER OCSP response to staple, or null. */
  readonly ocsp: Uint8Array | null;
  /** DNS names of the certificate, lower case, wildcards as written. */
  readonly hosts: readonly string[];
  /** `rsa`, or `ec` for every other kind; one of each may share a name. */
  readonly keyType: 'ec' | 'rsa';
  /** Upper-case hexadecimal. */
  readonly serial: string;
  readonly notAfterMs: number;
  /** SHA-256 of the leaf, upper-case hexadecimal with colons. */
  readonly fingerprint256: string;
}

export interface TrustBundle {
  readonly name: string;
  readonly caPem: string;
  /** SHA-256 of the certificates, hexadecimal; changes when, and only when, trust changes. */
  readonly hash: string;
}

export interface SecretSet {
  /** Grows with every change. */
  readonly version: number;
  readonly certificates: readonly CertificateSecret[];
  readonly bundles: readonly TrustBundle[];
  /** Session ticket keys, 48 bytes each: the current one first, then those still accepted. Not enumerable. */
  readonly ticketKeys: readonly Uint8Array[];
}

/** Bytes of a ticket key: OpenSSL's name, HMAC key and AES key of 16 each. */
export const TICKET_KEY_BYTES = 48;

/** Zeros before the encoded secrets, more than the 100 bytes that util.inspect shows of a buffer. */
const PADDING_BYTES = 128;

export function certificateSecret(parts: CertificateSecret): CertificateSecret {
  const { keyPem } = parts;
  return Object.freeze(
    Object.defineProperty({ ...parts, keyPem }, 'keyPem', { value: keyPem, enumerable: false }),
  );
}

export function secretSet(parts: SecretSet): SecretSet {
  for (const key of parts.ticketKeys) {
    if (key.byteLength !== TICKET_KEY_BYTES)
      throw new Error(`a ticket key has ${key.byteLength} bytes; it must have ${TICKET_KEY_BYTES}`);
  }
  const { ticketKeys } = parts;
  const set: SecretSet = { ...parts, ticketKeys, certificates: parts.certificates.map(certificateSecret) };
  return Object.freeze(Object.defineProperty(set, 'ticketKeys', { value: ticketKeys, enumerable: false }));
}

export const NO_SECRETS: SecretSet = secretSet({ version: 0, certificates: [], bundles: [], ticketKeys: [] });

/** The set as bytes for `postMessage`; only a worker's `decodeSecrets` should ever read them. */
export function encodeSecrets(set: SecretSet): ArrayBuffer {
  const bytes = serialize({
    ...set,
    certificates: set.certificates.map((c) => ({ ...c, keyPem: c.keyPem })),
    ticketKeys: set.ticketKeys,
  });
  const out = new ArrayBuffer(PADDING_BYTES + bytes.byteLength);
  new Uint8Array(out).set(bytes, PADDING_BYTES);
  bytes.fill(0);
  return out;
}

export function decodeSecrets(encoded: ArrayBuffer): SecretSet {
  return secretSet(deserialize(new Uint8Array(encoded, PADDING_BYTES)) as SecretSet);
}
