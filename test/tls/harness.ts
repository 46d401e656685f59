/** A TLS terminator behind a real socket, and a client that tells all it saw. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { type Clock, systemClock } from '../../src/base/index.ts';
import { type ListenerTls, type SecretSet, secretSet } from '../../src/config/secrets.ts';
import type { TlsServerFailure } from '../../src/dataplane/transport/tls-error.ts';
import { createTlsTerminator, type TlsTerminator } from '../../src/dataplane/transport/tls-server.ts';
import type { TlsFacts } from '../../src/message/index.ts';

export type Outcome =
  | { readonly kind: 'secure'; readonly facts: TlsFacts }
  | {
      readonly kind: 'failure';
      readonly code: TlsServerFailure;
      readonly detail: string;
      readonly port: number;
    };

export interface Harness {
  readonly port: number;
  readonly terminator: TlsTerminator;
  /** The next end of a handshake, in order; waits for it. */
  outcome(): Promise<Outcome>;
}

export interface HarnessOptions {
  readonly tls?: Partial<ListenerTls>;
  readonly secrets: SecretSet;
  readonly listener?: string;
  readonly clock?: Clock;
  readonly handshakeTimeoutMs?: number;
  /** Bytes of the first chunk that the terminator sees at once; the rest reaches it by the socket. */
  readonly headBytes?: number;
  /** The server answers when the client has closed its side, not at once. */
  readonly answerAfterEnd?: boolean;
}

export const TLS_DEFAULTS: ListenerTls = {
  certificates: ['web'],
  clientAuth: 'off',
  clientCa: null,
  minProtocolVersion: 'TLSv1_2',
  alpn: [],
};

export function secretsOf(parts: Partial<SecretSet>): SecretSet {
  return secretSet({
    version: 1,
    certificates: [],
    bundles: [],
    ...parts,
    ticketKeys: parts.ticketKeys ?? [],
  });
}

export async function withTerminator(
  options: HarnessOptions,
  fn: (h: Harness) => Promise<void>,
): Promise<void> {
  const outcomes: Outcome[] = [];
  const waiting: ((outcome: Outcome) => void)[] = [];
  const tell = (outcome: Outcome) => {
    const next = waiting.shift();
    if (next) next(outcome);
    else outcomes.push(outcome);
  };
  const terminator = createTlsTerminator({
    listener: options.listener ?? 'web',
    tls: { ...TLS_DEFAULTS, ...options.tls },
    secrets: options.secrets,
    clock: options.clock ?? systemClock,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 5_000,
    onSecure(socket, _raw, facts) {
      socket.on('error', () => {});
      socket.resume();
      if (options.answerAfterEnd) socket.on('end', () => socket.end('hello'));
      else socket.end('hello');
      tell({ kind: 'secure', facts });
    },
    onFailure(socket, code, detail) {
      tell({ kind: 'failure', code, detail, port: socket.destroyed ? 0 : -1 });
    },
  });
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      const cut = options.headBytes ?? chunk.length;
      if (cut < chunk.length) socket.unshift(chunk.subarray(cut));
      terminator.accept(socket, chunk.subarray(0, cut));
    });
    socket.resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const outcome = () =>
    new Promise<Outcome>((resolve) => {
      const ready = outcomes.shift();
      if (ready) resolve(ready);
      else waiting.push(resolve);
    });
  try {
    await fn({ port, terminator, outcome });
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
}

export interface ClientView {
  readonly error: string | null;
  readonly data: string;
  readonly serial: string;
  readonly keyType: string;
  readonly alpn: string | false | null;
  readonly protocol: string | null;
  readonly resumed: boolean;
  readonly staple: Buffer | null;
  readonly session: Buffer | undefined;
}

/** Shakes hands, reads to the end and returns what the client saw; never rejects. */
export function shake(port: number, options: ConnectionOptions): Promise<ClientView> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, checkServerIdentity: () => undefined, ...options });
    let data = '';
    let session: Buffer | undefined;
    let staple: Buffer | null = null;
    let error: string | null = null;
    let seen: Pick<ClientView, 'serial' | 'keyType' | 'alpn' | 'protocol' | 'resumed'> = {
      serial: '',
      keyType: '',
      alpn: null,
      protocol: null,
      resumed: false,
    };
    socket.on('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      seen = {
        serial: certificate?.serialNumber ?? '',
        keyType: certificate?.publicKey.asymmetricKeyType ?? '',
        alpn: socket.alpnProtocol,
        protocol: socket.getProtocol(),
        resumed: socket.isSessionReused(),
      };
    });
    socket.on('session', (ticket) => {
      session = ticket;
    });
    socket.on('OCSPResponse', (response) => {
      staple = response;
    });
    socket.on('data', (chunk) => {
      data += chunk.toString();
    });
    socket.on('error', (problem: NodeJS.ErrnoException) => {
      error ??= problem.code ?? problem.message;
    });
    socket.on('close', () => resolve({ error, data, ...seen, staple, session }));
    socket.on('end', () => socket.end());
  });
}
