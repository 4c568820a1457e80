import { describe, expect, test } from "bun:test";

import { Locks } from "../../src/memory/locks.ts";
import {
  type ClientKey,
  RateLimitRule,
  RateLimitTable,
  UNTRACKED,
} from "../../src/memory/rate-limit-table.ts";
import { Region } from "../../src/memory/region.ts";
import { Random } from "../support/random.ts";
import { inFreshMemory } from "./setup.ts";

const WORKER = 0;

function freshTable(clients = 1024): RateLimitTable {
  const table = inFreshMemory((region) => new RateLimitTable(region, clients));
  table.seed(0x1234, -0x5678);
  return table;
}

function client(low: number, high = 0): ClientKey {
  return { high, low };
}

/** How many of so many requests at one moment are admitted. */
function burstAt(
  table: RateLimitTable,
  key: ClientKey,
  rule: RateLimitRule,
  nowMs: number,
  asked: number,
): number {
  let admitted = 0;
  for (let i = 0; i < asked; i++) if (table.decide(WORKER, key, rule, nowMs) === 0) admitted++;
  return admitted;
}

describe("a client", () => {
  test.each([
    [1, 1],
    [1, 20_000],
    [3, 7],
    [100, 200],
    [7_000, 7_001],
    [10_000, 20_000],
  ])("with %d per second and a burst of %d gets the burst at once, then the rate", (perSecond, burst) => {
    const table = freshTable();
    const rule = new RateLimitRule(perSecond, burst);
    expect(burstAt(table, client(1), rule, 5_000, burst + 10)).toBe(burst);
    // After each of a few stretches exactly what the rate gives, to the request.
    let nowMs = 5_000;
    for (const seconds of [1, 2, 3]) {
      nowMs += seconds * 1000;
      const due = Math.min(burst, seconds * perSecond);
      expect(burstAt(table, client(1), rule, nowMs, due + 5)).toBe(due);
    }
  });

  test.each([1, 3, 9, 100, 333, 7_000, 10_000])(
    "that always wants more gets exactly %d requests per second, whatever the steps of time",
    (perSecond) => {
      const table = freshTable();
      const rule = new RateLimitRule(perSecond, 2);
      let admitted = 0;
      // 20 s in steps of 0.05 ms, half of the shortest interval.
      for (let step = 0; step <= 400_000; step++) {
        if (table.decide(WORKER, client(9), rule, step / 20) === 0) admitted++;
      }
      expect(admitted).toBe(2 + 20 * perSecond);
    },
  );

  test("is told how long to wait, to the tenth of a microsecond", () => {
    const table = freshTable();
    const rule = new RateLimitRule(4, 2);
    expect(table.decide(WORKER, client(1), rule, 1000)).toBe(0);
    expect(table.decide(WORKER, client(1), rule, 1000)).toBe(0);
    expect(table.decide(WORKER, client(1), rule, 1000)).toBe(-250);
    expect(table.decide(WORKER, client(1), rule, 1100)).toBe(-150);
    expect(table.decide(WORKER, client(1), rule, 1249.9999)).toBeCloseTo(-0.0001, 6);
    expect(table.decide(WORKER, client(1), rule, 1250)).toBe(0);
  });

  test("that is refused is not charged for asking", () => {
    const table = freshTable();
    const rule = new RateLimitRule(10, 10);
    burstAt(table, client(1), rule, 0, 10_000);
    expect(burstAt(table, client(1), rule, 1000, 100)).toBe(10);
  });

  test("is nobody else, however alike the keys are", () => {
    const table = freshTable();
    const rule = new RateLimitRule(1, 3);
    const keys = [
      client(1),
      client(-1),
      client(0, 1),
      client(0, -1),
      client(1, 1),
      client(2),
      client(1 << 31),
    ];
    for (const key of keys) expect(burstAt(table, key, rule, 0, 10)).toBe(3);
    expect(table.live(rule, 0)).toBe(keys.length);
  });

  test("has its whole burst again once it was silent for long enough", () => {
    const table = freshTable();
    const rule = new RateLimitRule(10, 50);
    expect(burstAt(table, client(1), rule, 0, 60)).toBe(50);
    expect(burstAt(table, client(1), rule, 4_900, 60)).toBe(49);
    expect(burstAt(table, client(1), rule, 1e9, 60)).toBe(50);
    expect(table.live(rule, 2e9)).toBe(0);
  });

  test("gets its due also by a clock that is behind another thread's, and no more", () => {
    const table = freshTable();
    const rule = new RateLimitRule(100, 10);
    expect(burstAt(table, client(1), rule, 10_000, 20)).toBe(10);
    expect(burstAt(table, client(1), rule, 9_990, 20)).toBe(0);
    expect(burstAt(table, client(1), rule, 10_050, 20)).toBe(5);
  });

  test("with a debt from another rule, far beyond what this one can make, begins anew", () => {
    const table = freshTable();
    const fast = new RateLimitRule(10_000, 20_000);
    const slow = new RateLimitRule(1, 5);
    expect(burstAt(table, client(1), slow, 1e6, 9)).toBe(5);
    burstAt(table, client(2), new RateLimitRule(1, 20_000), 1e6, 20_000);
    expect(burstAt(table, client(2), fast, 1e6, 30_000)).toBe(20_000);
  });
});

