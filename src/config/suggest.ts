/** Longest word, and most candidates, that are compared: a hostile file must not cost time. */
const wordCharsMax = 64;
const candidatesMax = 128;

/**
 * The candidate nearest to a mistyped word, or null when none is near: at most a third of the letters
 * (at least one) may differ. Case and the difference of `-` and `_` do not count.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  if (word === "" || word.length > wordCharsMax) return null;
  const plain = fold(word);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  let looked = 0;
  for (const candidate of candidates) {
    if (++looked > candidatesMax) break;
    if (candidate.length > wordCharsMax || Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(plain, fold(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll("-", "_");
}

/**
 * Number of insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`
 * (optimal string alignment). https://en.wikipedia.org/wiki/Damerau-Levenshtein_distance
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
