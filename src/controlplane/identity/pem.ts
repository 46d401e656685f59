/**
 * From PEM text to secrets, with every mistake people make with certificate files named and with its
 * cure. Nothing here reads files, so the same checks serve files, Kubernetes secrets and the demo's CA.
 */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type CertificateSecret, certificateSecret, type TrustBundle } from '../../config/index.ts';
import { staplable } from './ocsp.ts';
import { publicKeyFingerprint } from './x509.ts';

export interface SecretFault {
  /** The file at fault, or the name of a secret that is no file. */
  readonly path: string;
  readonly message: string;
  readonly cure: string;
  /** `error`: the secret is not used, the last good one stays. `warning`: it is used as described. */
  readonly severity: 'error' | 'warning';
}

export interface CertificateText {
  readonly name: string;
  readonly cert: { readonly path: string; readonly text: string };
  readonly key: { readonly path: string; readonly text: string };
  readonly ocsp: { readonly path: string; readonly bytes: Uint8Array } | null;
}

export interface Parsed<T> {
  readonly secret: T | null;
  readonly faults: SecretFault[];
  /** Milliseconds since the epoch at which a look at the same bytes comes out differently, or null. */
  readonly recheckAtMs: number | null;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;
const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
/** OpenSSL's security level 2, Node's default, refuses less. */
const RSA_BITS_MIN = 2_048;

export function parseCertificate(text: CertificateText, nowMs: number): Parsed<CertificateSecret> {
  const faults: SecretFault[] = [];
  const chain = parseChain(text.cert, faults);
  const key = parseKey(text.key, faults);
  if (chain.length === 0 || key === null) return { secret: null, faults, recheckAtMs: null };
  const ordered = orderChain(chain, key);
  if (ordered === null) {
    faults.push(mismatch(text, chain[0] as X509Certificate, key));
    return { secret: null, faults, recheckAtMs: null };
  }
  const leaf = ordered[0] as X509Certificate;
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }) as string;
  const certPem = ordered.map((certificate) => certificate.toString()).join('');
  faults.push(...chainFaults(text.cert.path, chain, ordered, nowMs));
  const unusable = keyFault(text.key.path, key) ?? contextFault(text.cert.path, certPem, keyPem);
  if (unusable) return { secret: null, faults: [...faults, unusable], recheckAtMs: null };

  const stapled = text.ocsp ? staplable(text.ocsp.bytes, leaf.serialNumber, nowMs) : null;
  if (text.ocsp && stapled?.refusal) faults.push(warning(text.ocsp.path, stapled.refusal, stapled.cure));
  const hosts = dnsNames(leaf);
  const secret = certificateSecret({
    name: text.name,
    certPem,
    keyPem,
    ocsp: text.ocsp && stapled?.refusal === null ? text.ocsp.bytes : null,
    hosts,
    keyType: key.asymmetricKeyType?.startsWith('rsa') ? 'rsa' : 'ec',
    serial: leaf.serialNumber,
    notAfterMs: leaf.validToDate.getTime(),
    fingerprint256: leaf.fingerprint256,
  });
  return { secret, faults, recheckAtMs: stapled?.nextUpdateMs ?? null };
}

export function parseBundle(name: string, path: string, text: string, nowMs: number): Parsed<TrustBundle> {
  const faults: SecretFault[] = [];
  const certificates = parseChain({ path, text }, faults);
  if (certificates.length === 0) return { secret: null, faults, recheckAtMs: null };
  for (const certificate of certificates) {
    const subject = oneLine(certificate.subject);
    if (!certificate.ca)
      faults.push(warning(path, `${subject} is no CA certificate`, 'list CA certificates only'));
    if (certificate.validToDate.getTime() < nowMs)
      faults.push(
        warning(path, `the CA ${subject} expired on ${certificate.validTo}`, 'remove it or replace it'),
      );
  }
  const unique = new Map(certificates.map((c) => [c.fingerprint256, c.toString()]));
  const hash = createHash('sha256')
    .update([...unique.keys()].sort().join())
    .digest('hex');
  const secret = { name, caPem: [...unique.values()].join(''), hash };
  return { secret, faults, recheckAtMs: null };
}

function parseChain(file: { path: string; text: string }, faults: SecretFault[]): X509Certificate[] {
  const { path, text } = file;
  const out: X509Certificate[] = [];
  let privateKeys = 0;
  for (const [block, label] of text.matchAll(BLOCK)) {
    if (label?.endsWith('PRIVATE KEY')) privateKeys++;
    if (label !== 'CERTIFICATE') continue;
    try {
      out.push(new X509Certificate(block));
    } catch (problem) {
      const message = `certificate ${out.length + 1} in it is damaged: ${(problem as Error).message}`;
      faults.push(error(path, message, 'copy the file again, whole'));
      return [];
    }
  }
  if (out.length > 0) return out;
  if (privateKeys > 0) faults.push(error(path, 'it holds a private key and no certificate', SWAPPED));
  else if (text.charCodeAt(0) === 0x30)
    faults.push(
      error(path, 'it is DER, not PEM', 'convert it: openssl x509 -inform der -in FILE -out FILE.pem'),
    );
  else
    faults.push(
      error(path, 'it holds no PEM certificate', 'a certificate begins with -----BEGIN CERTIFICATE-----'),
    );
  return [];
}

