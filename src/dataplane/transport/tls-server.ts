/**
 * TLS termination for one listener of one worker. The listener accepts raw sockets and reads a first
 * chunk to tell TLS from HTTP; this gives that chunk back to the socket and hands the socket to a
 * `tls.Server` that never listens (a bare TLSSocket never staples OCSP). Which server follows from the
 * ClientHello: its name picks the certificate, its ticket picks the ticket key.
 *
 * Every accepted socket ends in exactly one call of `onSecure` or `onFailure`. Who may resume is decided
 * by the session id context (listener, client CA, client-auth mode) and by OpenSSL's verdict, which the
 * ticket carries; a certificate that expired since is refused here, because OpenSSL doesn't look again.
 * CPU, measured: 320 µs for a full TLS 1.3 handshake with an EC P-256 certificate, 540 with RSA-2048.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/index.ts';
import type { CertificateSecret, ListenerTls, SecretSet } from '../../config/index.ts';
import type { TlsFacts } from '../../message/index.ts';
import { type ServerHooks, TlsEpoch } from './tls-context.ts';
import { explainClientCertificate, explainServerError, type TlsServerFailure } from './tls-error.ts';
import { type Hello, readHello, sealedWith } from './tls-hello.ts';
import { peerCertificate } from './tls-peer.ts';

export interface TlsTerminatorOptions {
  readonly listener: string;
  readonly tls: ListenerTls;
  readonly secrets: SecretSet;
  readonly clock: Clock;
  /** Milliseconds for the whole handshake; bytes that trickle in don't extend it. */
  readonly handshakeTimeoutMs: number;
  /** `raw` is the socket that was accepted; `facts.peer` is null or a certificate that was verified. */
  onSecure(socket: TLSSocket, raw: Socket, facts: TlsFacts): void;
  /** `socket` is destroyed already, its TLS alert, if any, sent. */
  onFailure(socket: Socket, code: TlsServerFailure, detail: string): void;
}

export interface TlsTerminator {
  /** Handshakes under way. */
  readonly handshaking: number;
  /**
   * Takes the socket over: it must be paused, with no data listener left. `head` holds the bytes read
   * from it so far and is given back to it.
   */
  accept(socket: Socket, head: Buffer): void;
  /**
   * New connections use these secrets. Returns null, or why the last good ones stay; a missing client CA
   * is no such reason: without it every client is refused.
   */
  update(secrets: SecretSet): string | null;
  /** Refuses what is accepted from now on; handshakes under way finish, as do connections. */
  close(): void;
}

export function createTlsTerminator(options: TlsTerminatorOptions): TlsTerminator {
  return new Terminator(options);
}

class Terminator implements TlsTerminator {
  handshaking = 0;
  private readonly options: TlsTerminatorOptions;
  private readonly hooks: ServerHooks;
  private readonly hello: Hello = { serverName: '', ticketNameAt: -1 };
  private epoch: TlsEpoch | null = null;
  /** Why nothing can be served, while `epoch` is null. */
  private refusal: TlsServerFailure = 'no-certificate';
  private refusalDetail = '';

  constructor(options: TlsTerminatorOptions) {
    this.options = options;
    this.hooks = {
      handshakeTimeoutMs: options.handshakeTimeoutMs,
      onSecure: (socket) => this.onSecure(socket),
      onError: (error, socket) => this.onError(error, socket),
    };
    this.update(options.secrets);
  }

  accept(socket: Socket, head: Buffer): void {
    const { epoch } = this;
    if (!epoch || socket.destroyed) {
      const gone = epoch !== null;
      socket.destroy();
      this.options.onFailure(
        socket,
        gone ? 'disconnected' : this.refusal,
        gone ? 'the client went away before the handshake' : this.refusalDetail,
      );
      return;
    }
    const known = readHello(head, this.hello);
    const key = known && this.hello.ticketNameAt >= 0 ? this.keyOf(epoch, head) : 0;
    const server = epoch.serverFor(known ? this.hello.serverName : null, key);
    this.handshaking++;
    if (head.length > 0) socket.unshift(head);
    // A half-open TLSSocket would wait out the handshake timeout for a client that has gone.
    const { allowHalfOpen } = socket;
    socket.allowHalfOpen = false;
    server.emit('connection', socket);
    socket.allowHalfOpen = allowHalfOpen;
  }

