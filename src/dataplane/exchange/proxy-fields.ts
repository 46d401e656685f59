/**
 * Envoy's own fields on a message: what callers may say by them, and what this proxy says by them. A caller that the listener
 * does not trust says nothing: whatever starts with `x-envoy-` is taken out before anybody reads it. (Envoy takes out a list of
 * names; one that a later version adds would pass.)
 */
import type { Failure } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import {
  type ConnectionFacts,
  FieldSet,
  H,
  type HeaderList,
  type RequestHead,
  type ResponseHead,
  X_ENVOY,
} from '../../message/index.ts';
import { type RequestRecord, upstreamServiceMs } from '../../telemetry/index.ts';
import { type CallerFields, clientAddress, TrustedCallers, takeCallerFields } from '../policy/index.ts';
import type { OwnAnswer } from './local-answer.ts';

const ALL = new FieldSet([
  X_ENVOY,
  H['x-envoy-attempt-count'],
  H['x-envoy-expected-rq-timeout-ms'],
  H['x-envoy-force-trace'],
  H['x-envoy-ratelimited'],
  H['x-envoy-upstream-service-time'],
]);
const DECORATOR = 'x-envoy-decorator-operation';

/**
 * What the caller asks for, taken out of `head`, which is changed in place; null: nothing, or nothing that it may. On a
 * listener with trusted callers endpoints are told whether this is one (`x-envoy-internal`), or else who asked
 * (`x-envoy-external-address`). To be called before anything else is done with the head.
 */
export function screenCaller(
  listener: ListenerConfig,
  { headers }: RequestHead,
  facts: ConnectionFacts,
): CallerFields | null {
  if (listener.trustedCallers.length === 0) {
    headers.deleteAll(ALL);
    return null;
  }
  if (!TrustedCallers.of(listener.trustedCallers).trusts(facts.remoteAddress, headers)) {
    headers.deleteAll(ALL);
    headers.append('x-envoy-external-address', clientAddress(headers, facts, listener.trustedHops));
    return null;
  }
  const asks = takeCallerFields(headers);
  headers.set('x-envoy-internal', 'true');
  return asks;
}

/** Says on an endpoint's answer how long it took, and takes from it what it says to this proxy alone. */
export function decorateAnswer(
  { headers }: ResponseHead,
  record: RequestRecord,
  listener: ListenerConfig,
): void {
  const { envoyDebugHeaders, attemptCountInResponse } = listener.proxyHeaders;
  if (headers.has(X_ENVOY)) takeOperation(headers, record);
  const ms = envoyDebugHeaders ? upstreamServiceMs(record) : -1;
  if (ms >= 0) headers.setClean(H['x-envoy-upstream-service-time'], String(ms));
  if (attemptCountInResponse) headers.setClean(H['x-envoy-attempt-count'], String(record.attempts.length));
}

/** Says on an answer of our own that it was given for want of room, and how many attempts were made before. */
export function decorateFailure(
  { headers }: OwnAnswer,
  why: Failure,
  { attempts }: RequestRecord,
  { proxyHeaders }: ListenerConfig,
): void {
  if (why.flag === 'UO' && proxyHeaders.envoyDebugHeaders) headers.append('x-envoy-overloaded', 'true');
  if (proxyHeaders.attemptCountInResponse && attempts.length > 0)
    headers.setClean(H['x-envoy-attempt-count'], String(attempts.length));
}

/** A request's own word counts more. */
function takeOperation(headers: HeaderList, record: RequestRecord): void {
  const operation = headers.get(DECORATOR);
  if (operation === undefined) return;
  headers.delete(DECORATOR);
  if (record.operation === '') record.operation = operation;
}
