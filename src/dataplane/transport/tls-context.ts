/**
 * From a listener's TLS settings and the secrets to the servers that terminate it: one `tls.Server`
 * (which never listens) per certificate pair and ticket key, made when first needed. A server is never
 * changed: another certificate, client CA or key is another server, so connections under way finish
 * with what they began with, and an old one is freed with its last connection.
 *
 * Two certificates of one name, EC and RSA, share a server: OpenSSL shows each client the one it can
 * verify. EC goes last, because Node's SNICallback and OCSP paths see only the last one.
 */
import { constants, createHash, X509Certificate } from 'node:crypto';
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { normalName } from '../../base/index.ts';
import type { CertificateSecret, ListenerTls, SecretSet, TrustBundle } from '../../config/index.ts';

/**
 * Envoy's groups first, its default. OpenSSL 3.5 would take X25519MLKEM768 where a client offers both
 * it and X25519, for 80 of 400 µs a handshake, measured; a client that has only the hybrid still gets it.
 * The P curves must stay: TLS 1.2 demands the curve of an EC certificate among the groups.
 */
export const GROUPS = 'X25519:P-256:P-384:P-521:X25519MLKEM768';

/** Envoy's and Istio's TLS 1.2 suites that keep forward secrecy, AES-128 first; TLS 1.3 likewise. */
export const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':');

/** Seconds a session may be resumed: RFC 8446 allows 7 days, BoringSSL and so Envoy take two hours. */
const SESSION_SECONDS = 7_200;

export interface ServerHooks {
  readonly handshakeTimeoutMs: number;
  readonly onSecure: (socket: TLSSocket) => void;
  readonly onError: (error: NodeJS.ErrnoException, socket: TLSSocket) => void;
}

/** The certificates shown under one name: at most one of each key type. */
interface Pair {
  ec: CertificateSecret | null;
  rsa: CertificateSecret | null;
}

/** What one version of the secrets means for one listener; immutable but for the servers made on demand. */
export class TlsEpoch {
  /** Equal for two versions of the secrets that mean the same to this listener. */
  readonly id: string;
  private readonly tls: ListenerTls;
  private readonly hooks: ServerHooks;
  private readonly base: SecureContextOptions;
  private readonly ticketKeys: readonly Uint8Array[];
  private readonly byName = new Map<string, Pair>();
  private readonly fallback: Pair;
  private readonly multiple: boolean;
  private readonly servers = new Map<string, Server>();
  private readonly contexts = new Map<Pair, SecureContext>();

  constructor(
    listener: string,
    tls: ListenerTls,
    certificates: readonly CertificateSecret[],
    bundle: TrustBundle | null,
    secrets: SecretSet,
    hooks: ServerHooks,
  ) {
    this.tls = tls;
    this.hooks = hooks;
    this.ticketKeys = secrets.ticketKeys;
    this.id = epochId(certificates, bundle, secrets.ticketKeys);
    this.base = contextOptions(listener, tls, bundle);
    const first = certificates[0] as CertificateSecret;
    for (const secret of certificates) this.index(secret);
    this.fallback = this.find(first.hosts[0] ?? '') ?? pairOf(first);
    if (this.fallback.ec !== first && this.fallback.rsa !== first) this.fallback = pairOf(first);
    this.multiple = certificates.some((c) => c !== this.fallback.ec && c !== this.fallback.rsa);
  }

  get keys(): readonly Uint8Array[] {
    return this.ticketKeys;
  }

  /** The server for a name (`null`: not known yet, so it asks through SNICallback) and ticket key. */
  serverFor(name: string | null, keyIndex: number): Server {
    const pair = (name !== null && name !== '' && this.find(name)) || this.fallback;
    const asks = name === null && this.multiple;
    const id = `${asks ? '?' : pairId(pair)}/${keyIndex}`;
    let server = this.servers.get(id);
    if (!server) {
      server = this.newServer(pair, keyIndex, asks);
      this.servers.set(id, server);
    }
    return server;
  }

  /** Exact name, then a wildcard for one whole leftmost label (RFC 6125 section 6.4.3). */
  private find(name: string): Pair | undefined {
    const exact = this.byName.get(name);
    if (exact) return exact;
    const dot = name.indexOf('.');
    return dot < 1 ? undefined : this.byName.get(`*${name.slice(dot)}`);
  }

  private index(secret: CertificateSecret): void {
    const single = pairOf(secret);
    for (const host of secret.hosts) {
      const name = normalName(host);
      const known = this.byName.get(name);
      if (!known) this.byName.set(name, { ...single });
      else if (!known.ec) known.ec = single.ec;
      else if (!known.rsa) known.rsa = single.rsa;
    }
  }

