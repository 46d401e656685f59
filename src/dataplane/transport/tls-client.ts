/**
 * TLS to the endpoints of one service. The certificate must chain to the service's CA bundle and hold
 * one of `subjectAltNames` (Envoy's `match_typed_subject_alt_names`, Istio's `subjectAltNames`), else the
 * `sni`, else the address dialled; only subject alternative names count, never a common name
 * (RFC 9525 section 2). Envoy without names accepts any certificate of the CA: this never does.
 *
 * Sessions are kept per endpoint, because resuming spares both sides the signature. Node doesn't check
 * names again on resumption, so a session lives no longer than the trust it was made under: another
 * bundle or client certificate empties the cache, and no session outlives the endpoint's certificate.
 */
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { type Clock, invariant, LIMITS, nameMismatch } from '../../base/index.ts';
import type { CertificateSecret, SecretSet, TrustBundle, UpstreamTls } from '../../config/index.ts';
import { CIPHERS, GROUPS } from './tls-context.ts';
import type { Explained, TlsClientFailure } from './tls-error.ts';

export interface TlsOriginatorOptions {
  readonly tls: UpstreamTls;
  readonly secrets: SecretSet;
  readonly clock: Clock;
  /** Protocols offered by ALPN, preferred first; empty: none. */
  readonly alpn: readonly string[];
}

export interface TlsOriginator {
  /** Why no connection can be made now (a secret isn't loaded), or null. */
  readonly failure: Explained<TlsClientFailure> | null;
  /**
   * Starts a connection; `target` is what `tls.connect` takes: host (an address), port, `onread` and the
   * like. It is usable at `secureConnect`; until then `error` tells why not, see
   * `explainUpstreamTlsError`. Call it only while `failure` is null. `endpoint` keys the session cache.
   */
  connect(target: ConnectionOptions, endpoint: string): TLSSocket;
  /** New connections use these secrets. Returns `failure`. */
  update(secrets: SecretSet): Explained<TlsClientFailure> | null;
}

export function createTlsOriginator(options: TlsOriginatorOptions): TlsOriginator {
  return new Originator(options);
}

interface CachedSession {
  readonly bytes: Buffer;
  readonly notAfterMs: number;
}

class Originator implements TlsOriginator {
  failure: Explained<TlsClientFailure> | null = null;
  private readonly tls: UpstreamTls;
  private readonly clock: Clock;
  private readonly fixed: ConnectionOptions;
  private context: SecureContext | null = null;
  private trustId = '';
  private sessions = new Map<string, CachedSession>();

  constructor(options: TlsOriginatorOptions) {
    const { tls, alpn } = options;
    this.tls = tls;
    this.clock = options.clock;
    this.fixed = {
      // A server name is never an address (RFC 6066 section 3).
      ...(tls.sni !== null && isIP(tls.sni) === 0 ? { servername: tls.sni } : {}),
      ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
      rejectUnauthorized: true,
      checkServerIdentity: (dialled, certificate) => verifyNames(tls, dialled, certificate),
    };
    this.update(options.secrets);
  }

  update(secrets: SecretSet): Explained<TlsClientFailure> | null {
    const bundle = secrets.bundles.find((b) => b.name === this.tls.ca) ?? null;
    const own = secrets.certificates.find((c) => c.name === this.tls.certificate) ?? null;
    // Fails closed: without `ca` OpenSSL would trust every public CA.
    if (this.tls.ca !== null && bundle === null)
      return this.refuse('no-trust-bundle', `the CA bundle ${this.tls.ca} is not loaded; see tls.caFile`);
    if (this.tls.certificate !== null && own === null)
      return this.refuse(
        'no-certificate',
        `the certificate ${this.tls.certificate} is not loaded; see tls.certFile`,
      );
    const trustId = `${bundle?.hash ?? ''}/${own?.fingerprint256 ?? ''}`;
    if (this.context !== null && trustId === this.trustId) return null;
    try {
      this.context = newContext(bundle, own);
    } catch (error) {
      return this.refuse('no-certificate', `OpenSSL does not take the secrets: ${(error as Error).message}`);
    }
    this.trustId = trustId;
    this.failure = null;
    // Another Map, not a cleared one: connections made under the old trust still write to theirs.
    this.sessions = new Map();
    return null;
  }

  connect(target: ConnectionOptions, endpoint: string): TLSSocket {
    const { sessions } = this;
    invariant(this.context !== null, 'connect() on a TLS originator without secrets');
    const session = this.sessionFor(endpoint);
    const socket = connect({
      ...target,
      ...this.fixed,
      secureContext: this.context,
      ...(session ? { session } : {}),
    });
    socket.on('session', (bytes) => keepSession(sessions, endpoint, bytes, socket));
    // An endpoint that fails on a session gets a full handshake next time.
    socket.on('error', () => {
      if (!socket.authorized) sessions.delete(endpoint);
    });
    return socket;
  }

  private sessionFor(endpoint: string): Buffer | undefined {
    const cached = this.sessions.get(endpoint);
    if (!cached) return undefined;
    this.sessions.delete(endpoint);
    if (cached.notAfterMs <= this.clock.wallMs()) return undefined;
    this.sessions.set(endpoint, cached);
    return cached.bytes;
  }

  private refuse(code: TlsClientFailure, detail: string): Explained<TlsClientFailure> {
    this.context = null;
    this.sessions = new Map();
    this.failure = { code, detail };
    return this.failure;
  }
}

function newContext(bundle: TrustBundle | null, own: CertificateSecret | null): SecureContext {
  return createSecureContext({
    ...(bundle ? { ca: bundle.caPem } : {}),
    ...(own ? { cert: own.certPem, key: own.keyPem } : {}),
    ciphers: CIPHERS,
    ecdhCurve: GROUPS,
    minVersion: 'TLSv1.2',
  });
}

function keepSession(
  sessions: Map<string, CachedSession>,
  endpoint: string,
  bytes: Buffer,
  socket: TLSSocket,
): void {
  if (bytes.length > LIMITS.tlsSessionBytes) return;
  const notAfterMs = socket.getPeerX509Certificate()?.validToDate.getTime();
  if (notAfterMs === undefined) return;
  sessions.delete(endpoint);
  sessions.set(endpoint, { bytes, notAfterMs });
  if (sessions.size <= LIMITS.tlsSessionsPerService) return;
  for (const oldest of sessions.keys()) {
    sessions.delete(oldest);
    break;
  }
}

function verifyNames(tls: UpstreamTls, dialled: string, certificate: PeerCertificate): Error | undefined {
  const wanted = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : [tls.sni ?? dialled];
  const message = nameMismatch(wanted, certificate.subjectaltname);
  if (message === null) return undefined;
  return Object.assign(new Error(message), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}
