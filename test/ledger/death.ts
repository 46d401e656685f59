// Lets an operation of the ledger die at a chosen atomic step: a throw out of Atomics, so that nothing
// the operation would have written later is written, as when its thread is terminated there.

const STEPS = ['load', 'store', 'add', 'sub', 'and', 'or', 'exchange', 'compareExchange', 'notify'] as const;

class Death extends Error {}

/** Runs `operation`, which dies at its `step`-th atomic step; false when it had fewer steps and finished. */
export function dieAt(step: number, isAfter: boolean, operation: () => void): boolean {
  const originals = STEPS.map((name) => Reflect.get(Atomics, name) as (...args: unknown[]) => unknown);
  let count = 0;
  STEPS.forEach((name, index) => {
    const instrumented = (...args: unknown[]): unknown => {
      const isHere = count++ === step;
      if (isHere && !isAfter) throw new Death();
      const result = originals[index](...args);
      if (isHere) throw new Death();
      return result;
    };
    Reflect.set(Atomics, name, instrumented);
  });
  try {
    operation();
    return false;
  } catch (error) {
    if (error instanceof Death) return true;
    throw error;
  } finally {
    for (const [index, name] of STEPS.entries()) Reflect.set(Atomics, name, originals[index]);
  }
}