describe("the table", () => {
  const rule = new RateLimitRule(1, 1);

  test("holds as many clients as it was made for, and nearly twice as many before it lets the rest through", () => {
    const table = freshTable(65_536);
    const verdicts = new Map<number, number>();
    for (let i = 1; i <= 200_000; i++) {
      const verdict = table.decide(WORKER, client(Math.imul(i, 0x9e3779b1)), rule, 0);
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      if (i === 65_536) expect(verdicts.get(UNTRACKED) ?? 0).toBeLessThan(200);
    }
    expect([...verdicts.keys()].sort()).toEqual([0, UNTRACKED]);
    expect(verdicts.get(0)).toBeGreaterThan(120_000);
    expect(verdicts.get(0)).toBeLessThanOrEqual(131_072);
    expect(table.live(rule, 0)).toBe(verdicts.get(0)!);
  });

  test("that is full still limits those that it knows", () => {
    const table = freshTable(1024);
    const first = client(0x7fff_0001);
    expect(table.decide(WORKER, first, rule, 0)).toBe(0);
    for (let i = 1; i <= 20_000; i++) table.decide(WORKER, client(i), rule, 0);
    expect(table.decide(WORKER, client(123_456_789), rule, 0)).toBe(UNTRACKED);
    expect(table.decide(WORKER, first, rule, 0)).toBe(-1000);
  });

  test("takes new clients again as soon as the old ones have nothing to remember", () => {
    const table = freshTable(1024);
    for (let i = 1; i <= 20_000; i++) table.decide(WORKER, client(i), rule, 0);
    expect(table.decide(WORKER, client(1_000_000), rule, 999)).toBe(UNTRACKED);
    for (let i = 1; i <= 1024; i++) expect(table.decide(WORKER, client(2_000_000 + i), rule, 1000)).toBe(0);
    expect(table.live(rule, 1000)).toBe(1024);
  });

  test("forgets everybody when it is cleared", () => {
    const table = freshTable();
    burstAt(table, client(1), rule, 0, 5);
    table.clear();
    expect(table.live(rule, 0)).toBe(0);
    expect(table.decide(WORKER, client(1), rule, 0)).toBe(0);
  });

  test("agrees with a slow and obvious model, for any clients and steps of time", async () => {
    const random = new Random();
    await random.run(async () => {
      for (let round = 0; round < 20; round++) {
        const [perSecond, burst] = [1 + random.below(10_000), 1 + random.below(50)];
        const table = freshTable();
        const rule = new RateLimitRule(perSecond, burst);
        // Tokens as fractions, in exact arithmetic: microseconds times the rate.
        const model = new Map<number, { tokens: number; us: number }>();
        const full = burst * 1_000_000;
        let us = random.below(1_000_000);
        for (let step = 0; step < 10_000; step++) {
          us += random.below(3) === 0 ? random.below(2_000_000 / perSecond + 2) : 0;
          const key = 1 + random.below(30);
          const state = model.get(key) ?? { tokens: full, us };
          const tokens = Math.min(full, state.tokens + (us - state.us) * perSecond);
          const admitted = table.decide(WORKER, client(key), rule, us / 1000) === 0;
          model.set(key, { tokens: admitted ? tokens - 1_000_000 : tokens, us });
          // Its units are 0.1 us or a little less, so a request that comes in that instant may go either way.
          const missing = 1_000_000 - tokens;
          if (Math.abs(missing) >= perSecond)
            expect([round, step, admitted]).toEqual([round, step, missing < 0]);
        }
      }
    });
  });
});

describe("a worker that died", () => {
  /** The table and, over the same memory, the locks that its buckets have. */
  function withLocks(): [RateLimitTable, Locks] {
    const make = (region: Region) => new RateLimitTable(region, 1024);
    const buffer = new SharedArrayBuffer(Region.measure((region) => void make(region)));
    const region = new Region(buffer);
    // Behind the seed.
    region.int32(2);
    return [make(new Region(buffer)), new Locks(region, 128)];
  }

  test("in the middle of an entry leaves nothing locked", () => {
    const [table, locks] = withLocks();
    const rule = new RateLimitRule(1, 1);
    for (let bucket = 0; bucket < 128; bucket++) locks.acquire(3, bucket);
    table.giveBackAll(2);
    expect(table.decide(WORKER, client(1), rule, 0)).toBe(UNTRACKED);
    table.giveBackAll(3);
    expect(table.decide(WORKER, client(1), rule, 0)).toBe(0);
    expect(table.decide(WORKER, client(1), rule, 0)).toBe(-1000);
  });
});
