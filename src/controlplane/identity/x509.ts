/**
 * X.509 certificates as bytes: node-forge's ASN.1 for the structures, node:crypto for the keys and
 * signatures, because node-forge knows no elliptic curves. Profile: RFC 5280. Only what a mesh
 * certificate needs is here: one common name, subject alternative names, basic constraints, key usages.
 */
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';
import type Forge from 'node-forge';
import { forge } from './forge.ts';

export interface CertificateFields {
  /** Positive, hexadecimal, at most 20 bytes (RFC 5280 section 4.1.2.2). */
  readonly serial: string;
  readonly subject: string;
  readonly issuer: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: KeyObject;
  readonly issuerPublicKey: KeyObject;
  readonly isCa: boolean;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
}

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  rsaWithSha256: '1.2.840.113549.1.1.11',
} as const;

const asn1 = (): typeof Forge.asn1 => forge().asn1;

/** First bit of keyUsage is the highest: digitalSignature 0, keyEncipherment 2, keyCertSign 5, cRLSign 6. */
const USAGE_CA = '\x01\x86';
const USAGE_LEAF_EC = '\x07\x80';
const USAGE_LEAF_RSA = '\x05\xa0';

/** A signed certificate, PEM. `signingKey` is the issuer's private key: EC P-256 or RSA. */
export function buildCertificate(fields: CertificateFields, signingKey: KeyObject): string {
  const algorithm = signatureAlgorithm(signingKey);
  const tbs = seq([
    context(0, [integer('02')]),
    integer(fields.serial),
    algorithm,
    name(fields.issuer),
    seq([time(fields.notBefore), time(fields.notAfter)]),
    name(fields.subject),
    fromDer(spki(fields.publicKey)),
    context(3, [seq(extensions(fields))]),
  ]);
  const signature = sign('sha256', toDer(tbs), signingKey);
  const certificate = seq([tbs, algorithm, bitString(`\0${signature.toString('latin1')}`)]);
  return pem('CERTIFICATE', toDer(certificate));
}

export function pem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g) as string[];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** SHA-256 of the public key, hexadecimal: the same for a certificate and the key that belongs to it. */
export function publicKeyFingerprint(key: KeyObject): string {
  return createHash('sha256').update(spki(key)).digest('hex');
}

function extensions(fields: CertificateFields): Forge.asn1.Asn1[] {
  const isEc = fields.publicKey.asymmetricKeyType === 'ec';
  const usage = fields.isCa ? USAGE_CA : isEc ? USAGE_LEAF_EC : USAGE_LEAF_RSA;
  const out = [
    extension(OID.basicConstraints, true, seq(fields.isCa ? [boolean(true)] : [])),
    extension(OID.keyUsage, true, bitString(usage)),
    extension(OID.subjectKeyId, false, octets(keyId(fields.publicKey))),
    extension(OID.authorityKeyId, false, seq([implicit(0, keyId(fields.issuerPublicKey))])),
  ];
  if (!fields.isCa)
    out.push(extension(OID.extKeyUsage, false, seq([oid(OID.serverAuth), oid(OID.clientAuth)])));
  // GeneralName tags of RFC 5280 section 4.2.1.6: dNSName 2, URI 6, iPAddress 7.
  const names = [
    ...fields.dnsNames.map((dns) => implicit(2, dns)),
    ...fields.uris.map((uri) => implicit(6, uri)),
    ...fields.ipAddresses.map((ip) => implicit(7, ipBytes(ip))),
  ];
  if (names.length > 0) out.push(extension(OID.subjectAltName, false, seq(names)));
  return out;
}

function signatureAlgorithm(key: KeyObject): Forge.asn1.Asn1 {
  if (key.asymmetricKeyType === 'ec') return seq([oid(OID.ecdsaWithSha256)]);
  return seq([oid(OID.rsaWithSha256), node(asn1().Type.NULL, false, '')]);
}

function name(commonName: string): Forge.asn1.Asn1 {
  const attribute = (type: string, value: string) =>
    node(asn1().Type.SET, true, [
      seq([oid(type), node(asn1().Type.UTF8, false, forge().util.encodeUtf8(value))]),
    ]);
  return seq([attribute(OID.organization, 'Outboard'), attribute(OID.commonName, commonName)]);
}

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050. */
function time(date: Date): Forge.asn1.Asn1 {
  if (date.getUTCFullYear() < 2050) return node(asn1().Type.UTCTIME, false, asn1().dateToUtcTime(date));
  return node(asn1().Type.GENERALIZEDTIME, false, asn1().dateToGeneralizedTime(date));
}

/** SHA-1 of the key's bit string (RFC 5280 section 4.2.1.2, method 1). */
function keyId(key: KeyObject): string {
  const info = fromDer(spki(key)).value as Forge.asn1.Asn1[];
  const bits = (info[1] as Forge.asn1.Asn1).value as string;
  const key1 = Buffer.from(bits, 'latin1').subarray(1);
  return createHash('sha1').update(key1).digest('latin1');
}

function ipBytes(ip: string): string {
  if (isIP(ip) === 0) throw new Error(`"${ip}" is not an IP address; put host names under dnsNames`);
  // Missing in @types/node-forge.
  return (forge().util as unknown as { bytesFromIP(text: string): string }).bytesFromIP(ip);
}

function spki(key: KeyObject): Buffer {
  const shown = key.type === 'private' ? createPublicKey(key) : key;
  return shown.export({ type: 'spki', format: 'der' });
}

function extension(id: string, critical: boolean, value: Forge.asn1.Asn1): Forge.asn1.Asn1 {
  const body = octets(toDer(value).toString('latin1'));
  return seq(critical ? [oid(id), boolean(true), body] : [oid(id), body]);
}

function node(type: Forge.asn1.Type, constructed: boolean, value: string | Forge.asn1.Asn1[]) {
  // BIT STRINGs are given with their first byte (unused bits); forge's own handling would parse them.
  return asn1().create(asn1().Class.UNIVERSAL, type, constructed, value);
}

const seq = (value: Forge.asn1.Asn1[]) => node(asn1().Type.SEQUENCE, true, value);
const oid = (id: string) => node(asn1().Type.OID, false, asn1().oidToDer(id).getBytes());
const octets = (value: string) => node(asn1().Type.OCTETSTRING, false, value);
const bitString = (value: string) => node(asn1().Type.BITSTRING, false, value);
const boolean = (value: boolean) => node(asn1().Type.BOOLEAN, false, value ? '\xff' : '\0');
const integer = (hex: string) => node(asn1().Type.INTEGER, false, forge().util.hexToBytes(hex));
const context = (tag: number, value: Forge.asn1.Asn1[]) =>
  asn1().create(asn1().Class.CONTEXT_SPECIFIC, tag as Forge.asn1.Type, true, value);
const implicit = (tag: number, value: string) =>
  asn1().create(asn1().Class.CONTEXT_SPECIFIC, tag as Forge.asn1.Type, false, value);
const toDer = (value: Forge.asn1.Asn1) => Buffer.from(asn1().toDer(value).getBytes(), 'latin1');
const fromDer = (der: Buffer) => asn1().fromDer(der.toString('latin1'));
