/**
 * Heads on their way through: what a proxy takes out of a message, adds to it, and leaves alone. Everything
 * not named here passes in its order and its case.
 */
import type { ListenerConfig } from '../../config/index.ts';
import {
  type ConnectionFacts,
  H,
  type RequestHead,
  type ResponseHead,
  stripHopByHop,
} from '../../message/index.ts';
import { addForwardedHeaders, addVia } from '../policy/index.ts';
import {
  applyHeaderEdit,
  applyRequestEdit,
  type BackendChoice,
  type CompiledRule,
  type PreparedPath,
} from '../router/index.ts';
import type { RulePolicy } from './context.ts';

/** Makes the client's head the one that is sent upstream; it is changed in place. */
export function prepareRequest(
  head: RequestHead,
  path: PreparedPath,
  rule: CompiledRule<RulePolicy>,
  backend: BackendChoice,
  facts: ConnectionFacts,
  listener: ListenerConfig,
): void {
  const { headers, version } = head;
  stripHopByHop(headers);
  addForwardedHeaders(head, facts, listener.trustedHops);
  addVia(headers, version);
  head.target = path.target;
  if (rule.request !== null) applyRequestEdit(rule.request, head, path);
  if (backend.request !== null) applyRequestEdit(backend.request, head, path);
  if (head.target !== path.target && listener.proxyHeaders.envoyDebugHeaders)
    headers.set('x-envoy-original-path', path.target);
}

/** Makes an endpoint's head the one that is sent to the client; it is changed in place. */
export function prepareResponse(
  head: ResponseHead,
  rule: CompiledRule<RulePolicy>,
  backend: BackendChoice,
  requestId: string,
): void {
  const { headers } = head;
  stripHopByHop(headers, head.status === 101);
  addVia(headers, head.version);
  headers.setClean(H['x-request-id'], requestId);
  if (backend.response !== null) applyHeaderEdit(backend.response, headers);
  if (rule.response !== null) applyHeaderEdit(rule.response, headers);
}
