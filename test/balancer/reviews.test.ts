import { describe, expect, test } from "bun:test";

import type { Lease } from "../../src/balancer/lease.ts";
import type { Outcome } from "../../src/balancer/outcome.ts";
import { Bench, FAILURE } from "./bench.ts";

describe("response_aware over requests", () => {
  const respond = (responseMs: number): Outcome => ({ kind: "success", responseMs });

  /** 0 answers in 100 ms; 1 has failed so often that it gets no more requests. */
  function lopsided(): Bench {
    const bench = new Bench([false, false], { strategy: "response_aware", members: [0, 1] });
    run(bench, 100, FAILURE);
    return bench;
  }

  function run(bench: Bench, requests: number, outcome: Outcome): number[] {
    const counts = [0, 0];
    for (let i = 0; i < requests; i++) {
      // Something is in flight at 0, so that the other one has a chance.
      const busy = bench.balancer.acquire(0, Bench.trail(1), bench.nowMs, 1_000) as Lease;
      const lease = bench.lease();
      counts[lease.upstream]!++;
      lease.release(lease.upstream === 0 ? respond(100) : outcome, bench.nowMs);
      busy.release({ kind: "abandoned", error: "client_gone" }, bench.nowMs);
    }
    return counts;
  }

  test("an upstream that always fails gets no requests, but one for review now and then", () => {
    const bench = lopsided();
    expect(run(bench, 1_000, FAILURE)[1]).toBe(0);
    for (let i = 0; i < 5; i++) {
      bench.nowMs += 40_000;
      expect(run(bench, 1_000, FAILURE)[1]).toBe(1);
    }
  });

  test("one success under review, and an upstream that has healed has its share again", () => {
    const bench = lopsided();
    bench.nowMs = 40_000;
    expect(run(bench, 300, respond(100))[1]).toBeGreaterThan(100);
    expect(bench.status(1)).toMatchObject({ responseMs: 100, successRate: 1 });
  });

  test("a review forgets the old averages, and later samples blend in", () => {
    const bench = new Bench([false, false], { strategy: "response_aware", members: [0, 1] });
    bench.lease(Bench.trail(1)).release(respond(100), 0);
    bench.lease(Bench.trail(0)).release(respond(5_000), 0);
    expect(run(bench, 150, respond(80))[1]).toBe(0);
    bench.nowMs = 40_000;
    const leases = [];
    while (leases.at(-1)?.upstream !== 1) {
      leases.push(bench.lease());
      bench.lease(Bench.trail(1)).release(respond(100), bench.nowMs);
      if (leases.at(-1)!.upstream === 0) leases.at(-1)!.release(respond(100), bench.nowMs);
    }
    leases.at(-1)!.release(respond(300), bench.nowMs);
    expect(bench.status(1).responseMs).toBe(300);
    // The request after a review is not one, even on the same upstream.
    bench.lease(Bench.trail(0)).release(respond(200), bench.nowMs);
    expect(bench.status(1).responseMs).toBeCloseTo(285, 1);
  });
});
