/**
 * Invariants. A broken one means that this worker's state can't be trusted, so it throws: nothing
 * catches it, the worker ends loudly and the supervisor starts another.
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition)
    throw new Error(`invariant broken: ${message}; this is a bug in Outboard, please report it`);
}
