import { describe, expect, test } from "bun:test";

import { editDistance, nearest } from "../../src/config/suggest.ts";

describe("edit distance", () => {
  const pairs: [a: string, b: string, distance: number][] = [
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "abc", 0],
    ["abc", "acb", 1],
    ["bearr", "bearer", 1],
    ["kitten", "sitting", 3],
    ["ab", "ba", 1],
    ["abcd", "badc", 2],
  ];
  test.each(pairs)("from %j to %j is %d, both ways", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe("the nearest word", () => {
  const words = ["name", "port", "address", "upstream_group", "ratelimit", "timeout"];
  const cases: [word: string, expected: string | null][] = [
    ["nmae", "name"],
    ["prot", "port"],
    ["adress", "address"],
    ["upstream-group", "upstream_group"],
    ["UpstreamGroup", "upstream_group"],
    ["rate_limit", "ratelimit"],
    ["tiemout", "timeout"],
    ["upstream", null],
    ["xyz", null],
    ["", null],
    ["p".repeat(65), null],
  ];
  test.each(cases)("to %j is %j", (word, expected) => {
    expect(nearest(word, words)).toBe(expected);
  });

  test("is the first of those that are equally near", () => {
    expect(nearest("cat", ["bat", "car"])).toBe("bat");
    expect(nearest("cat", ["bat", "cat"])).toBe("cat");
  });
});
