/**
 * Durations as Gateway API writes them (GEP-2257): one to four pairs of number and unit, units h, m,
 * s, ms, no fractions, no sign: `250ms`, `1m30s`. `0s` is valid and switches a timeout off.
 */

const DURATION = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;
const PAIR = /([0-9]{1,5})(ms|h|m|s)/g;
const UNIT_MS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** Milliseconds, or undefined when `text` is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let ms = 0;
  for (const [, count, unit] of text.matchAll(PAIR))
    ms += Number(count) * (UNIT_MS[unit as string] as number);
  return ms;
}

/** The shortest text that `parseDuration` reads back as the same number of whole milliseconds. */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms);
  if (rest === 0) return '0s';
  let text = '';
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = UNIT_MS[unit] as number;
    const count = unit === 'h' ? Math.min(99_999, Math.floor(rest / size)) : Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
