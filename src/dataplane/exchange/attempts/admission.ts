/** What an attempt must be given before it may start: a place under maxRequests and an endpoint. */
import { type Failure, failure } from '../../../base/index.ts';
import { COUNTER, type RequestRecord } from '../../../telemetry/index.ts';
import { BREAKER_LIMITS, type BreakerGauge } from '../../policy/index.ts';
import type { PickedEndpoint, UpstreamService } from '../../upstream/index.ts';
import type { Affinity } from './affinity.ts';

export type Admission =
  | { readonly picked: PickedEndpoint; readonly failure: null }
  | { readonly picked: null; readonly failure: Failure };

/** Takes both, or neither. `tried`: endpoints to avoid, by index. A limit that decides is written to the record. */
export function admit(
  service: UpstreamService,
  tried: readonly number[],
  affinity: Affinity | null,
  record: RequestRecord,
): Admission {
  if (service.removed) {
    return refused(failure('no-service', `${record.service} was removed while a retry waited`));
  }
  if (!service.acquireRequest()) {
    noteBreaker(record, service, 'requests');
    return refused(BREAKER_LIMITS.requests.failure);
  }
  // A retry goes to another endpoint, as Envoy's does: to that of the session it was sent in vain.
  const picked = service.pick(tried, affinity, record.attempts.length === 0);
  if (picked !== null) return { picked, failure: null };
  service.counters.add(COUNTER.upstreamCxNoneHealthy, 1);
  service.releaseRequest(service.config.slot);
  return refused(service.whyNone(affinity));
}

/** Says in the record which breaker was full. */
export function noteBreaker(record: RequestRecord, service: UpstreamService, gauge: BreakerGauge): void {
  const { field, name } = BREAKER_LIMITS[gauge];
  noteLimit(record, name, service.config.circuitBreaker[field], service.observed(gauge));
}

/** Says in the record which limit decided, and what was observed. */
export function noteLimit(record: RequestRecord, name: string, value: number, observed: number): void {
  record.limit = name;
  record.limitValue = value;
  record.observedValue = observed;
}

function refused(why: Failure): Admission {
  return { picked: null, failure: why };
}
