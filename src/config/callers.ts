/** What one caller, the source of connections, may hold of the whole node. */
import { formatDuration } from '../base/index.ts';

export interface CallersConfig {
  /** Open connections, 0: any number. */
  readonly maxConnections: number;
  /** Requests under way, 0: any number. */
  readonly maxRequests: number;
  /** Bytes that wait of its answers and uploads, 0: as many as its connections may hold. */
  readonly maxBufferedBytes: number;
  /** How long a worker attends to one caller before others come, 0: no turns. */
  readonly turnMs: number;
  /** Null: off. */
  readonly offences: OffencesConfig | null;
  /** Bits of a public IPv6 address that tell callers apart. */
  readonly ipv6PrefixLength: number;
}

/** Connections that ended by the caller's fault. */
export interface OffencesConfig {
  readonly burst: number;
  readonly refillMs: number;
  readonly penaltyMs: number;
}

export function renderCallers({ offences, turnMs, ...limits }: CallersConfig): Record<string, unknown> {
  return {
    ...limits,
    turn: formatDuration(turnMs),
    offences:
      offences === null
        ? 'off'
        : {
            burst: offences.burst,
            refill: formatDuration(offences.refillMs),
            penalty: formatDuration(offences.penaltyMs),
          },
  };
}
