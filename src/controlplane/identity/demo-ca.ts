/**
 * A throwaway certificate authority, made at start for the demo and by the tests. Its keys live in
 * memory only. EC P-256 throughout: signing costs a server about a twentieth of RSA-2048.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { buildCertificate } from './x509.ts';

const DAY_MS = 86_400_000;
/** Clocks of the machines that meet a fresh certificate differ by this much at most. */
const BACKDATE_MS = 3_600_000;

type KeyType = 'ec' | 'rsa' | 'rsa-4096';

export interface CertificateAuthority {
  readonly commonName: string;
  readonly certPem: string;
  /** The certificates that a leaf's chain needs below the root; empty for a root. */
  readonly chainPem: string;
  readonly key: KeyObject;
}

export interface CaOptions {
  readonly commonName: string;
  /** Issuer of an intermediate; absent: self-signed. */
  readonly parent?: CertificateAuthority;
  readonly keyType?: 'ec' | 'rsa';
  readonly notBefore?: Date;
  /** Default: ten years after `notBefore`. */
  readonly notAfter?: Date;
}

export interface LeafOptions {
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** For a workload: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
  readonly uris?: readonly string[];
  /** Default: an hour ago. */
  readonly notBefore?: Date;
  /** Default: 30 days from now. */
  readonly notAfter?: Date;
  /** Default `ec` (P-256); `rsa` is 2048 bits. */
  readonly keyType?: KeyType;
}

export interface IssuedCertificate {
  /** Leaf, then intermediates. */
  readonly certPem: string;
  readonly keyPem: string;
  /** Upper-case hexadecimal, as X509Certificate.serialNumber shows it. */
  readonly serial: string;
}

export function createCa(options: CaOptions): CertificateAuthority {
  const { publicKey, privateKey } = keyPair(options.keyType ?? 'ec');
  const notBefore = options.notBefore ?? new Date(Date.now() - BACKDATE_MS);
  const { parent } = options;
  const certPem = buildCertificate(
    {
      serial: newSerial(),
      subject: options.commonName,
      issuer: parent?.commonName ?? options.commonName,
      notBefore,
      notAfter: options.notAfter ?? new Date(notBefore.getTime() + 3650 * DAY_MS),
      publicKey,
      issuerPublicKey: parent ? parent.key : publicKey,
      isCa: true,
      dnsNames: [],
      ipAddresses: [],
      uris: [],
    },
    parent?.key ?? privateKey,
  );
  const chainPem = parent ? certPem + parent.chainPem : '';
  return { commonName: options.commonName, certPem, chainPem, key: privateKey };
}

export function issueCertificate(ca: CertificateAuthority, options: LeafOptions): IssuedCertificate {
  const { publicKey, privateKey } = keyPair(options.keyType ?? 'ec');
  const leafPem = buildCertificate(
    {
      serial: newSerial(),
      subject: options.commonName,
      issuer: ca.commonName,
      notBefore: options.notBefore ?? new Date(Date.now() - BACKDATE_MS),
      notAfter: options.notAfter ?? new Date(Date.now() + 30 * DAY_MS),
      publicKey,
      issuerPublicKey: ca.key,
      isCa: false,
      dnsNames: options.dnsNames ?? [],
      ipAddresses: options.ipAddresses ?? [],
      uris: options.uris ?? [],
    },
    ca.key,
  );
  return {
    certPem: leafPem + ca.chainPem,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    serial: new X509Certificate(leafPem).serialNumber,
  };
}

/** 127 random bits with the two highest fixed, so that the number is positive and its DER minimal. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function keyPair(type: KeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  return type === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: type === 'rsa' ? 2048 : 4096 });
}
