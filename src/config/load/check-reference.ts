/** A name that a part of the configuration refers to has to be that of something. */
import type { CheckContext } from './context.ts';
import type { Path } from './source-text.ts';
import { nearest } from './suggest.ts';

export function checkReference(
  context: CheckContext,
  path: Path,
  kind: 'listener' | 'service',
  name: string,
  known: ReadonlySet<string>,
): void {
  if (known.has(name)) return;
  const guess = nearest(name, known);
  const names = [...known].slice(0, 5).join(', ');
  const list =
    known.size === 0 ? `there is no ${kind} yet` : `${kind}s are ${names}${known.size > 5 ? ', …' : ''}`;
  context.fault({
    path,
    expected: `the name of a ${kind}`,
    cure: guess === null ? list : `did you mean ${guess}?`,
  });
}
