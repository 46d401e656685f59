/**
 * oha at a fixed rate (open loop): requests leave on schedule whether or not answers came, and a late one counts from
 * the moment it was due (`--latency-correction`). Percentiles under load mean something only so.
 */
import { REQUEST_HEADERS } from './headers.ts';

export interface OhaOptions {
  readonly url: string;
  readonly host: string;
  readonly seconds: number;
  readonly connections: number;
  /** Null: a closed loop, as many as get answered. */
  readonly rate: number | null;
  /** Default: true. */
  readonly keepAlive?: boolean;
  /** Default: 10. */
  readonly timeoutSeconds?: number;
  /** Requests under way at the end: true, waited for; false, cut off and not counted. Default: true. */
  readonly waits?: boolean;
}

export interface OhaResult {
  readonly requests: number;
  readonly seconds: number;
  /** Answered, per second. */
  readonly rps: number;
  /** Share of the requests without a 2xx answer, 0 to 1. */
  readonly errorShare: number;
  readonly latencyMs: {
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly p999: number;
  };
}

export function ohaCommand(oha: string, options: OhaOptions): string[] {
  return [
    oha,
    '--no-tui',
    '--output-format',
    'json',
    '--worker-threads',
    '1',
    '--latency-correction',
    '-z',
    `${options.seconds}s`,
    ...(options.waits === false ? [] : ['-w']),
    '-t',
    `${options.timeoutSeconds ?? 10}s`,
    ...(options.rate === null ? [] : ['-q', String(Math.max(1, Math.round(options.rate)))]),
    ...(options.keepAlive === false ? ['--disable-keepalive'] : []),
    '-c',
    String(options.connections),
    '--insecure',
    '--host',
    options.host,
    ...REQUEST_HEADERS.flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    options.url,
  ];
}

interface OhaJson {
  readonly summary: { readonly total: number; readonly requestsPerSec: number };
  readonly latencyPercentiles: Readonly<Record<string, number | null>>;
  readonly statusCodeDistribution: Readonly<Record<string, number>>;
  readonly errorDistribution: Readonly<Record<string, number>>;
}

/** How oha counts those that `waits: false` cut off. */
const CUT_OFF = 'aborted due to deadline';

export function parseOha(stdout: string): OhaResult {
  const json = JSON.parse(stdout) as OhaJson;
  const sum = (counts: readonly (readonly [string, number])[]): number =>
    counts.reduce((total, [, count]) => total + count, 0);
  const statuses = Object.entries(json.statusCodeDistribution);
  const answered = sum(statuses);
  const failed = sum(Object.entries(json.errorDistribution).filter(([error]) => error !== CUT_OFF));
  const good = sum(statuses.filter(([status]) => status.startsWith('2')));
  const percentile = (name: string): number => (json.latencyPercentiles[name] ?? Number.NaN) * 1e3;
  return {
    requests: answered + failed,
    seconds: json.summary.total,
    rps: answered / json.summary.total,
    errorShare: answered + failed === 0 ? 1 : 1 - good / (answered + failed),
    latencyMs: {
      p50: percentile('p50'),
      p90: percentile('p90'),
      p99: percentile('p99'),
      p999: percentile('p99.9'),
    },
  };
}
