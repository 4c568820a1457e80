import { describe, expect, test } from "bun:test";

import { Breaker } from "../../src/balancer/breaker.ts";
import type { Verdict } from "../../src/balancer/breaker.ts";
import { upstreamStatus } from "../../src/balancer/status.ts";
import type { BreakerPlan } from "../../src/config/plan.ts";
import { BREAKER, makeMemory, sketchPlan } from "./setup.ts";

const LEASE_MS = 60_000;

/** One upstream's breaker and a clock to turn by hand. */
class Bench {
  readonly plan: BreakerPlan;
  readonly memory;
  readonly breaker: Breaker;
  readonly moves: string[] = [];
  nowMs = 0;

  constructor(changes: Partial<BreakerPlan> = {}) {
    this.plan = { ...BREAKER, ...changes };
    this.memory = makeMemory(sketchPlan([this.plan], []), 2);
    this.breaker = new Breaker(this.memory, 0, 0, this.plan, (from, to) => this.moves.push(`${from}>${to}`));
  }

  admit() {
    return this.breaker.admit(this.nowMs, LEASE_MS);
  }

  call(...verdicts: readonly Verdict[]): void {
    for (const verdict of verdicts) this.breaker.settle(this.admit()!, verdict, this.nowMs);
  }

  open(): void {
    this.call("failure", "failure", "failure", "failure", "failure");
  }

  get state() {
    return upstreamStatus(this.memory, { id: 0, breaker: this.plan }, this.nowMs).breaker!.state;
  }
}

describe("closed", () => {
  test("it opens when the failure rate reaches the threshold", () => {
    const bench = new Bench();
    bench.call("success", "success", "success", "failure", "failure");
    expect(bench.state).toBe("closed");
    bench.call("failure");
    expect(bench.state).toBe("open");
    expect(bench.moves).toEqual(["closed>open"]);
  });

  test("fewer calls than the minimum never open it; the one that reaches it does, whatever its result", () => {
    const bench = new Bench();
    bench.call("failure", "failure", "failure", "failure");
    expect(bench.state).toBe("closed");
    bench.call("success");
    expect(bench.state).toBe("open");
  });

  test("neutral calls count for nothing", () => {
    const bench = new Bench();
    bench.call("failure", "failure", "failure", "failure");
    bench.call(...new Array<Verdict>(20).fill("neutral"));
    expect(bench.state).toBe("closed");
  });

  test("a failure that has left the window counts no more", () => {
    const bench = new Bench();
    bench.call("failure", "failure", "failure", "failure");
    bench.nowMs = 30_000;
    bench.call("failure");
    expect(bench.state).toBe("closed");
  });

  test.each([0.01, 0.07, 0.29, 0.3, 0.57, 0.58, 0.7, 1])(
    "a rate of exactly %p reaches that threshold",
    (threshold) => {
      const failures = Math.round(threshold * 100);
      const bench = new Bench({ threshold, minRequests: 100 });
      bench.call(...new Array<Verdict>(100 - failures).fill("success"));
      bench.call(...new Array<Verdict>(failures - 1).fill("failure"));
      expect(bench.state).toBe("closed");
      bench.call("failure");
      expect(bench.state).toBe("open");
    },
  );
});

describe("open", () => {
  test("it refuses until the cool-down is over, to the tick, and says until when", () => {
    const bench = new Bench();
    bench.nowMs = 1_234;
    bench.open();
    expect(bench.breaker.refusedUntilMs(bench.nowMs)).toBe(31_300);
    bench.nowMs = 31_299;
    expect(bench.admit()).toBeNull();
    bench.nowMs = 31_300;
    expect(bench.breaker.refusedUntilMs(bench.nowMs)).toBeNull();
    expect(bench.admit()?.probe).not.toBeNull();
  });

  test("asking changes nothing: only a call makes it half-open", () => {
    const bench = new Bench();
    bench.open();
    bench.nowMs = 31_000;
    for (let i = 0; i < 3; i++) expect(bench.breaker.refusedUntilMs(bench.nowMs)).toBeNull();
    expect(bench.state).toBe("open");
    bench.admit();
    expect(bench.state).toBe("half_open");
  });

  test("calls from before that end now neither prolong nor end the cool-down", () => {
    const bench = new Bench();
    const [good, bad] = [bench.admit()!, bench.admit()!];
    bench.open();
    bench.nowMs = 20_000;
    bench.breaker.settle(good, "success", bench.nowMs);
    bench.breaker.settle(bad, "failure", bench.nowMs);
    expect(bench.breaker.refusedUntilMs(bench.nowMs)).toBe(30_000);
    expect(bench.moves).toEqual(["closed>open"]);
  });
});

