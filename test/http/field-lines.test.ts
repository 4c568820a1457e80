import { describe, expect, test } from "bun:test";

import type { HeaderList } from "../../src/http/exchange.ts";
import { type FieldLinesError, readFieldLines } from "../../src/http/field-lines.ts";
import { endOfText } from "../../src/http/syntax.ts";
import { Random } from "../support/random.ts";

/** Reads lines that stand in the middle of other bytes. */
function read(lines: string, headersMax = 200): HeaderList | FieldLinesError {
  const bytes = Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\nbody`, "latin1");
  return readFieldLines(bytes, 16, 16 + lines.length, headersMax);
}

describe("field lines", () => {
  test("give names and values as they came, without the blanks around values", () => {
    expect(read("X-A: b\r\nx-a:\t c d \t\r\nX-Empty:\r\nX-Blank: \t \r\n")).toEqual([
      "X-A",
      "b",
      "x-a",
      "c d",
      "X-Empty",
      "",
      "X-Blank",
      "",
    ]);
    expect(read("X: \xa0caf\xe9\xff\r\n")).toEqual(["X", "\xa0caf\xe9\xff"]);
    expect(read("")).toEqual([]);
  });

  test.each<[string, FieldLinesError]>([
    ["X-A\r\n", "bad-name"],
    [": b\r\n", "bad-name"],
    ["X-A : b\r\n", "bad-name"],
    [" X-A: b\r\n", "bad-name"],
    ["X-A: b\r\n c\r\n", "bad-name"],
    ["X-\xe9: b\r\n", "bad-name"],
    ["X-A: b\nX-B: c\r\n", "bad-value"],
    ["X-A: b\rX-B: c\r\n", "bad-value"],
    ["X-A: b\0c\r\n", "bad-value"],
    ["X-A: b\x7f\r\n", "bad-value"],
  ])("%j are refused: %s", (lines, error) => {
    expect(read(lines)).toBe(error);
  });

  test("may be so many", () => {
    const lines = (count: number) => "X-A: b\r\n".repeat(count);
    expect(read(lines(10), 10)).toHaveLength(20);
    expect(read(lines(11), 10)).toBe("too-many");
  });

  test("of many different names never give another one than was sent", async () => {
    const random = new Random();
    await random.run(async () => {
      for (let round = 0; round < 20_000; round++) {
        const name =
          random.below(4) === 0 ? `X-${random.below(50)}` : `x${random.below(5000)}-${random.below(3)}`;
        const long = random.below(50) === 0 ? "y".repeat(70) : "";
        expect(read(`${name}${long}: ${round}\r\n`)).toEqual([`${name}${long}`, `${round}`]);
      }
    });
  });
});

test("a text ends at the first control character that is no tab", () => {
  const end = (text: string) => endOfText(Buffer.from(text, "latin1"), 0);
  expect(["a\tb \xff\r\n", "\r", "a\x7fb", "abc"].map(end)).toEqual([5, 0, 1, 3]);
});
