const PLAIN = Array.from({ length: 1000 }, (_, value) => String(value));
const PADDED = PLAIN.map((digits) => digits.padStart(3, "0"));

/**
 * A whole number, not negative, as decimal digits: a status, or the length of a body. From a table, as JavaScriptCore would
 * convert the numbers that come with each message anew, which costs as much as reading its head.
 */
export function decimal(value: number): string {
  if (value < 1000) return PLAIN[value]!;
  if (value < 1_000_000) return PLAIN[Math.floor(value / 1000)]! + PADDED[value % 1000]!;
  return String(value);
}