describe("half-open", () => {
  function halfOpen(changes: Partial<BreakerPlan> = {}): Bench {
    const bench = new Bench(changes);
    bench.open();
    bench.nowMs = 30_000;
    return bench;
  }

  test("one probe at a time passes, and its slot is free again when it ends without a verdict", () => {
    const bench = halfOpen();
    const probe = bench.admit()!;
    expect(bench.admit()).toBeNull();
    expect(bench.breaker.refusedUntilMs(bench.nowMs)).toBe(bench.nowMs);
    bench.breaker.settle(probe, "neutral", bench.nowMs);
    expect(bench.state).toBe("half_open");
    expect(bench.admit()).not.toBeNull();
  });

  test("as many probes pass at a time as the plan says", () => {
    const bench = halfOpen({ halfOpenRequests: 3 });
    expect([1, 2, 3, 4].map(() => bench.admit() !== null)).toEqual([true, true, true, false]);
  });

  test("a success closes it and clears the window", () => {
    const bench = new Bench({ cooldownMs: 1_000 });
    bench.open();
    bench.nowMs = 1_000;
    bench.call("success");
    expect(bench.state).toBe("closed");
    bench.call("failure", "failure", "failure", "failure");
    expect(bench.state).toBe("closed");
    bench.call("failure");
    expect(bench.state).toBe("open");
    expect(bench.moves).toEqual(["closed>open", "open>half_open", "half_open>closed", "closed>open"]);
  });

  test("a failure opens it for another whole cool-down", () => {
    const bench = halfOpen();
    bench.nowMs = 50_000;
    bench.call("failure");
    expect(bench.state).toBe("open");
    expect(bench.breaker.refusedUntilMs(bench.nowMs)).toBe(80_000);
    bench.nowMs = 79_999;
    expect(bench.admit()).toBeNull();
  });

  test("a probe that never ends holds its slot no longer than its lease", () => {
    const bench = halfOpen();
    const lost = bench.admit()!;
    bench.nowMs += LEASE_MS - 1;
    expect(bench.admit()).toBeNull();
    bench.nowMs += 1;
    const next = bench.admit()!;
    expect(next).not.toBeNull();
    bench.breaker.settle(lost, "failure", bench.nowMs);
    expect(bench.state).toBe("half_open");
    expect(bench.admit()).toBeNull();
    bench.breaker.settle(next, "success", bench.nowMs);
    expect(bench.state).toBe("closed");
  });

  test("a probe of an earlier half-open state neither closes nor opens a later one", () => {
    const bench = halfOpen({ halfOpenRequests: 3 });
    const [good, bad] = [bench.admit()!, bench.admit()!];
    bench.call("failure");
    bench.nowMs += 30_000;
    const probe = bench.admit()!;
    bench.breaker.settle(good, "success", bench.nowMs);
    bench.breaker.settle(bad, "failure", bench.nowMs);
    expect(bench.state).toBe("half_open");
    bench.breaker.settle(probe, "success", bench.nowMs);
    expect(bench.state).toBe("closed");
  });

  test("a probe claimed at the very moment at which another one fails does not pass", () => {
    const bench = halfOpen({ halfOpenRequests: 2 });
    const failing = bench.admit()!;
    const { probes } = bench.memory;
    const claim = probes.claim.bind(probes);
    probes.claim = (...args) => {
      bench.breaker.settle(failing, "failure", bench.nowMs);
      return claim(...args);
    };
    expect(bench.admit()).toBeNull();
    probes.claim = claim;
    bench.nowMs += 30_000;
    expect([1, 2, 3].map(() => bench.admit() !== null)).toEqual([true, true, false]);
  });

  test("failures of calls from before it opened do not count once it has closed", () => {
    const bench = new Bench();
    const old = Array.from({ length: 10 }, () => bench.admit()!);
    bench.open();
    bench.nowMs = 30_000;
    bench.call("success");
    for (const call of old) bench.breaker.settle(call, "failure", bench.nowMs);
    bench.call("failure");
    expect(bench.state).toBe("closed");
  });
});

test("two workers share one breaker, and each transition is told once and counted once", () => {
  const bench = new Bench();
  const moves: string[] = [];
  const other = new Breaker(bench.memory, 1, 0, bench.plan, (from, to) => moves.push(`${from}>${to}`));
  bench.call("failure", "failure", "failure");
  for (let i = 0; i < 2; i++) other.settle(other.admit(0, LEASE_MS)!, "failure", 0);
  bench.nowMs = 30_000;
  const probe = bench.admit()!;
  expect(other.admit(bench.nowMs, LEASE_MS)).toBeNull();
  bench.breaker.settle(probe, "success", bench.nowMs);
  expect(other.admit(bench.nowMs, LEASE_MS)).not.toBeNull();
  expect([moves, bench.moves]).toEqual([["closed>open"], ["open>half_open", "half_open>closed"]]);
  const status = upstreamStatus(bench.memory, { id: 0, breaker: bench.plan }, bench.nowMs);
  expect(status.breaker).toEqual({ state: "closed", openUntilMs: null, opened: 1, halfOpened: 1, closed: 1 });
});
