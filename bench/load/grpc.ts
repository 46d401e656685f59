/** How a benchmark speaks to its gRPC client and backend, programs of their own: what is run, asked, and answered. */
import { fileURLToPath } from 'node:url';
import type { LoadResult } from './wrk.ts';

const CLIENT = fileURLToPath(new URL('grpc-client.ts', import.meta.url));
const SERVER = fileURLToPath(new URL('grpc-server.ts', import.meta.url));

export interface CallOptions {
  readonly port: number;
  /** Calls of one message each, or streams of many. */
  readonly unary: boolean;
  readonly seconds: number;
  readonly connections: number;
  /** At a time, on each connection. */
  readonly streams: number;
  /** Each connection calls one of these, in turn. */
  readonly services: number;
}

export const grpcClientCommand = (controlPort: number): string[] => [
  process.execPath,
  CLIENT,
  String(controlPort),
];

export const grpcServerCommand = (ports: readonly number[]): string[] => [
  process.execPath,
  SERVER,
  ports.join(','),
];

/** Has the client on that control port call; of streams every message that came back counts as a request. */
export async function call(controlPort: number, options: CallOptions): Promise<LoadResult> {
  const query = Object.entries(options).map(([name, value]) => [name, String(Number(value))]);
  const answer = await fetch(`http://127.0.0.1:${controlPort}/run?${new URLSearchParams(query)}`);
  const text = await answer.text();
  const result = answer.status === 200 ? (JSON.parse(text) as LoadResult) : null;
  if (result === null || result.requests === 0) throw new Error(`no gRPC call was answered: ${text}`);
  return result;
}

/** What `call` asked for. */
export function callOptions(url: string): CallOptions {
  const { searchParams } = new URL(url, 'http://127.0.0.1');
  const number = (name: keyof CallOptions): number => Number(searchParams.get(name));
  return {
    port: number('port'),
    unary: number('unary') === 1,
    seconds: number('seconds'),
    connections: number('connections'),
    streams: number('streams'),
    services: number('services'),
  };
}
