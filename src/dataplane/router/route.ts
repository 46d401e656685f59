/**
 * One route with its rules and matches compiled. Kept from snapshot to snapshot while the route is the
 * same object.
 */
import type { RouteConfig, RuleConfig } from '../../config/index.ts';
import { type Conditions, compileConditions } from './conditions.ts';
import { withoutSlash } from './request-edit.ts';
import { type CompiledRule, compileRule, dependsOnPrefix } from './rule.ts';

export interface CompiledRoute<P> {
  readonly config: RouteConfig;
  /** In the order of the rules and of their matches. */
  readonly matches: readonly CompiledMatch<P>[];
}

export interface CompiledMatch<P> {
  readonly rule: CompiledRule<P>;
  readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression';
  /** A prefix has lost its trailing `/`. */
  readonly path: string;
  readonly method: string | null;
  readonly conditions: Conditions | null;
}

export function compileRoute<P>(config: RouteConfig, attach: (rule: RuleConfig) => P): CompiledRoute<P> {
  const matches: CompiledMatch<P>[] = [];
  for (const rule of config.rules) {
    const attached = attach(rule);
    const perPrefix = dependsOnPrefix(rule);
    const shared = perPrefix ? null : compileRule(config.name, rule, attached, null);
    for (const match of rule.matches) {
      const { type, value } = match.path;
      const path = type === 'PathPrefix' ? withoutSlash(value) : value;
      const prefix = type === 'PathPrefix' ? path : null;
      matches.push({
        rule: shared ?? compileRule(config.name, rule, attached, prefix),
        type,
        path,
        method: match.method,
        conditions: compileConditions(match),
      });
    }
  }
  return { config, matches };
}
