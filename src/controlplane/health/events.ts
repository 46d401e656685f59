/** What the health room tells of endpoints whose state changed; the supervisor logs it. */
import type { DetectorName } from '../../ledger/index.ts';

interface About {
  readonly service: string;
  /** `address:port`. */
  readonly endpoint: string;
}

/** What an active check brought about, under the names of Envoy's HealthCheckEvent. */
export interface CheckEvent extends About {
  readonly type: 'healthy' | 'unhealthy' | 'degraded' | 'no longer degraded' | 'failed a check';
  readonly event:
    | 'add_healthy_event'
    | 'eject_unhealthy_event'
    | 'degraded_healthy_host'
    | 'no_longer_degraded_host'
    | 'health_check_failure_event';
  readonly healthCheckerType: 'HTTP' | 'GRPC' | 'TCP';
  readonly from: HealthState;
  /** The same as `from` where a check that fails changes nothing. */
  readonly to: HealthState;
  /** Of failures: what kind. */
  readonly failureType?: FailureType;
  /** What the check that decided it saw, e.g. `status 503`, `timeout after 1000 ms`. */
  readonly reason: string;
}

/** Degraded is healthy, but the second choice. */
export type HealthState = 'pending' | 'healthy' | 'degraded' | 'unhealthy';

/**
 * Envoy's HealthCheckFailureType. `ACTIVE`: an answer that is none of health; `PASSIVE`: the endpoint said so on an answer
 * to a request; the others: no answer.
 */
export type FailureType = 'ACTIVE' | 'PASSIVE' | 'NETWORK' | 'NETWORK_TIMEOUT';

/** `observed` and `threshold`: counts, or percentages. */
interface Detection extends About {
  readonly detector: DetectorName;
  readonly observed: number;
  readonly threshold: number;
  /** Ejections since the endpoint was configured. */
  readonly ejections: number;
}

export type HealthEvent =
  | CheckEvent
  /** An outlier was taken out of rotation, for `forMs` from now. */
  | (Detection & { readonly type: 'ejected'; readonly forMs: number })
  /** An outlier that the policy's `enforcing` let stay. */
  | (Detection & { readonly type: 'detected' })
  /** It is back in rotation. */
  | (About & { readonly type: 'returned'; readonly ejections: number });
