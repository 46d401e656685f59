/**
 * "Did you mean": the nearest of the words that would have been right. Case, `-` and `_` are ignored
 * first, so that Envoy's `max_connections` finds `maxConnections`; then up to two slips of the finger
 * (edit distance with transpositions), one for short words.
 */

/** Words compared at most: a typing slip needs no search through every service of a node. */
const CANDIDATES_MAX = 10_000;

export function nearest(word: string, candidates: Iterable<string>): string | null {
  const plain = normalise(word);
  if (plain.length === 0 || plain.length > 128) return null;
  const allowed = plain.length <= 3 ? 1 : 2;
  let best: string | null = null;
  let bestDistance = allowed + 1;
  let count = 0;
  for (const candidate of candidates) {
    if (++count > CANDIDATES_MAX) break;
    const other = normalise(candidate);
    if (other === plain) return candidate;
    if (Math.abs(other.length - plain.length) >= bestDistance) continue;
    const distance = editDistance(plain, other);
    // One letter of two is a different word, not a slip.
    if (distance < bestDistance && distance < Math.max(plain.length, other.length) - 1) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function normalise(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Damerau-Levenshtein distance (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let twoBack: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (previous[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (previous[j - 1] as number) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (twoBack[j - 2] as number) + 1);
      row.push(cost);
    }
    twoBack = previous;
    previous = row;
  }
  return previous[b.length] as number;
}
