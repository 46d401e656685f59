/** When and on which threads V8 collects garbage, where its own choice is not ours. */
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

/**
 * From now on a thread collects its own garbage, in small steps, except in the last stop of a large collection. V8 would have up to
 * four helper threads mark beside it and copy with it; they take the processor from the workers, of which there is one for each.
 * With 17 MB alive the longest step before that last stop was 14 ms and more, and is 0.3: docs/decisions/0019. To be called before there
 * are other threads.
 */
export function collectWithoutHelpers(): void {
  for (const flag of ['--no-concurrent-marking', '--no-parallel-scavenge']) setFlagsFromString(flag);
}
