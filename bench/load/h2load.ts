/**
 * h2load: as many requests as the proxy takes, over a few HTTP/2 connections with streams at a time (closed loop). It
 * knows one authority per process, so a process stands for a client of one service. Paths differ: nghttp2 leaves
 * `:path` out of the dynamic table, so no two heads of a hundred are the same bytes.
 */
import { hostOf, REQUEST_HEADERS } from './headers.ts';
import type { LoadResult } from './wrk.ts';

const PATHS = 100;

export interface H2loadOptions {
  /** Base URL on loopback, and a path under which `?item=N` answers alike. */
  readonly url: string;
  readonly service: number;
  readonly seconds: number;
  readonly connections: number;
  /** At a time, on each connection. */
  readonly streams: number;
}

export function h2loadCommand(h2load: string, options: H2loadOptions): string[] {
  const { protocol, host, pathname } = new URL(options.url);
  const { service, seconds, connections, streams } = options;
  const base = `${protocol}//${hostOf(service)}${pathname}`;
  return [
    h2load,
    '-t1',
    `-c${connections}`,
    `-m${streams}`,
    `-D${seconds}s`,
    `--connect-to=${host}`,
    '--npn-list=h2',
    ...REQUEST_HEADERS.flatMap(([name, value]) => ['-H', `${name.toLowerCase()}: ${value}`]),
    ...Array.from({ length: PATHS }, (_, item) => `${base}?item=${item}`),
  ];
}

/** It has no percentiles without a line of log per request. */
export function parseH2load(stdout: string): LoadResult {
  const rps = Number(/^finished in \S+, ([\d.]+) req\/s/m.exec(stdout)?.[1]);
  const counts = /^requests: .* (\d+) done, \d+ succeeded, (\d+) failed/m.exec(stdout);
  const bytes = Number(/^traffic: .*?\((\d+)\) total/m.exec(stdout)?.[1]);
  const [requests, errors] = [Number(counts?.[1]), Number(counts?.[2])];
  // Where ALPN ends with HTTP/1.1 it goes on with that.
  if (!/^Application protocol: h2c?$/m.test(stdout) || !(requests > 0)) {
    throw new Error(`h2load had no answers over HTTP/2:\n${stdout}`);
  }
  return {
    requests,
    seconds: requests / rps,
    bytes,
    errors,
    latencyMs: { p50: Number.NaN, p99: Number.NaN },
  };
}

/** Processes that ran side by side as one. */
export function together(results: readonly LoadResult[]): LoadResult {
  const sum = (value: (result: LoadResult) => number): number =>
    results.reduce((total, result) => total + value(result), 0);
  const requests = sum((result) => result.requests);
  return {
    requests,
    seconds: requests / sum((result) => result.requests / result.seconds),
    bytes: sum(({ bytes }) => bytes),
    errors: sum(({ errors }) => errors),
    latencyMs: { p50: Number.NaN, p99: Number.NaN },
  };
}
