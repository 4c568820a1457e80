import { expect, test } from "bun:test";

import { decimal } from "../../src/http/decimal.ts";

test("a whole number has its digits, however many", () => {
  const edges = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 999_999_999_999_999];
  const values = edges.flatMap((edge) => [edge - 1, edge, edge + 1, edge + 99]);
  for (const value of values) expect(decimal(value)).toBe(String(value));
});
