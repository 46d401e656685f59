/**
 * Slow start, as Envoy has it: an endpoint that is new, or back from ill health, begins with a small part of its weight and
 * comes to all of it when the window is over. While one of a group is in its window the group is balanced by a schedule of
 * weights; else as if there were no slow start.
 */
import type { SlowStartConfig } from '../../config/index.ts';

/** What part of its weight an endpoint gets that has been in use for so long: max(least, time factor ^ (1 / aggression)). */
export function slowStartFactor(
  { windowMs, aggression, minWeightPercent }: SlowStartConfig,
  inUseForMs: number,
): number {
  if (inUseForMs >= windowMs) return 1;
  const timeFactor = Math.max(1, inUseForMs) / windowMs;
  const grown = aggression === 1 ? timeFactor : timeFactor ** (1 / aggression);
  return Math.max(grown, minWeightPercent / 100);
}
