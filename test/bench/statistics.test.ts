import { describe, expect, test } from "bun:test";

import { median, orderOf, pairwise, present, spreadOf } from "../../scripts/bench/statistics.ts";

describe("median", () => {
  test("is the middle value, or the mean of the two in the middle", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 100])).toBe(7);
    expect(median([3])).toBe(3);
  });

  test("is null without values", () => {
    expect(median([])).toBeNull();
  });

  test("sorts by size and leaves its argument as it is", () => {
    const values = [10, 9, 100];
    expect(median(values)).toBe(10);
    expect(values).toEqual([10, 9, 100]);
  });
});

test("a spread has median and extremes", () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spreadOf([])).toBeNull();
});

describe("pairwise", () => {
  const ratio = (a: number, b: number) => a / b;

  test("joins what belongs to the same round", () => {
    expect(pairwise([10, 30], [5, 10], ratio)).toEqual([2, 3]);
  });

  test("has nothing for a round in which one of both failed, is missing, or is zero below", () => {
    expect(pairwise([10, null, 30, 4, 5], [null, 5, 10, 0], ratio)).toEqual([null, null, 3, null, null]);
  });

  test("cancels out what slows a whole round down", () => {
    const slowdown = [1, 3, 1.5];
    const ours = slowdown.map((factor) => 20 * factor);
    const theirs = slowdown.map((factor) => 10 * factor);
    expect(spreadOf(present(pairwise(ours, theirs, ratio)))).toEqual({ median: 2, min: 2, max: 2 });
  });
});

describe("the order of the targets", () => {
  test.each([1, 2, 3, 4, 5])("holds each of %i once in every round", (count) => {
    for (let round = 0; round < 12; round++) {
      expect(orderOf(round, count).sort()).toEqual(Array.from({ length: count }, (_, i) => i));
    }
  });

  test("is turned round every other time, and moves on", () => {
    expect([0, 1, 2, 3].map((round) => orderOf(round, 3))).toEqual([
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [0, 2, 1],
    ]);
  });

  test("lets each of two come first equally often", () => {
    const first = Array.from({ length: 8 }, (_, round) => orderOf(round, 2)[0]);
    expect(first.filter((place) => place === 0).length).toBe(4);
  });
});
