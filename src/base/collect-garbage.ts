/** Gives back memory that V8 would keep until memory is short. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Flavor = 'regular' | 'last-resort';
type Collect = (options: { type: 'major'; flavor: Flavor }) => void;

/**
 * One collection of everything on this thread: 15 to 100 ms in which it does nothing else. `last-resort` is what V8
 * does when memory is short: it alone shrinks the young generation. It throws optimised code away too (a request
 * cost half as much again after it), so it is for a thread that has none yet, or none that matters.
 */
export function collectGarbage(flavor: Flavor = 'last-resort'): void {
  // The flag counts for contexts made while it is set: Node's own never sees `gc`. Another thread may have set it back
  // in between; then there is nothing to call, and nothing lost.
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('globalThis.gc') as Collect | undefined;
  setFlagsFromString('--no-expose-gc');
  gc?.({ type: 'major', flavor });
}
