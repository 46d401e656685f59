/**
 * config: what a configuration is once it is valid, and how a new one reaches a worker. This door loads
 * no parser, no schema library and no regular-expression engine, because every worker goes through it;
 * turning a file into a draft is `load/index.ts`, which the control plane alone imports.
 */
export type { CallersConfig, OffencesConfig } from './callers.ts';
export { applyDelta, EMPTY_SNAPSHOT, type ListDelta, type SnapshotDelta } from './delta.ts';
export { diffSnapshots } from './diff.ts';
export {
  type Built,
  buildSnapshot,
  type ConfigDraft,
  type EndpointDraft,
  endpointSlotKey,
  type RemovedSlot,
  removedSlots,
  type SecretFiles,
  type ServiceDraft,
  type SlotKind,
  type SlotOf,
  serviceSlotKey,
} from './draft.ts';
export type * from './health-config.ts';
export type * from './overload-config.ts';
export type * from './rate-limit-config.ts';
export { rateLimitKey } from './rate-limit-config.ts';
export { renderConfig } from './render.ts';
export type * from './route-config.ts';
export * from './secrets.ts';
export type * from './service-config.ts';
export type * from './snapshot.ts';
