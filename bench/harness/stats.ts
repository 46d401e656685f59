/**
 * The arithmetic of the results. Two proxies are compared round by round, each round's pair giving one ratio:
 * whatever disturbs the machine for longer than a round disturbs both. The median of those ratios is the figure, their
 * smallest and largest its spread.
 */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

export function spread(values: readonly number[]): Spread {
  const finite = values.filter(Number.isFinite);
  return {
    median: median(finite),
    min: finite.length === 0 ? Number.NaN : Math.min(...finite),
    max: finite.length === 0 ? Number.NaN : Math.max(...finite),
    rounds: finite.length,
  };
}

/** `a[i] / b[i]` of every round in which both were measured. */
export function pairedRatio(a: readonly number[], b: readonly number[]): Spread {
  const ratios: number[] = [];
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [over, under] = [a[i] as number, b[i] as number];
    if (Number.isFinite(over) && under > 0) ratios.push(over / under);
  }
  return spread(ratios);
}

/** In what order they are asked in a round: who was last is first in the next, so that what one leaves behind meets both. */
export function turnsOf<T>(contenders: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? contenders : contenders.toReversed();
}

/** Three significant digits; null for what was not measured, as JSON has no NaN. */
export function rounded(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(3)) : null;
}
