/** Endpoints to check: real servers on free ports, each of which fails its test if a check leaves a connection open. */
import type { Http2Server, ServerHttp2Stream } from 'node:http2';
import { createServer as createHttp2, createSecureServer } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import {
  type HealthCheckConfig,
  NO_SECRETS,
  type SecretSet,
  secretSet,
  type UpstreamTls,
} from '../../src/config/index.ts';
import { type ProbeResult, type ProbeTarget, probeEndpoint } from '../../src/controlplane/health/index.ts';
import { createCa, issueCertificate, type LeafOptions } from '../../src/controlplane/identity/index.ts';
import { CHECK } from './kit.ts';

const PATIENCE_MS = 10_000;

export function target(port: number, parts: Partial<ProbeTarget> = {}): ProbeTarget {
  return {
    service: 'cart',
    protocol: 'http',
    address: '127.0.0.1',
    port,
    check: CHECK,
    tls: null,
    proxyProtocol: null,
    ...parts,
  };
}

export async function check(to: ProbeTarget, secrets: SecretSet = NO_SECRETS): Promise<ProbeResult> {
  const { passed, reason } = await checkWhole(to, secrets);
  return { passed, reason };
}

/** With what else it says of the endpoint. */
export function checkWhole(to: ProbeTarget, secrets: SecretSet = NO_SECRETS): Promise<ProbeResult> {
  return probeEndpoint(to, secrets, AbortSignal.timeout(2 * PATIENCE_MS));
}

/** A check of grpc.health.v1 in a service that speaks gRPC. */
export function checkGrpc(
  port: number,
  service = '',
  parts: Partial<ProbeTarget> = {},
  secrets: SecretSet = NO_SECRETS,
): Promise<ProbeResult> {
  const config: HealthCheckConfig = { ...CHECK, grpc: { service } };
  return check(target(port, { protocol: 'grpc', check: config, ...parts }), secrets);
}

/** Its port. When the test ends, every connection must have been closed by whoever made it. */
export async function listen(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('a check left its connection open')), PATIENCE_MS);
    });
    await Promise.race([new Promise((resolve) => server.close(resolve)), late]);
    clearTimeout(timer);
  });
  return (server.address() as AddressInfo).port;
}

/** Whoever connects gets what `onSocket` says. */
export function tcpEndpoint(t: TestContext, onSocket: (socket: Socket) => void = () => {}): Promise<number> {
  const server = createTcp((socket) => {
    socket.on('error', () => {});
    socket.resume();
    onSocket(socket);
  });
  return listen(t, server);
}

export type OnStream = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void;

/** `tls` null: in plain. */
export async function http2Endpoint(
  t: TestContext,
  onStream: OnStream,
  tls: { readonly key: string; readonly cert: string; readonly allowHTTP1?: boolean } | null = null,
): Promise<number> {
  const server = tls ? createSecureServer(tls) : createHttp2();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    onStream(stream, headers);
  });
  return listen(t, server as unknown as Http2Server & Server);
}

/** Answers a gRPC call when its request has ended. */
export function grpcAnswer(
  stream: ServerHttp2Stream,
  body: Buffer,
  trailers: Readonly<Record<string, string>> = { 'grpc-status': '0' },
): void {
  stream.resume();
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(body);
  });
}

/** A message in front of which gRPC's five bytes are put. */
export function framed(...message: readonly number[]): Buffer {
  return Buffer.from([0, 0, 0, 0, message.length, ...message]);
}

/** An authority named `mesh` that services trust, and what it issues. */
export function meshAuthority(): {
  readonly secrets: SecretSet;
  readonly tls: UpstreamTls;
  issue(leaf?: LeafOptions): { readonly key: string; readonly cert: string };
} {
  const ca = createCa({ commonName: 'mesh' });
  const bundles = [{ name: 'mesh', caPem: ca.certPem, hash: 'mesh' }];
  return {
    secrets: secretSet({ version: 1, certificates: [], bundles, ticketKeys: [] }),
    tls: { sni: 'cart.shop', ca: 'mesh', subjectAltNames: [], certificate: null },
    issue(leaf = { commonName: 'x', dnsNames: ['cart.shop'] }) {
      const { certPem, keyPem } = issueCertificate(ca, leaf);
      return { cert: certPem, key: keyPem };
    },
  };
}
