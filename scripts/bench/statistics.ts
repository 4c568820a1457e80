/** The middle value, or the mean of the two in the middle; null when there is none. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median and extremes of what several rounds gave. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Gives null when no round gave a value. */
export function spreadOf(values: readonly number[]): Spread | null {
  const middle = median(values);
  return middle === null ? null : { median: middle, min: Math.min(...values), max: Math.max(...values) };
}

/** What one round gave; null where it failed. */
export type Rounds = readonly (number | null)[];

/** Round by round `of(a, b)`, where both have a value. What disturbs a whole round cancels out of it. */
export function pairwise(a: Rounds, b: Rounds, of: (a: number, b: number) => number): (number | null)[] {
  return a.map((value, round) => {
    const other = b[round] ?? null;
    const result = value === null || other === null ? null : of(value, other);
    return result !== null && Number.isFinite(result) ? result : null;
  });
}

/** Drops the rounds that failed. */
export function present(rounds: Rounds): number[] {
  return rounds.filter((value) => value !== null);
}

/**
 * The order in which `count` targets take their turn in a round: every round begins with another one, and every
 * second one runs backwards, so that none always profits or suffers from its neighbour or from its place.
 */
export function orderOf(round: number, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => (i + (round >> 1)) % count);
  return round % 2 === 0 ? order : order.reverse();
}
