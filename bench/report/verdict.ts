/** Who is better by a ratio of Outboard over Envoy. */
import type { Spread } from '../harness/stats.ts';

/** Names of ratios of which more is better; of all others less is. */
const MORE_IS_BETTER = /rps|msgs|bytes|per_cpu/;

/** A difference that the spread doesn't reach across is one; else nobody has won. */
export function verdict(name: string, { min, max }: Spread): 'better' | 'worse' | 'even' {
  if (min <= 1 && max >= 1) return 'even';
  return min > 1 === MORE_IS_BETTER.test(name) ? 'better' : 'worse';
}
