/**
 * A rule with everything decided that can be decided when configuration arrives. Rules that replace the
 * matched prefix are compiled once per prefix, so that applying one never asks which match it was.
 */
import type { FilterConfig, RuleConfig } from '../../config/index.ts';
import { compileAnswer, type FixedAnswer } from './answer.ts';
import { WeightedBackends } from './backends.ts';
import { compileHeaderEdit, type HeaderEdit } from './header-edit.ts';
import { compileRequestEdit, type RequestEdit } from './request-edit.ts';

/** `P` is whatever the caller hangs on each rule (retry policy, timeouts, counters). */
export interface CompiledRule<P> {
  /** `RuleConfig.name`: what logs and decision records call it. */
  readonly name: string;
  readonly route: string;
  readonly config: RuleConfig;
  /** The rule answers by itself (redirect, direct response); null: a backend does. */
  readonly answer: FixedAnswer | null;
  readonly request: RequestEdit | null;
  readonly response: HeaderEdit | null;
  readonly backends: WeightedBackends;
  readonly attached: P;
}

/** `prefix` is the matched path prefix without a trailing `/`, or null when the match is no prefix. */
export function compileRule<P>(
  route: string,
  config: RuleConfig,
  attached: P,
  prefix: string | null,
): CompiledRule<P> {
  return {
    name: config.name,
    route,
    config,
    answer: compileAnswer(config.filters, prefix),
    request: compileRequestEdit(config.filters, prefix),
    response: compileHeaderEdit(config.filters, 'ResponseHeaderModifier'),
    backends: new WeightedBackends(config.backends, prefix),
    attached,
  };
}

/** Does what the rule does depend on which prefix matched? */
export function dependsOnPrefix(config: RuleConfig): boolean {
  return (
    config.filters.some(replacesPrefix) || config.backends.some(({ filters }) => filters.some(replacesPrefix))
  );
}

function replacesPrefix(filter: FilterConfig): boolean {
  return (
    (filter.type === 'URLRewrite' || filter.type === 'RequestRedirect') &&
    filter.path?.type === 'ReplacePrefixMatch'
  );
}
