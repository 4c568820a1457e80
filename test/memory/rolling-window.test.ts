import { describe, expect, test } from "bun:test";

import { RetryBudget } from "../../src/memory/retry-budget.ts";
import { RollingWindows } from "../../src/memory/rolling-window.ts";
import { inFreshMemory } from "./setup.ts";

const WINDOW_MS = 30_000;

function make(): RollingWindows {
  return inFreshMemory((region) => new RollingWindows(region, 2));
}

describe("rolling window", () => {
  test("adds up what came within the window, per index", () => {
    const windows = make();
    windows.add(0, 1_000, WINDOW_MS, 1, 0);
    windows.add(0, 10_000, WINDOW_MS, 2, 1);
    windows.add(0, 29_000, WINDOW_MS, 1, 1);
    expect(windows.sum(0, 29_999, WINDOW_MS)).toEqual({ calls: 4, failures: 2 });
    expect(windows.sum(1, 29_999, WINDOW_MS)).toEqual({ calls: 0, failures: 0 });
  });

  test("forgets a tenth of the window at a time", () => {
    const windows = make();
    for (let tenth = 0; tenth < 10; tenth++) windows.add(0, tenth * 3_000, WINDOW_MS, 1, 1);
    for (let tenth = 10; tenth < 20; tenth++) {
      expect(windows.sum(0, tenth * 3_000, WINDOW_MS)).toEqual({ calls: 19 - tenth, failures: 19 - tenth });
    }
  });

  test("uses a bucket anew when its time comes round", () => {
    const windows = make();
    windows.add(0, 500, WINDOW_MS, 7, 7);
    windows.add(0, 30_500, WINDOW_MS, 1, 0);
    expect(windows.sum(0, 30_500, WINDOW_MS)).toEqual({ calls: 1, failures: 0 });
  });

  test("a thread that is a whole window late does not wipe what others count now", () => {
    const windows = make();
    windows.add(0, 30_500, WINDOW_MS, 3, 1);
    windows.add(0, 500, WINDOW_MS, 1, 1);
    expect(windows.sum(0, 30_500, WINDOW_MS)).toEqual({ calls: 3, failures: 1 });
  });

  test("a clock that is a little behind sees and adds to what is there", () => {
    const windows = make();
    windows.add(0, 3_000, WINDOW_MS, 1, 1);
    windows.add(0, 2_990, WINDOW_MS, 1, 0);
    expect(windows.sum(0, 2_990, WINDOW_MS)).toEqual({ calls: 2, failures: 1 });
    expect(windows.sum(0, 3_000, WINDOW_MS)).toEqual({ calls: 2, failures: 1 });
  });

  test("a bucket that is full halves both counts, so the rate stays", () => {
    const windows = make();
    for (let i = 0; i < 70_000; i++) windows.add(0, 0, WINDOW_MS, 1, i % 4 === 0 ? 1 : 0);
    const { calls, failures } = windows.sum(0, 0, WINDOW_MS);
    expect(calls).toBeGreaterThan(30_000);
    expect(failures / calls).toBeCloseTo(0.25, 3);
  });

  test("goes on counting after its length was changed, whatever the old buckets hold", () => {
    const windows = make();
    for (let s = 0; s < 1_000; s++) windows.add(0, s * 1_000, 1_000, 1, 1);
    windows.add(0, 1_000_000, 3_600_000, 1, 0);
    for (let i = 0; i < 5; i++) windows.add(0, 1_000_000, 3_600_000, 1, 0);
    expect(windows.sum(0, 1_000_000, 3_600_000)).toEqual({ calls: 6, failures: 0 });
  });
});

describe("retry budget", () => {
  const make = () => inFreshMemory((region) => new RetryBudget(region, 2));
  const claims = (budget: RetryBudget, nowMs: number, share: number) => {
    let granted = 0;
    while (granted < 10_000 && budget.mayRetry(0, nowMs, share)) granted++;
    return granted;
  };

  test("grants ten retries in ten seconds with no traffic at all", () => {
    const budget = make();
    expect(claims(budget, 0, 0.2)).toBe(10);
    expect(claims(budget, 9_999, 0.2)).toBe(0);
    expect(claims(budget, 10_000, 0.2)).toBe(10);
  });

  test("grants the share of the requests of the last ten seconds", () => {
    const budget = make();
    for (let i = 0; i < 1_000; i++) budget.countRequest(0, i * 9);
    expect(claims(budget, 9_000, 0.2)).toBe(200);
    // The requests of the first second leave the window.
    expect(claims(budget, 10_000, 0.2)).toBe(0);
    expect(claims(budget, 19_000, 0.2)).toBe(10);
  });

  test("groups have budgets of their own", () => {
    const budget = make();
    claims(budget, 0, 0.2);
    expect(budget.mayRetry(1, 0, 0.2)).toBe(true);
  });
});
