import type { RetryConfig } from '../../src/config/index.ts';

/** A retry section as a route has it that states nothing, with changes. */
export function retryConfig(changes: Partial<RetryConfig> = {}): RetryConfig {
  return {
    attempts: 2,
    retryOn: [],
    codes: [],
    retriableHeaders: [],
    backoffBaseMs: 25,
    backoffMaxMs: 250,
    resetHeaders: [],
    resetMaxMs: 300_000,
    replayBytes: 65_536,
    hostSelectionAttempts: 1,
    ...changes,
  };
}
