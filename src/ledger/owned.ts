// A counter shared by all workers in which every unit has an owner, exact even when a worker is
// terminated between any two instructions.
//
// Beside the shared word each worker keeps a cell of its own: units held << 2 | phase. An operation
// writes three times: own cell with its phase (ACQUIRING or RELEASING), shared word by
// compare-and-swap, own cell with the new number and phase 0. If the thread ends
// - before the first or after the third write, the own cell is exact and the supervisor subtracts it;
// - in between, one unit is in doubt. The supervisor first subtracts only what is certain, which
//   leaves the shared word right or one too high (a limit is never exceeded, the word never
//   negative), then removes the doubt: it sets FROZEN in the shared word, so that no
//   compare-and-swap succeeds, waits until every live worker's cell shows phase 0 (an operation
//   that meets FROZEN withdraws its phase before it spins, so each is seen at 0 soon), and
//   stores the sum of the cells.
// Plain stores to the own cell are enough: a dead thread has been joined before its exit event, and
// for a live one the compare-and-swap orders them before anything that reads the shared word.
import { systemClock } from '../base/index.ts';
import type { Memory } from './layout.ts';

/** Set in a shared word while the supervisor recounts it. */
export const FROZEN = 1 << 30;
/** The greatest count of one gauge; higher limits (Istio's 2^32 - 1) mean this. */
export const MAX_COUNT = (1 << 28) - 1;

const ACQUIRING = 1;
const RELEASING = 2;
const PHASE = 3;
const UNIT = 4;

/** A recount normally takes microseconds; a worker preempted inside an operation may need longer. */
const RECOUNT_MS_MAX = 2;

/** Takes one unit unless the count has reached `limit`. Returns the new count, 0 when refused. */
export function acquireOwned(memory: Memory, word: number, own: number, limit: number): number {
  const held = memory[own];
  memory[own] = held | ACQUIRING;
  for (;;) {
    const seen = Atomics.load(memory, word);
    if ((seen & FROZEN) !== 0) {
      memory[own] = held;
      awaitThaw(memory, word);
      memory[own] = held | ACQUIRING;
    } else if (seen >= limit || seen >= MAX_COUNT) {
      memory[own] = held;
      return 0;
    } else if (Atomics.compareExchange(memory, word, seen, seen + 1) === seen) {
      memory[own] = held + UNIT;
      return seen + 1;
    }
  }
}

/** Returns one unit. Throws if this worker holds none: releasing twice would corrupt the limit. */
export function releaseOwned(memory: Memory, word: number, own: number): void {
  const held = memory[own];
  if (held < UNIT) throw new Error(`ledger: release without acquire (word ${word})`);
  memory[own] = held | RELEASING;
  for (;;) {
    const seen = Atomics.load(memory, word);
    if ((seen & FROZEN) !== 0) {
      memory[own] = held;
      awaitThaw(memory, word);
      memory[own] = held | RELEASING;
    } else if (Atomics.compareExchange(memory, word, seen, seen - 1) === seen) {
      memory[own] = held - UNIT;
      return;
    }
  }
}

/** The count in a shared word, whether frozen or not. */
export function countOf(memory: Memory, word: number): number {
  return Atomics.load(memory, word) & ~FROZEN;
}

/** Units that an own cell holds. While its word is frozen an operation may try, but not succeed. */
export function ownedCount(memory: Memory, own: number): number {
  return Atomics.load(memory, own) >> 2;
}

/**
 * Returns what a dead worker's cell certainly held and zeroes the cell.
 * True: the shared word is exact again. False: one unit is in doubt and `recount` must follow.
 */
export function giveBackOwned(memory: Memory, word: number, own: number): boolean {
  const cell = memory[own];
  if (cell === 0) return true;
  const phase = cell & PHASE;
  Atomics.sub(memory, word, (cell >> 2) - (phase === RELEASING ? 1 : 0));
  memory[own] = 0;
  return phase === 0;
}

/** Runs `recompute` while no worker changes the word. False: a worker was preempted inside an operation. */
export function recountFrozen(
  memory: Memory,
  word: number,
  isBusy: (worker: number) => boolean,
  workers: readonly number[],
  recompute: () => number,
): boolean {
  Atomics.or(memory, word, FROZEN);
  const deadlineMs = systemClock.nowMs() + RECOUNT_MS_MAX;
  for (const worker of workers) {
    while (isBusy(worker)) {
      if (systemClock.nowMs() > deadlineMs) {
        Atomics.and(memory, word, ~FROZEN);
        return false;
      }
    }
  }
  Atomics.store(memory, word, recompute());
  return true;
}

/** Whether an operation is under way in an own cell. */
export function isBusyCell(memory: Memory, own: number): boolean {
  return (Atomics.load(memory, own) & PHASE) !== 0;
}

/** Spins while the supervisor recounts; it gives up after {@link RECOUNT_MS_MAX}. */
export function awaitThaw(memory: Memory, word: number): void {
  while ((Atomics.load(memory, word) & FROZEN) !== 0);
}
