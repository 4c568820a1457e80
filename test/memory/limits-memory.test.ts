import { describe, expect, test } from "bun:test";

import { PIECE_BYTES } from "../../src/memory/byte-budget.ts";
import {
  type LimitedForwards,
  limitsFit,
  LimitsMemory,
  proposeLimitsCapacity,
} from "../../src/memory/limits-memory.ts";
import { RateLimitRule } from "../../src/memory/rate-limit-table.ts";
import { Region } from "../../src/memory/region.ts";
import { inFreshMemory } from "./setup.ts";

function forwards(...clients: readonly (number | null)[]): LimitedForwards {
  return {
    forwards: clients.map((count, id) => ({ id, ratelimit: count === null ? null : { clients: count } })),
  };
}

describe("the capacity", () => {
  test("has room for further forwards, and for the clients of those with a limit", () => {
    expect(proposeLimitsCapacity(forwards(null, 2048, null), 3)).toEqual({
      workers: 3,
      forwards: 16,
      clients: [0, 2048, 0],
    });
  });

  test("takes memory only for forwards with a limit", () => {
    const bytes = (plan: LimitedForwards) =>
      Region.measure((region) => new LimitsMemory(region, proposeLimitsCapacity(plan, 2)));
    const without = bytes(forwards(null, null));
    expect(without).toBeLessThan(4096);
    expect(bytes(forwards(65_536, null)) - without).toBeLessThan(65_536 * 33);
    expect(bytes(forwards(65_536, 65_536)) - without).toBeGreaterThan(2 * 65_536 * 32);
  });

  test("fits a plan until a limit comes new or is made for another number of clients", () => {
    const capacity = proposeLimitsCapacity(forwards(null, 2048), 1);
    expect(limitsFit(capacity, forwards(null, 2048, null))).toBe(true);
    expect(limitsFit(capacity, forwards(null, null))).toBe(true);
    expect(limitsFit(capacity, forwards(2048, 2048))).toBe(false);
    expect(limitsFit(capacity, forwards(null, 4096))).toBe(false);
    expect(limitsFit(capacity, forwards(...new Array<null>(17).fill(null)))).toBe(false);
  });
});

test("what a dead worker held is given back, and what others hold stays", () => {
  const memory = inFreshMemory(
    (region) => new LimitsMemory(region, proposeLimitsCapacity(forwards(1024, null), 2)),
  );
  for (const worker of [0, 1]) {
    memory.connections.take(worker, 1);
    memory.sockets.take(worker, 0);
    memory.requests.take(worker, 0);
    memory.buffered.take(worker, 2);
  }
  memory.giveBackWorker(1);
  expect(memory.connections.read(1)).toBe(1);
  expect(memory.sockets.read(0)).toBe(1);
  expect(memory.requests.read(0)).toBe(1);
  expect(memory.buffered.takenBytes()).toBe(2 * PIECE_BYTES);
});

test("every table has a seed of its own", () => {
  const memory = inFreshMemory(
    (region) => new LimitsMemory(region, proposeLimitsCapacity(forwards(1024, 1024, null), 1)),
  );
  let seeds = 0;
  memory.seed(() => ++seeds);
  expect(seeds).toBe(4);
  expect(memory.rateLimits.map((table) => table !== null)).toEqual([true, true, false]);
  const rule = new RateLimitRule(1, 1);
  expect(memory.rateLimits[0]?.decide(0, { high: 0, low: 1 }, rule, 0)).toBe(0);
  // The other forward knows nothing of it.
  expect(memory.rateLimits[1]?.decide(0, { high: 0, low: 1 }, rule, 0)).toBe(0);
});
