// The outlier state of one endpoint, packed into one word so that each transition is one
// compare-and-swap:
//
//   healthy -> ejecting(owner) -> ejected(until) -> probing(owner) -> healthy
//                     ^                                   |
//                     +------ the probe failed -----------+   (abandoned: back to ejected)
//
// ejecting lasts a few instructions: its owner alone writes `until`, so that no late writer can
// shorten an ejection. The generation counts ejections; a request carries the one it started
// under, and a result from an older one neither ejects again nor resets a counter.
// bits: 0-1 phase, 2-6 owner, 7-28 generation, 29 failed active health check, 30 removed, 31 degraded.

export const PHASE = { healthy: 0, ejecting: 1, ejected: 2, probing: 3 } as const;
export type Phase = (typeof PHASE)[keyof typeof PHASE];

export const UNHEALTHY = 1 << 29;
export const REMOVED = 1 << 30;
export const DEGRADED = 1 << 31;

/** The supervisor as the owner of a phase; workers are 0 to 30. */
export const SUPERVISOR = 31;

const OWNER_SHIFT = 2;
const OWNER_MASK = 31 << OWNER_SHIFT;
const GENERATION_SHIFT = 7;
const GENERATION_MAX = (1 << 22) - 1;
const GENERATION_MASK = GENERATION_MAX << GENERATION_SHIFT;

export function phaseOf(state: number): Phase {
  return (state & 3) as Phase;
}

export function ownerOf(state: number): number {
  return (state & OWNER_MASK) >> OWNER_SHIFT;
}

export function generationOf(state: number): number {
  return (state & GENERATION_MASK) >> GENERATION_SHIFT;
}

/** The same state in another phase, owned by `owner` (0 where the phase has none). */
export function inPhase(state: number, phase: Phase, owner: number): number {
  return (state & ~(3 | OWNER_MASK)) | phase | (owner << OWNER_SHIFT);
}

/** The same state one generation later. */
export function nextGeneration(state: number): number {
  const next = (generationOf(state) + 1) & GENERATION_MAX;
  return (state & ~GENERATION_MASK) | (next << GENERATION_SHIFT);
}

/** `nowMs` as a 32-bit word that is never 0, which stands for "no moment". */
export function momentOf(nowMs: number): number {
  return nowMs | 0 || 1;
}

/** Whether the wrap-safe 32-bit millisecond `thenMs` has come. Sound within 24 days either way. */
export function hasPassed(nowMs: number, thenMs: number): boolean {
  return (((nowMs | 0) - thenMs) | 0) >= 0;
}

// What a detection found, in one word, so that nobody reads halves of two:
// bits 0-13 threshold, 14-27 observed, 28-30 detector; percentages in hundredths, counts as they are.
const FINDING_BITS = 14;
const FINDING_MAX = (1 << FINDING_BITS) - 1;

/** Values below 0 are told as 0, those above 16,383 (or 163.83 %) as that. */
export function packFinding(detector: number, observed: number, threshold: number): number {
  return (detector << (2 * FINDING_BITS)) | (clamped(observed) << FINDING_BITS) | clamped(threshold);
}

export function detectorOf(finding: number): number {
  return finding >> (2 * FINDING_BITS);
}

export function observedOf(finding: number): number {
  return (finding >> FINDING_BITS) & FINDING_MAX;
}

export function thresholdOf(finding: number): number {
  return finding & FINDING_MAX;
}

function clamped(value: number): number {
  return Math.max(0, Math.min(FINDING_MAX, Math.round(value)));
}