const SWAPPED = 'certFile and keyFile look swapped';

function parseKey(file: { path: string; text: string }, faults: SecretFault[]): KeyObject | null {
  const { path, text } = file;
  const labels = [...text.matchAll(BLOCK)].map(([block, label]) => ({ block, label: label as string }));
  const found = labels.find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (!found) {
    const swapped = labels.some(({ label }) => label === 'CERTIFICATE');
    const cure = swapped ? SWAPPED : 'a key begins with -----BEGIN PRIVATE KEY-----';
    faults.push(error(path, 'it holds no PEM private key', cure));
    return null;
  }
  if (found.label.startsWith('ENCRYPTED') || found.block.includes('Proc-Type: 4,ENCRYPTED')) {
    const cure = 'decrypt it: openssl pkey -in FILE -out FILE.plain, and protect it by file permissions';
    faults.push(error(path, 'the private key is encrypted', cure));
    return null;
  }
  try {
    return createPrivateKey(found.block);
  } catch (problem) {
    faults.push(
      error(path, `the private key can't be read: ${(problem as Error).message}`, 'copy it again, whole'),
    );
    return null;
  }
}

/** Leaf first, then each one's issuer (RFC 8446 section 4.4.2); null when the key belongs to none. */
function orderChain(chain: readonly X509Certificate[], key: KeyObject): X509Certificate[] | null {
  const leaf = chain.find((certificate) => certificate.checkPrivateKey(key));
  if (!leaf) return null;
  const ordered = [leaf];
  for (let last: X509Certificate | undefined = leaf; last; ) {
    const current: X509Certificate = last;
    last = chain.find((c) => !ordered.includes(c) && current.checkIssued(c));
    if (last) ordered.push(last);
  }
  return ordered;
}

function mismatch(text: CertificateText, leaf: X509Certificate, key: KeyObject): SecretFault {
  const shown = publicKeyFingerprint(leaf.publicKey);
  const held = publicKeyFingerprint(key);
  return error(
    text.key.path,
    `the private key does not belong to the certificate in ${text.cert.path}: the certificate's public key is SHA-256 ${shown}, the key's is ${held}`,
    'put both files of one issue in place; while they are being replaced this passes by itself',
  );
}

function chainFaults(
  path: string,
  given: readonly X509Certificate[],
  ordered: readonly X509Certificate[],
  nowMs: number,
): SecretFault[] {
  const faults: SecretFault[] = [];
  const leaf = ordered[0] as X509Certificate;
  if (ordered.some((certificate, i) => certificate !== given[i]))
    faults.push(
      warning(
        path,
        'the chain is out of order; it is served in order',
        'write the leaf first, then each issuer',
      ),
    );
  for (const stray of given.filter((certificate) => !ordered.includes(certificate)))
    faults.push(
      warning(path, `${oneLine(stray.subject)} is not part of the chain and is not sent`, 'remove it'),
    );
  for (const certificate of ordered) {
    const subject = oneLine(certificate.subject);
    if (certificate.validToDate.getTime() < nowMs)
      faults.push(
        warning(path, `${subject} expired on ${certificate.validTo}`, 'renew it; clients refuse it'),
      );
    else if (certificate.validFromDate.getTime() > nowMs)
      faults.push(
        warning(path, `${subject} is valid from ${certificate.validFrom}`, "check this machine's clock"),
      );
  }
  if (leaf.subjectAltName === undefined)
    faults.push(
      warning(path, 'it has no subjectAltName, so no current client accepts it', 'issue one with DNS names'),
    );
  return faults;
}

function keyFault(path: string, key: KeyObject): SecretFault | null {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'ec' && !CURVES.has(details?.namedCurve ?? ''))
    return error(
      path,
      `curve ${details?.namedCurve} can't be used`,
      'use P-256 (prime256v1), P-384 or P-521',
    );
  if (key.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) < RSA_BITS_MIN)
    return error(
      path,
      `an RSA key of ${details?.modulusLength} bits is too short`,
      'use EC P-256, or RSA 2048',
    );
  return null;
}

/** The last word is OpenSSL's: whatever it refuses must not reach a worker. */
function contextFault(path: string, certPem: string, keyPem: string): SecretFault | null {
  try {
    createSecureContext({ cert: certPem, key: keyPem });
    return null;
  } catch (problem) {
    return error(path, `OpenSSL refuses it: ${(problem as Error).message}`, 'issue another certificate');
  }
}

function dnsNames(leaf: X509Certificate): string[] {
  const names = leaf.subjectAltName ?? '';
  return [...names.matchAll(/(?:^|, )DNS:([^",]+)/g)].map((match) => (match[1] as string).toLowerCase());
}

function oneLine(subject: string): string {
  return `"${subject.replaceAll('\n', ', ')}"`;
}

export function error(path: string, message: string, cure: string): SecretFault {
  return { path, message, cure, severity: 'error' };
}

function warning(path: string, message: string, cure: string): SecretFault {
  return { path, message, cure, severity: 'warning' };
}
