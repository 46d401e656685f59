/** Opens connections to the endpoints of one service. They read into the thread's one buffer: see read-into.ts. */
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type Clock, type Failure, failure } from '../../base/index.ts';
import type { EndpointConfig, SecretSet, UpstreamTls } from '../../config/index.ts';
import { type ReadBytes, readBuffer, readInto } from './read-into.ts';
import { createTlsOriginator, type TlsOriginator } from './tls-client.ts';
import { explainUpstreamTlsError } from './tls-error.ts';

export class Dialer {
  private readonly originator: TlsOriginator | null;

  /** `alpn`: protocols offered over TLS, preferred first; empty: none. */
  constructor(tls: UpstreamTls | null, alpn: readonly string[], secrets: SecretSet, clock: Clock) {
    this.originator = tls === null ? null : createTlsOriginator({ tls, secrets, clock, alpn });
  }

  /** New connections use these secrets. */
  update(secrets: SecretSet): void {
    this.originator?.update(secrets);
  }

  /** Why no connection can be made now (a secret isn't loaded), or null. */
  get failure(): Failure | null {
    const why = this.originator?.failure ?? null;
    return why === null ? null : failure('upstream-tls', why.detail);
  }

  /** The socket's event that says it can be written to. */
  get readyEvent(): 'connect' | 'secureConnect' {
    return this.originator === null ? 'connect' : 'secureConnect';
  }

  /**
   * Starts to connect; `readyEvent` or `error` tells the outcome. Only while `failure` is null. `header`: what goes first, before
   * TLS; null: nothing.
   */
  dial(endpoint: EndpointConfig, onBytes: ReadBytes, header: Buffer | null): Socket {
    const { originator } = this;
    const plain: TcpNetConnectOpts = {
      host: endpoint.address,
      port: endpoint.port,
      noDelay: true,
      allowHalfOpen: true,
    };
    const target = { ...plain, onread: { buffer: readBuffer(), callback: onBytes } };
    if (originator === null) {
      const socket = connect(target);
      if (header !== null) socket.write(header);
      return socket;
    }
    if (header === null) return originator.connect(target, addressOf(endpoint));
    // The handshake follows what is written already, although nothing is connected yet.
    const socket = connect(plain);
    socket.write(header);
    const secured = originator.connect({ ...plain, socket }, addressOf(endpoint));
    readInto(secured, onBytes);
    return secured;
  }
}

/** `address:port`, with brackets for IPv6: what logs, spans and records call an endpoint. */
export function addressOf(endpoint: EndpointConfig): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}

/** What an error while connecting means. */
export function connectFailure(error: NodeJS.ErrnoException, address: string): Failure {
  switch (error.code) {
    case 'ECONNREFUSED':
      return failure('connect-refused', address);
    case 'EMFILE':
    case 'ENFILE':
      return failure('no-descriptor', address);
    case 'ETIMEDOUT':
      return failure('connect-timeout', address);
    default:
      // System errors have a number and a call; everything else is TLS refusing the endpoint.
      return error.syscall !== undefined
        ? failure('connect-failed', `${address}: ${error.message}`)
        : failure('upstream-tls', `${address}: ${explainUpstreamTlsError(error).detail}`);
  }
}
