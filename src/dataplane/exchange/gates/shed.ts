/** What an overloaded node refuses before anything else is done for a request, lowest priority first. */
import type { CompiledRule } from '../../router/index.ts';
import { noteLimit } from '../attempts/admission.ts';
import type { RulePolicy } from '../context.ts';
import type { GatedRequest } from './gates.ts';

/**
 * Whether the request is refused because the node is overloaded; then the record says which resource is short (in percent of its
 * maximum), and the answer that it is this proxy.
 */
export function shed(rule: CompiledRule<RulePolicy>, request: ShedRequest): boolean {
  const { overload, random } = request.context;
  if (overload?.refuses(rule.attached.priority, random) !== true) return false;
  const { cause, causePressure } = overload;
  noteLimit(request.record, `overloadManager.${cause}`, 100, Math.round(causePressure * 100));
  request.addAnswerField('x-envoy-local-overloaded', 'true');
  return true;
}

type ShedRequest = Pick<GatedRequest, 'context' | 'record' | 'addAnswerField'>;