  update(secrets: SecretSet): string | null {
    const { listener, tls } = this.options;
    const bundle = secrets.bundles.find((b) => b.name === tls.clientCa) ?? null;
    // Fails closed: without `ca` OpenSSL would trust every public CA.
    if (tls.clientAuth !== 'off' && bundle === null) {
      const why = `clientAuth is ${tls.clientAuth} but its CA bundle is not loaded; see clientCaFile`;
      this.refuse('no-trust-bundle', why);
      return why;
    }
    const found: CertificateSecret[] = [];
    for (const name of tls.certificates) {
      const secret = secrets.certificates.find((c) => c.name === name);
      if (secret) found.push(secret);
    }
    if (found.length === 0) {
      const why = `no certificate of listener ${listener} is loaded; see tls.certificates`;
      if (this.epoch === null) this.refuse('no-certificate', why);
      return why;
    }
    const trust = tls.clientAuth === 'off' ? null : bundle;
    try {
      const epoch = new TlsEpoch(listener, tls, found, trust, secrets, this.hooks);
      if (epoch.id === this.epoch?.id) return null;
      epoch.serverFor('', 0);
      this.epoch = epoch;
      return null;
    } catch (error) {
      const why = `OpenSSL does not take the certificates of listener ${listener}: ${(error as Error).message}`;
      if (this.epoch === null) this.refuse('no-certificate', why);
      return why;
    }
  }

  close(): void {
    this.refuse('closed', 'the listener is closed');
  }

  private refuse(code: TlsServerFailure, detail: string): void {
    this.epoch = null;
    this.refusal = code;
    this.refusalDetail = detail;
  }

  private keyOf(epoch: TlsEpoch, head: Buffer): number {
    const { keys } = epoch;
    for (let i = 0; i < keys.length; i++)
      if (sealedWith(keys[i] as Uint8Array, head, this.hello.ticketNameAt)) return i;
    return 0;
  }

  private onSecure(socket: TLSSocket): void {
    const { clientAuth } = this.options.tls;
    const certificate = clientAuth === 'off' ? undefined : socket.getPeerX509Certificate();
    if (certificate && !socket.authorized) {
      const why = explainClientCertificate(String(socket.authorizationError));
      this.fail(socket, why.code, why.detail);
      return;
    }
    const resumed = socket.isSessionReused();
    if (certificate && resumed && certificate.validToDate.getTime() < this.options.clock.wallMs()) {
      const why = explainClientCertificate('CERT_HAS_EXPIRED');
      this.fail(socket, why.code, why.detail);
      return;
    }
    this.handshaking--;
    const raw = rawSocketOf(socket);
    socket.allowHalfOpen = raw.allowHalfOpen;
    const facts: TlsFacts = {
      sni: textOf(socket.servername),
      alpn: textOf(socket.alpnProtocol),
      protocol: socket.getProtocol() ?? '',
      cipher: socket.getCipher().standardName,
      resumed,
      peer: certificate ? peerCertificate(certificate) : null,
    };
    this.options.onSecure(socket, raw, facts);
  }

  private onError(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    // With `require`, Node destroys the socket of an invalid certificate and reports a hang-up.
    const verify = socket.authorizationError ? String(socket.authorizationError) : null;
    const why = explainServerError(error, verify);
    this.fail(socket, why.code, why.detail);
  }

  private fail(socket: TLSSocket, code: TlsServerFailure, detail: string): void {
    this.handshaking--;
    const raw = rawSocketOf(socket);
    socket.destroy();
    raw.destroy();
    this.options.onFailure(raw, code, detail);
  }
}

/** The socket that was accepted. Node keeps it in `_parent` and offers no public way to it. */
function rawSocketOf(socket: TLSSocket): Socket {
  return (socket as unknown as { _parent: Socket | null })._parent ?? socket;
}

/** Node says `false` or null where nothing was sent or agreed, whatever its types say. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
