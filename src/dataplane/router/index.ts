/** router: which rule a request falls under, and what that rule does to request and answer. */
export { type Answer, answerOf, type FixedAnswer } from './answer.ts';
export type { BackendChoice, WeightedBackends } from './backends.ts';
export {
  type Carried,
  type ConnectionRoutes,
  compileConnectionRoutes,
} from './connection-routes.ts';
export { applyHeaderEdit, type HeaderEdit } from './header-edit.ts';
export { normalizePath, type PreparedPath } from './normalize-path.ts';
export { applyRequestEdit, type RequestEdit } from './request-edit.ts';
export { compileRouter, type Router } from './router.ts';
export type { CompiledRule } from './rule.ts';
