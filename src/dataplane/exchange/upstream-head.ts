/**
 * Heads on their way through: what a proxy takes out of a message, adds to it, and leaves alone. Everything
 * not named here passes in its order and its case.
 */
import type { ListenerConfig } from '../../config/index.ts';
import { H, type RequestHead, type ResponseHead, stripHopByHop } from '../../message/index.ts';
import type { RequestRecord } from '../../telemetry/index.ts';
import { addForwardedHeaders, addVia, clientAddress } from '../policy/index.ts';
import { applyHeaderEdit, applyRequestEdit, type BackendChoice, type CompiledRule } from '../router/index.ts';
import type { Routed } from './choose.ts';
import type { RulePolicy } from './context.ts';

/** Makes the client's head the one that is sent upstream, and writes down whose it is and where it goes; it is changed in place. */
export function prepareRequest(
  head: RequestHead,
  { rule, backend, service, path }: Routed,
  record: RequestRecord,
  listener: ListenerConfig,
): void {
  const { headers, version } = head;
  const { trustedHops } = listener;
  record.service = service.config.name;
  record.serviceSlot = service.config.slot;
  if (trustedHops > 0) record.clientAddress = clientAddress(headers, record.facts, trustedHops);
  stripHopByHop(headers);
  addForwardedHeaders(head, record.facts, trustedHops);
  addVia(headers, version);
  head.target = path.target;
  if (rule.request !== null) applyRequestEdit(rule.request, head, path);
  if (backend.request !== null) applyRequestEdit(backend.request, head, path);
  if (head.target !== path.target && listener.proxyHeaders.envoyDebugHeaders)
    headers.set('x-envoy-original-path', path.target);
  record.forwardedFor = headers.get(H['x-forwarded-for']) ?? '';
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
