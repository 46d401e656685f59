/** Where a request goes: to a service, to an answer of our own, or nowhere. */
import { type Failure, failure } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import type { RequestHead } from '../../message/index.ts';
import {
  answerOf,
  applyHeaderEdit,
  type BackendChoice,
  type CompiledRule,
  normalizePath,
  type PreparedPath,
} from '../router/index.ts';
import type { UpstreamService } from '../upstream/index.ts';
import type { ExchangeContext, RulePolicy } from './context.ts';
import type { OwnAnswer } from './local-answer.ts';

/** A request that is to be sent on. */
export interface Routed {
  readonly kind: 'sent';
  readonly rule: CompiledRule<RulePolicy>;
  readonly backend: BackendChoice;
  readonly service: UpstreamService;
  readonly path: PreparedPath;
}

export type Choice =
  | { readonly kind: 'failed'; readonly rule: CompiledRule<RulePolicy> | null; readonly failure: Failure }
  | { readonly kind: 'answered'; readonly rule: CompiledRule<RulePolicy>; readonly answer: OwnAnswer }
  | Routed;

/** Normalises the path, finds the rule, and picks one of its backends by weight. */
export function choose(context: ExchangeContext, listener: ListenerConfig, head: RequestHead): Choice {
  if (head.method === 'CONNECT') return failed(null, failure('method-not-implemented'));
  const path = normalizePath(head.target, listener.pathNormalization);
  if (path.failure !== null) return failed(null, path.failure);
  const rule = context.router.match(listener.name, head, path);
  if (rule === null) return failed(null, failure('no-route'));
  // Redirects and direct responses: the rule's edits of answers hold for them too.
  if (rule.answer !== null) {
    const answer = answerOf(rule.answer, head, path, listener.port);
    if (rule.response !== null) applyHeaderEdit(rule.response, answer.headers);
    return { kind: 'answered', rule, answer };
  }
  const backend = rule.backends.pick(context.random());
  if (backend === null) {
    return failed(rule, failure('no-service', `rule ${rule.name} has no backend with a weight`));
  }
  if (backend.answer !== null) {
    const answer = answerOf(backend.answer, head, path, listener.port);
    if (backend.response !== null) applyHeaderEdit(backend.response, answer.headers);
    if (rule.response !== null) applyHeaderEdit(rule.response, answer.headers);
    return { kind: 'answered', rule, answer };
  }
  const service = context.services.get(backend.service);
  if (service === undefined) return failed(rule, failure('no-service', backend.service));
  return { kind: 'sent', rule, backend, service, path };
}

function failed(rule: CompiledRule<RulePolicy> | null, why: Failure): Choice {
  return { kind: 'failed', rule, failure: why };
}