  private newServer(pair: Pair, keyIndex: number, asks: boolean): Server {
    const key = this.ticketKeys[keyIndex];
    const server = new Server({
      ...this.base,
      ...chains(pair),
      ...(key ? { ticketKeys: Buffer.from(key) } : {}),
      ...(asks ? { SNICallback: this.sniCallback } : {}),
      ...(this.tls.alpn.length > 0 ? { ALPNProtocols: [...this.tls.alpn] } : {}),
      requestCert: this.tls.clientAuth !== 'off',
      // Absent certificates are refused by OpenSSL, with an alert; invalid ones by Node after the handshake.
      rejectUnauthorized: this.tls.clientAuth === 'require',
      handshakeTimeout: this.hooks.handshakeTimeoutMs,
    });
    server.on('secureConnection', this.hooks.onSecure);
    server.on('tlsClientError', this.hooks.onError);
    const staple = asks ? null : stapleOf(pair);
    if (staple) server.on('OCSPRequest', (_leaf, _issuer, done) => done(null, staple));
    else if (asks) server.on('OCSPRequest', (leaf, _issuer, done) => done(null, this.stapleFor(leaf)));
    return server;
  }

  private readonly sniCallback: NonNullable<TlsOptions['SNICallback']> = (name, done) => {
    done(null, this.contextFor(name));
  };

  private contextFor(name: string): SecureContext | undefined {
    const pair = this.find(normalName(name));
    if (!pair) return undefined;
    let context = this.contexts.get(pair);
    if (!context) {
      context = createSecureContext({ ...this.base, ...chains(pair) });
      this.contexts.set(pair, context);
    }
    return context;
  }

  /** Node passes the leaf that is about to be shown; an OCSP response must be for that one. */
  private stapleFor(leaf: Buffer | null): Buffer | null {
    if (leaf === null) return null;
    const shown = new X509Certificate(leaf).fingerprint256;
    if (this.fallback.ec?.fingerprint256 === shown || this.fallback.rsa?.fingerprint256 === shown)
      return stapleOf(this.fallback);
    for (const pair of this.contexts.keys())
      if (pair.ec?.fingerprint256 === shown || pair.rsa?.fingerprint256 === shown) return stapleOf(pair);
    return null;
  }
}

/** Changes when anything that decides whether a client may resume changes; 32 bytes is OpenSSL's limit. */
function sessionIdContext(listener: string, tls: ListenerTls, bundle: TrustBundle | null): string {
  const what = JSON.stringify([listener, bundle?.hash ?? null, tls.clientAuth]);
  return createHash('sha256').update(what).digest('hex').slice(0, 32);
}

function contextOptions(
  listener: string,
  tls: ListenerTls,
  bundle: TrustBundle | null,
): SecureContextOptions {
  return {
    ...(bundle ? { ca: bundle.caPem } : {}),
    ciphers: CIPHERS,
    ecdhCurve: GROUPS,
    honorCipherOrder: true,
    minVersion: tls.minProtocolVersion === 'TLSv1_3' ? 'TLSv1.3' : 'TLSv1.2',
    sessionIdContext: sessionIdContext(listener, tls, bundle),
    sessionTimeout: SESSION_SECONDS,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

function epochId(
  certificates: readonly CertificateSecret[],
  bundle: TrustBundle | null,
  keys: readonly Uint8Array[],
): string {
  const hash = createHash('sha256').update(bundle?.hash ?? '');
  for (const secret of certificates) hash.update(secret.certPem).update(secret.ocsp ?? '-');
  for (const key of keys) hash.update(key);
  return hash.digest('hex');
}

function pairOf(secret: CertificateSecret): Pair {
  return secret.keyType === 'rsa' ? { ec: null, rsa: secret } : { ec: secret, rsa: null };
}

function pairId(pair: Pair): string {
  return `${pair.ec?.fingerprint256 ?? ''}+${pair.rsa?.fingerprint256 ?? ''}`;
}

function chains(pair: Pair): SecureContextOptions {
  const both = [pair.rsa, pair.ec].filter((secret) => secret !== null);
  return { cert: both.map((secret) => secret.certPem), key: both.map((secret) => secret.keyPem) };
}

/** Nothing for two chains: Node doesn't say which of them the client will see. */
function stapleOf(pair: Pair): Buffer | null {
  const only = pair.ec === null ? pair.rsa : pair.rsa === null ? pair.ec : null;
  return only?.ocsp ? Buffer.from(only.ocsp) : null;
}
