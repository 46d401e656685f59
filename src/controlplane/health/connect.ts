/**
 * A new connection to an endpoint for one check, agreed as the data plane agrees it (another room, which the control
 * plane may not import): what a request could not speak, no check may speak either.
 */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { SecretSet, ServiceProtocol } from '../../config/index.ts';
import { writeProxyHeader } from '../../message/index.ts';
import type { ProbeTarget } from './probe.ts';
import { endpointTlsOptions } from './tls.ts';

/** What is offered by ALPN (RFC 7301) to an endpoint of a service, preferred first. */
const ALPN: Readonly<Record<ServiceProtocol, readonly string[]>> = {
  auto: ['h2', 'http/1.1'],
  http: ['http/1.1'],
  http2: ['h2'],
  grpc: ['h2'],
  tcp: [],
};

/** Resolves when the socket can be used. The signal destroys it, whoever has it by then. */
export async function connectTo(
  { address, port, protocol, tls, proxyProtocol }: ProbeTarget,
  secrets: SecretSet,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  const alpn = ALPN[protocol];
  const secured = tls && {
    ...endpointTlsOptions(tls, address, secrets),
    ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
  };
  const raw = connectPlain({ host: address, port });
  if (proxyProtocol !== null) raw.write(writeProxyHeader(proxyProtocol, null));
  const socket = secured === null ? raw : connectTls({ ...secured, socket: raw });
  socket.setNoDelay(true);
  const abort = (): void => void socket.destroy(new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', abort));
  try {
    await new Promise<void>((resolve, reject) => {
      // It stays: an error between two users of the socket would end the process.
      socket.on('error', reject);
      socket.once(tls ? 'secureConnect' : 'connect', resolve);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== NO_COMMON_PROTOCOL) throw error;
    throw new Error(`the endpoint accepts no ALPN protocol offered (${alpn.join(', ')}); correct protocol`);
  }
  return socket;
}

/** What ALPN agreed on; empty: nothing, or plain TCP. */
export function agreedProtocol(socket: Socket): string {
  return ('alpnProtocol' in socket && (socket as TLSSocket).alpnProtocol) || '';
}

const NO_COMMON_PROTOCOL = 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';
