/**
 * Faults on purpose: which requests of a rule are held up, which are answered without a backend, and which get their answer
 * slowly (Envoy's HTTP fault filter, Istio's HTTPFaultInjection). Each is drawn by itself, so that of a delay and an abort of 50 %
 * a quarter of the requests gets both. Where the rule leaves it to the request (`header…`), the fields of a trusted caller say
 * what is done, and may lower the percentage.
 */
import { LIMITS } from '../../base/index.ts';
import type { FaultConfig } from '../../config/index.ts';
import { type HeaderList, X_ENVOY } from '../../message/index.ts';

export interface DrawnFault {
  /** 0: not delayed. */
  readonly delayMs: number;
  /** Null: not aborted. */
  readonly abort: FaultAbort | null;
  /** KiB a second; 0: as fast as it goes. */
  readonly responseKbps: number;
}

export interface FaultAbort {
  readonly status: number;
  /** For gRPC calls; null: the one that `status` maps to. */
  readonly grpcStatus: number | null;
}

/** What one request gets; null: nothing. `random` returns numbers in [0, 1). `grpc`: it is a gRPC call. */
export function drawFault(
  config: FaultConfig | null,
  headers: HeaderList,
  grpc: boolean,
  random: () => number,
): DrawnFault | null {
  if (config === null) return null;
  const { delay, abort, responseRateLimit: rate } = config;
  const responseKbps =
    rate === null ? 0 : drawn(rate.percent, rate.kbps ?? kbpsOf(headers), headers, RATE, random);
  const delayMs =
    delay === null ? 0 : drawn(delay.percent, delay.delayMs ?? delayOf(headers), headers, DELAY, random);
  const aborted = abort === null ? null : (abort.fixed ?? abortOf(headers, grpc));
  const hit = abort !== null && aborted !== null && drawn(abort.percent, 1, headers, ABORT, random) > 0;
  if (delayMs === 0 && !hit && responseKbps === 0) return null;
  return { delayMs, abort: hit ? aborted : null, responseKbps };
}

const DELAY = 'x-envoy-fault-delay-request';
const ABORT = 'x-envoy-fault-abort-request';
const GRPC_ABORT = 'x-envoy-fault-abort-grpc-request';
const RATE = 'x-envoy-fault-throughput-response';

/** `value` or 0, by chance. */
function drawn(
  percent: number,
  value: number,
  headers: HeaderList,
  field: string,
  random: () => number,
): number {
  if (value === 0) return 0;
  const asked = headers.has(X_ENVOY) ? wholeOf(headers, `${field}-percentage`) : -1;
  return random() * 100 < (asked < 0 ? percent : Math.min(asked, percent)) ? value : 0;
}

function delayOf(headers: HeaderList): number {
  return Math.min(Math.max(0, wholeOf(headers, DELAY)), LIMITS.faultDelayMs);
}

function kbpsOf(headers: HeaderList): number {
  return Math.max(0, wholeOf(headers, RATE));
}

/** As in Envoy a status of HTTP counts before one of gRPC. */
function abortOf(headers: HeaderList, grpc: boolean): FaultAbort | null {
  const status = wholeOf(headers, ABORT);
  if (status >= 200 && status <= 599) return { status, grpcStatus: null };
  const grpcStatus = grpc ? wholeOf(headers, GRPC_ABORT) : -1;
  return grpcStatus >= 0 && grpcStatus <= 16 ? { status: 503, grpcStatus } : null;
}

const WHOLE = /^[0-9]{1,15}$/;

/** -1: there is none. The first one counts. */
function wholeOf(headers: HeaderList, name: string): number {
  const text = headers.get(name);
  return text !== undefined && WHOLE.test(text) ? Number(text) : -1;
}
