import { expect, test } from "bun:test";

import { Locks } from "../../src/memory/locks.ts";
import { inFreshMemory } from "./setup.ts";

test("a lock is held by one at a time, and given up on when it is never released", () => {
  const locks = inFreshMemory((region) => new Locks(region, 2));
  expect(locks.acquire(0, 0)).toBe(true);
  expect(locks.acquire(1, 0)).toBe(false);
  expect(locks.acquire(1, 1)).toBe(true);
  locks.release(0);
  expect(locks.acquire(1, 0)).toBe(true);
});

test("what a dead worker held is repaired and released, and nothing else", () => {
  const locks = inFreshMemory((region) => new Locks(region, 4));
  for (const [worker, index] of [
    [0, 0],
    [1, 1],
    [1, 3],
  ] as const)
    locks.acquire(worker, index);
  const repaired: number[] = [];
  locks.giveBackAll(1, (index) => repaired.push(index));
  expect(repaired).toEqual([1, 3]);
  for (const index of [1, 2, 3]) expect(locks.acquire(2, index)).toBe(true);
  expect(locks.acquire(2, 0)).toBe(false);
});
