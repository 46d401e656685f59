/**
 * One active check: GET the path, or ask grpc.health.v1, in the protocol that requests are sent in, or exchange bytes;
 * on a connection of its own. Connections are not kept, because a kept one proves only that the endpoint still serves old
 * connections, and one that the endpoint closes as the next check begins (both often do that every 5 s) would
 * count as a failure.
 */
import { isIPv6, type Socket } from 'node:net';
import type { HealthCheckConfig, SecretSet, ServiceProtocol, UpstreamTls } from '../../config/index.ts';
import { isAuthority, type ProxyVersion } from '../../message/index.ts';
import { agreedProtocol, connectTo } from './connect.ts';
import type { FailureType } from './events.ts';
import { getOverHttp1, getOverHttp2 } from './get.ts';
import { checkOverGrpc } from './grpc-check.ts';
import { exchangeBytes } from './tcp-check.ts';

export interface ProbeTarget {
  readonly service: string;
  readonly protocol: ServiceProtocol;
  readonly address: string;
  readonly port: number;
  readonly check: HealthCheckConfig;
  readonly tls: UpstreamTls | null;
  /** Null: the endpoint is told nothing of whose connections it gets. */
  readonly proxyProtocol: ProxyVersion | null;
}

export interface ProbeResult {
  readonly passed: boolean;
  /** `status 200`, `health NOT_SERVING`, `ECONNREFUSED`, `timeout after 1000 ms`. */
  readonly reason: string;
  /** Passed, and the answer has `x-envoy-degraded`. */
  readonly degraded?: boolean;
  /** Failed, and the answer has `x-envoy-immediate-health-check-fail`: no threshold is waited for. */
  readonly immediate?: boolean;
  /** Of a failure. */
  readonly failureType?: FailureType;
}

/** Never rejects. `signal` aborts when the time is up, or the endpoint is gone. */
export type Probe = (target: ProbeTarget, secrets: SecretSet, signal: AbortSignal) => Promise<ProbeResult>;

const USER_AGENT = 'outboard-health-check';

export const probeEndpoint: Probe = async (target, secrets, signal) => {
  let socket: Socket | null = null;
  try {
    socket = await connectTo(target, secrets, signal);
    const { tcp, grpc } = target.check;
    if (tcp !== null) return await exchangeBytes(socket, tcp);
    const result =
      grpc === null ? await get(socket, target, signal) : await askGrpc(socket, target, grpc.service);
    return result.passed ? result : { ...result, failureType: 'ACTIVE' };
  } catch (error) {
    const failureType = signal.aborted ? 'NETWORK_TIMEOUT' : 'NETWORK';
    return { passed: false, reason: reasonOf(error, signal, target.check.timeoutMs), failureType };
  } finally {
    socket?.destroy();
  }
};

async function get(socket: Socket, target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const { check } = target;
  const request = {
    scheme: schemeOf(target),
    authority: authorityOf(target),
    path: check.path,
    headers: { 'user-agent': USER_AGENT, accept: '*/*' },
  };
  const { status, headers } = speaksHttp2(target, socket)
    ? await getOverHttp2(socket, request)
    : await getOverHttp1(socket, request, signal);
  const passed = check.expectedStatuses.some(([low, high]) => status >= low && status <= high);
  // As in Envoy, what they are set to does not matter, and each counts beside one kind of status alone.
  return {
    passed,
    reason: `status ${status}`,
    degraded: passed && headers['x-envoy-degraded'] !== undefined,
    immediate: !passed && headers['x-envoy-immediate-health-check-fail'] !== undefined,
  };
}

async function askGrpc(socket: Socket, target: ProbeTarget, service: string): Promise<ProbeResult> {
  const { check } = target;
  if (!speaksHttp2(target, socket)) {
    const agreed = agreedProtocol(socket) || 'nothing';
    const why = target.tls ? `ALPN agreed on ${agreed}` : `protocol is ${target.protocol}`;
    return { passed: false, reason: `gRPC needs HTTP/2, and ${why}: write protocol: grpc` };
  }
  return checkOverGrpc(socket, {
    scheme: schemeOf(target),
    authority: authorityOf(target),
    service,
    timeoutMs: check.timeoutMs,
    userAgent: USER_AGENT,
  });
}

/** As the pools of the data plane tell it. */
function speaksHttp2({ protocol }: ProbeTarget, socket: Socket): boolean {
  return protocol === 'http2' || protocol === 'grpc' || agreedProtocol(socket) === 'h2';
}

/** The name of the service as in Envoy; one that no authority may have (namespace/name) gives way to the address. */
function authorityOf(target: ProbeTarget): string {
  const { check, service } = target;
  return check.host ?? (isAuthority(service) ? service : addressOf(target));
}

function addressOf({ address, port }: ProbeTarget): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

function schemeOf({ tls }: ProbeTarget): 'http' | 'https' {
  return tls ? 'https' : 'http';
}

function reasonOf(error: unknown, signal: AbortSignal, timeoutMs: number): string {
  if (signal.aborted) return `timeout after ${timeoutMs} ms`;
  const { code, message } = error as NodeJS.ErrnoException;
  // The messages of these say more than their codes.
  const inWords = code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code?.startsWith('ERR_HTTP2_');
  return code === undefined || inWords ? message : code;
}
