import { expect, test } from "bun:test";

import { formatNumber, formatTable } from "../../scripts/bench/table.ts";

test("a table has its first column to the left and numbers to the right", () => {
  const table = formatTable(
    ["", "requests/s", "p50"],
    [
      ["nginx", "12,345", "1.50"],
      ["llmproxyd", "9", "100"],
    ],
  );
  expect(table.split("\n")).toEqual([
    "           requests/s   p50",
    "---------  ----------  ----",
    "nginx          12,345  1.50",
    "llmproxyd           9   100",
  ]);
});

test.each([
  [0, "0.00"],
  [1.234, "1.23"],
  [12.34, "12.3"],
  [99.96, "100.0"],
  [123.4, "123"],
  [1234567.8, "1,234,568"],
  [-12345, "-12,345"],
])("%d is shown as %s", (value, text) => {
  expect(formatNumber(value)).toBe(text);
});
