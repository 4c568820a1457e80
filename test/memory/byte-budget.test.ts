import { expect, test } from "bun:test";

import { ByteBudget, PIECE_BYTES } from "../../src/memory/byte-budget.ts";
import { inFreshMemory } from "./setup.ts";

function budget(pieces: number): ByteBudget {
  const made = inFreshMemory((region) => new ByteBudget(region, 3));
  made.setMax(pieces * PIECE_BYTES);
  return made;
}

test("pieces are given out until there are none, whoever asks", () => {
  const made = budget(5);
  expect(made.take(0, 3)).toBe(true);
  expect(made.take(1, 3)).toBe(false);
  expect(made.take(1, 2)).toBe(true);
  expect(made.take(2, 1)).toBe(false);
  made.giveBack(0, 1);
  expect(made.take(2, 1)).toBe(true);
  expect(made.takenBytes()).toBe(5 * PIECE_BYTES);
});

test("what a dead worker had comes back, once", () => {
  const made = budget(5);
  made.take(0, 2);
  made.take(1, 3);
  made.giveBackAll(1);
  made.giveBackAll(1);
  expect(made.takenBytes()).toBe(2 * PIECE_BYTES);
  expect(made.take(2, 3)).toBe(true);
});

test("without a bound there is no end of them; a part of a piece is a piece", () => {
  const made = inFreshMemory((region) => new ByteBudget(region, 1));
  expect(made.bytesMax).toBe(Number.POSITIVE_INFINITY);
  expect(made.take(0, 1_000_000)).toBe(true);
  made.setMax(PIECE_BYTES + 1);
  expect(made.bytesMax).toBe(2 * PIECE_BYTES);
  expect(made.take(0, 1)).toBe(false);
});
