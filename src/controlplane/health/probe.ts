/**
 * One active check: GET the path, on a connection of its own. Connections are not kept, because a kept one
 * proves only that the endpoint still serves old connections, and one that the endpoint closes as the next
 * check begins (both often do that every 5 s) would count as a failure.
 */
import { connect as connectPlain, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { LIMITS } from '../../base/index.ts';
import type { HealthCheckConfig, SecretSet, UpstreamTls } from '../../config/index.ts';
import { endpointTlsOptions } from './tls.ts';

export interface ProbeTarget {
  readonly service: string;
  readonly address: string;
  readonly port: number;
  readonly check: HealthCheckConfig;
  readonly tls: UpstreamTls | null;
}

export interface ProbeResult {
  readonly passed: boolean;
  /** `status 200`, `ECONNREFUSED`, `timeout after 1000 ms`. */
  readonly reason: string;
}

/** Never rejects. `signal` aborts when the time is up, or the endpoint is gone. */
export type Probe = (target: ProbeTarget, secrets: SecretSet, signal: AbortSignal) => Promise<ProbeResult>;

export const probeOverHttp: Probe = async (target, secrets, signal) => {
  const { address, port, check, tls } = target;
  const host = isIPv6(address) ? `[${address}]` : address;
  const authority = check.host ?? tls?.sni ?? `${host}:${port}`;
  // With the first check only: its code takes 8 MiB, and many meshes leave checking to the outlier detection.
  const { Client } = await import('undici');
  const client = new Client(`${tls ? 'https' : 'http'}://${host}:${port}`, {
    connect: (_options, callback) => connectTo(target, secrets, signal, callback),
    pipelining: 0,
  });
  try {
    const { statusCode, body } = await client.request({
      path: check.path,
      method: 'GET',
      headers: { host: authority, 'user-agent': 'outboard-health-check', accept: '*/*' },
      signal,
    });
    await body.dump({ limit: LIMITS.healthBodyBytes, signal });
    const passed = check.expectedStatuses.some(([low, high]) => statusCode >= low && statusCode <= high);
    return { passed, reason: `status ${statusCode}` };
  } catch (error) {
    return { passed: false, reason: reasonOf(error, signal, check.timeoutMs) };
  } finally {
    await client.destroy();
  }
};

function connectTo(
  { address, port, tls }: ProbeTarget,
  secrets: SecretSet,
  signal: AbortSignal,
  callback: (...args: [error: null, socket: Socket] | [error: Error, socket: null]) => void,
): void {
  let socket: Socket;
  try {
    socket = tls
      ? connectTls({ host: address, port, ...endpointTlsOptions(tls, address, secrets) })
      : connectPlain({ host: address, port });
  } catch (error) {
    callback(error as Error, null);
    return;
  }
  const abort = (): void => void socket.destroy();
  const settle = (error: Error | null): void => {
    socket.removeListener('error', settle);
    signal.removeEventListener('abort', abort);
    if (error) callback(error, null);
    else callback(null, socket);
  };
  signal.addEventListener('abort', abort, { once: true });
  socket.once('error', settle);
  socket.once(tls ? 'secureConnect' : 'connect', () => settle(null));
}

function reasonOf(error: unknown, signal: AbortSignal, timeoutMs: number): string {
  if (signal.aborted) return `timeout after ${timeoutMs} ms`;
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined || code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? message : code;
}
