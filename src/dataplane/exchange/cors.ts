/** What a rule's CORS filter makes of a request, and of the record of it. */
import type { RequestHead } from '../../message/index.ts';
import type { RequestRecord } from '../../telemetry/index.ts';
import { type CorsAnswer, judgeCors } from '../policy/index.ts';
import type { CompiledRule } from '../router/index.ts';
import type { RulePolicy } from './context.ts';

/** Null: its rule has none. */
export function corsOf(
  rule: CompiledRule<RulePolicy> | null,
  head: RequestHead,
  record: RequestRecord,
): CorsAnswer | null {
  const policy = rule?.attached.cors ?? null;
  if (policy === null) return null;
  const answer = judgeCors(policy, head);
  record.corsOrigin = answer.origin ?? '';
  if (answer.reply !== null && answer.origin === 'invalid') record.limit = 'cors.allowOrigins';
  return answer;
}
