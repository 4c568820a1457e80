import { expect, test } from "bun:test";

import { PIECE_BYTES } from "../../src/memory/byte-budget.ts";
import { LimitsMemory } from "../../src/memory/limits-memory.ts";
import { RateLimitRule, RateLimitTable } from "../../src/memory/rate-limit-table.ts";
import { inFreshMemory } from "./setup.ts";

test("what a dead worker held is given back, and what others hold stays", () => {
  const memory = inFreshMemory((region) => new LimitsMemory(region, { workers: 2, forwards: 2 }));
  for (const worker of [0, 1]) {
    memory.connections.take(worker, 1);
    memory.sockets.take(worker, 0);
    memory.requests.take(worker, 0);
    memory.buffered.take(worker, 2);
  }
  expect(memory.connections.inUse()).toEqual([1]);
  memory.giveBackWorker(1);
  expect(memory.connections.read(1)).toBe(1);
  expect(memory.sockets.read(0)).toBe(1);
  expect(memory.requests.read(0)).toBe(1);
  expect(memory.buffered.takenBytes()).toBe(2 * PIECE_BYTES);
  memory.giveBackWorker(0);
  expect(memory.connections.inUse()).toEqual([]);
});

test("a table of its own has a seed of its own, and is the same table in every thread", () => {
  let seeds = 0;
  const random = () => ++seeds;
  const [one, other] = [RateLimitTable.allocate(1024, random), RateLimitTable.allocate(1024, random)];
  expect(seeds).toBe(4);
  const rule = new RateLimitRule(1, 1);
  const client = { high: 0, low: 1 };
  expect(RateLimitTable.over(one).decide(0, client, rule, 0)).toBe(0);
  expect(RateLimitTable.over(one).decide(0, client, rule, 0)).toBeLessThan(0);
  expect(RateLimitTable.over(other).decide(0, client, rule, 0)).toBe(0);
});
