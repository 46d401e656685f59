/** A name that a part of the configuration refers to has to be that of something. */
import type { CheckContext } from './context.ts';
import type { Path } from './source-text.ts';
import { nearest } from './suggest.ts';
import type { RouteTargets } from './targets.ts';

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

/** Names of subsets belong to the service. */
export function checkSubsetReference(
  service: string,
  subset: string | undefined,
  path: Path,
  targets: RouteTargets,
  context: CheckContext,
): void {
  const subsets = targets.subsets.get(service) ?? [];
  if (subset === undefined || subsets.includes(subset) || !context.serviceNames.has(service)) return;
  context.faultIfWhole({
    path,
    expected: `a subset of service ${service}`,
    cure: subsets.length === 0 ? 'it has none; add subsets to it' : `they are ${subsets.join(', ')}`,
  });
}
