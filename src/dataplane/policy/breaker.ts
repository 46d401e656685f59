/**
 * What a full gauge of the ledger means for the request that met it: which failure, and which field of the
 * configuration set the limit, for the decision record. There is none for connections: a request that finds
 * them all in use waits, and it is the waiting that is limited.
 */
import { type Failure, failure } from '../../base/index.ts';
import type { CircuitBreakerConfig } from '../../config/index.ts';

export type BreakerGauge = 'pending' | 'requests' | 'retries';

export interface BreakerLimit {
  readonly failure: Failure;
  readonly name: string;
  readonly field: 'maxPendingRequests' | 'maxRequests' | 'maxRetries';
}

export const BREAKER_LIMITS: Readonly<Record<BreakerGauge, BreakerLimit>> = {
  pending: limit('max-pending', 'maxPendingRequests'),
  requests: limit('max-requests', 'maxRequests'),
  retries: limit('max-retries', 'maxRetries'),
};

function limit(
  kind: 'max-pending' | 'max-requests' | 'max-retries',
  field: BreakerLimit['field'] & keyof CircuitBreakerConfig,
): BreakerLimit {
  return { failure: failure(kind), name: `circuitBreaker.${field}`, field };
}
