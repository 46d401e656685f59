/** wrk: as many requests as the proxy takes, over connections that stay open (closed loop). */
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('wrk.lua', import.meta.url));

export interface WrkOptions {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  readonly services: number;
  readonly method: 'GET' | 'POST';
  readonly bodyBytes: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Received, heads included. */
  readonly bytes: number;
  /** Answers other than 2xx and 3xx, and connections that failed. */
  readonly errors: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number };
}

export function wrkCommand(wrk: string, options: WrkOptions): string[] {
  const { origin, pathname } = new URL(options.url);
  const { seconds, connections, services, method, bodyBytes } = options;
  return [
    wrk,
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    '10s',
    '-s',
    SCRIPT,
    origin,
    '--',
    method,
    pathname,
    String(services),
    String(bodyBytes),
  ];
}

export function parseWrk(stdout: string): LoadResult {
  const line = /^RESULT (\{.*\})$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result:\n${stdout}`);
  const raw = JSON.parse(line) as Record<
    'requests' | 'durationUs' | 'bytes' | 'socketErrors' | 'statusErrors' | 'p50' | 'p99',
    number
  >;
  return {
    requests: raw.requests,
    seconds: raw.durationUs / 1e6,
    bytes: raw.bytes,
    errors: raw.socketErrors + raw.statusErrors,
    latencyMs: { p50: raw.p50 / 1e3, p99: raw.p99 / 1e3 },
  };
}
