import { describe, expect, test } from "bun:test";

import { Balancer } from "../../src/balancer/balancer.ts";
import type { Unavailable } from "../../src/balancer/group.ts";
import type { Lease } from "../../src/balancer/lease.ts";
import { upstreamStatus } from "../../src/balancer/status.ts";
import { Trail } from "../../src/balancer/trail.ts";
import type { BreakerPlan, Plan, Strategy } from "../../src/config/plan.ts";
import { BREAKER, makeMemory, seededRandom, sketchPlan } from "../balancer/setup.ts";

const STRATEGIES: readonly Strategy[] = [
  "roundrobin",
  "weighted_roundrobin",
  "random",
  "failover",
  "response_aware",
];
const OK = { kind: "success", responseMs: 10 } as const;
const NOW = 1_000;

/** One group over upstreams with these bounds, and its balancer. */
function setUp(strategy: Strategy, bounds: readonly (number | null)[], breaker: BreakerPlan | null = null) {
  const sketch = sketchPlan(
    bounds.map(() => breaker),
    [{ strategy, members: bounds.map((_, upstream) => upstream) }],
  );
  const plan: Plan = {
    ...sketch,
    upstreams: sketch.upstreams.map((upstream) => ({ ...upstream, inFlightMax: bounds[upstream.id]! })),
  };
  const memory = makeMemory(plan);
  const rejected: number[] = [];
  const balancer = new Balancer(memory, plan, 0, seededRandom(7), {
    breakerCall: (_, upstream, result) => {
      if (result === "rejected") rejected.push(upstream);
    },
    breakerMoved() {},
  });
  const acquire = (): Lease | Unavailable => balancer.acquire(0, new Trail(), NOW, 1_000);
  const lease = (): Lease => {
    const got = acquire();
    if (got.kind !== "lease") throw new Error(`unavailable: ${got.reason}`);
    return got;
  };
  return { plan, memory, balancer, rejected, acquire, lease };
}

describe.each(STRATEGIES)("%s", (strategy) => {
  test("fills every upstream to its bound, then says that nothing is available now", () => {
    const { acquire, lease, memory, rejected } = setUp(strategy, [3, 1, 2]);
    const leases = Array.from({ length: 6 }, lease);
    expect([0, 1, 2].map((upstream) => memory.inFlight.read(upstream))).toEqual([3, 1, 2]);
    expect(acquire()).toEqual({ kind: "unavailable", reason: "broken", retryAtMs: NOW });
    expect(acquire()).toMatchObject({ kind: "unavailable" });
    // What was only looked at is not held.
    expect([0, 1, 2].map((upstream) => memory.inFlight.read(upstream))).toEqual([3, 1, 2]);
    expect(rejected).toEqual([]);
    for (const { upstream } of leases.splice(2, 1).map((ended) => (ended.release(OK, NOW), ended)))
      expect(lease().upstream).toBe(upstream);
  });

  test("passes a full upstream by and goes on with the others", () => {
    const { lease, memory } = setUp(strategy, [null, 1, 2]);
    const leases = Array.from({ length: 40 }, lease);
    expect(leases).toHaveLength(40);
    expect(memory.inFlight.read(1)).toBeLessThanOrEqual(1);
    expect(memory.inFlight.read(2)).toBeLessThanOrEqual(2);
  });

  test("comes back to an upstream that has room again", () => {
    const { lease } = setUp(strategy, [1, 1]);
    const [first, second] = [lease(), lease()];
    expect([first.upstream, second.upstream].toSorted()).toEqual([0, 1]);
    for (let i = 0; i < 20; i++) {
      first.release(OK, NOW);
      const again = lease();
      expect(again.upstream).toBe(first.upstream);
      again.release(OK, NOW);
    }
  });

  test("uses one that rests when all others are full", () => {
    const { balancer, lease } = setUp(strategy, [1, 5]);
    while (lease().upstream !== 0);
    balancer.rest(1, NOW + 60_000, NOW, "limited");
    expect(lease().upstream).toBe(1);
  });

  test("counts neither a probe nor a failure for an upstream that it passed by as full", () => {
    const { lease, acquire, memory, plan } = setUp(strategy, [1], { ...BREAKER, minRequests: 1 });
    lease().release({ kind: "failure", error: "lost" }, NOW);
    // Open, and half-open after the cool-down: one probe.
    const late = NOW + BREAKER.cooldownMs + 1_000;
    const balancer = new Balancer(memory, plan, 0);
    const probe = balancer.acquire(0, new Trail(), late, 1_000);
    expect(probe).toMatchObject({ kind: "lease", probe: true });
    expect(acquire()).toMatchObject({ kind: "unavailable" });
    if (probe.kind === "lease") probe.release(OK, late);
    expect(balancer.acquire(0, new Trail(), late, 1_000)).toMatchObject({ kind: "lease", probe: false });
  });
});

test("an upstream that is full is shown as not available", () => {
  const { lease, memory, plan } = setUp("roundrobin", [1]);
  const available = () => upstreamStatus(memory, plan.upstreams[0]!, NOW).available;
  expect(available()).toBe(true);
  const held = lease();
  expect(available()).toBe(false);
  held.release(OK, NOW);
  expect(available()).toBe(true);
});
