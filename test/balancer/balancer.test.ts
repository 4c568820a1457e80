import { describe, expect, test } from "bun:test";

import { Balancer } from "../../src/balancer/balancer.ts";
import type { Lease } from "../../src/balancer/lease.ts";
import { Trail } from "../../src/balancer/trail.ts";
import { Bench, FAILURE, LIMITED, SUCCESS } from "./bench.ts";
import { sketchPlan } from "./setup.ts";
import type { GroupSketch } from "./setup.ts";

describe("a lease", () => {
  test("is in flight until it is released, and released once", () => {
    const bench = new Bench([false], { strategy: "roundrobin", members: [0] });
    const [first, second] = [bench.lease(), bench.lease()];
    expect(bench.status(0).inFlight).toBe(2);
    first.release(SUCCESS, 0);
    first.release(FAILURE, 0);
    expect(bench.status(0).inFlight).toBe(1);
    expect(bench.status(0).successRate).toBe(1);
    second.release(SUCCESS, 0);
    expect(bench.status(0).inFlight).toBe(0);
  });

  test.each([
    [{ kind: "success", responseMs: 100 }, 100, 1, ["0/0 success"]],
    [{ kind: "success", responseMs: null }, null, 1, ["0/0 success"]],
    [{ kind: "answered", error: "http_401" }, null, null, ["0/0 success"]],
    [{ kind: "limited", error: "http_429" }, null, 0.85, []],
    [{ kind: "failure", error: "http_500" }, null, 0.85, ["0/0 failure"]],
    [{ kind: "abandoned", error: "client_gone" }, null, null, []],
  ] as const)("that ends with %j leaves the right averages and calls", (outcome, responseMs, rate, seen) => {
    const bench = new Bench([true], { strategy: "roundrobin", members: [0] });
    bench.lease().release(outcome, 0);
    const status = bench.status(0);
    expect([status.inFlight, status.responseMs]).toEqual([0, responseMs]);
    if (rate === null) expect(status.successRate).toBeNull();
    else expect(status.successRate).toBeCloseTo(rate, 8);
    expect(bench.seen).toEqual([...seen]);
  });

  test("that was a probe gives its slot back whatever the outcome", () => {
    for (const outcome of [LIMITED, { kind: "abandoned", error: "superseded" } as const]) {
      const bench = new Bench([true], { strategy: "roundrobin", members: [0] });
      bench.breakUpstream(0);
      bench.nowMs = 30_000;
      const probe = bench.lease();
      expect(probe.probe).toBe(true);
      expect(bench.unavailable().reason).toBe("broken");
      probe.release(outcome, bench.nowMs);
      expect(bench.lease().probe).toBe(true);
    }
  });

  test("of a worker that died is given back, its probe too", () => {
    const bench = new Bench([true, false], { strategy: "failover", members: [0, 1] });
    bench.breakUpstream(0);
    bench.nowMs = 30_000;
    expect(bench.lease().probe).toBe(true);
    expect(bench.lease().upstream).toBe(1);
    bench.memory.giveBackWorker(0);
    expect([bench.status(0).inFlight, bench.status(1).inFlight]).toEqual([0, 0]);
    const replacement = new Balancer(bench.memory, bench.plan, 0);
    const lease = replacement.acquire(0, new Trail(), bench.nowMs, 60_000);
    expect(lease).toMatchObject({ kind: "lease", upstream: 0, probe: true });
  });
});

describe("when nobody is left", () => {
  test("every member was tried: exhausted, until the request forgets what it tried", () => {
    const bench = new Bench([false, false], { strategy: "failover", members: [0, 1] });
    const trail = new Trail();
    expect([bench.lease(trail).upstream, bench.lease(trail).upstream]).toEqual([0, 1]);
    expect(bench.unavailable(trail)).toEqual({ kind: "unavailable", reason: "exhausted", retryAtMs: null });
    trail.forgetTried();
    expect(bench.lease(trail).upstream).toBe(0);
  });

  test("all breakers are open: broken, until the first of them half-opens", () => {
    const bench = new Bench([true, true], { strategy: "roundrobin", members: [0, 1] });
    bench.nowMs = 5_000;
    bench.breakUpstream(1);
    bench.nowMs = 9_000;
    bench.breakUpstream(0);
    expect(bench.unavailable()).toEqual({ kind: "unavailable", reason: "broken", retryAtMs: 35_000 });
  });

  test("all were rate limited: limited, until the first rest ends", () => {
    const bench = new Bench([true, false], { strategy: "roundrobin", members: [0, 1] });
    bench.balancer.rest(0, 20_000, 0, "limited");
    bench.balancer.rest(1, 10_000, 0, "limited");
    expect(bench.unavailable()).toEqual({ kind: "unavailable", reason: "limited", retryAtMs: 10_000 });
    bench.nowMs = 10_000;
    expect(bench.lease().upstream).toBe(1);
  });

  test("some rest for another reason, or some are broken: broken", () => {
    const bench = new Bench([true, false, false], { strategy: "roundrobin", members: [0, 1, 2] });
    bench.balancer.rest(1, 20_000, 0, "limited");
    bench.balancer.rest(2, 10_000, 0, "unavailable");
    bench.balancer.rest(0, 20_000, 0, "limited");
    expect(bench.unavailable()).toMatchObject({ reason: "broken", retryAtMs: 10_000 });
    const other = new Bench([true, false, false], { strategy: "roundrobin", members: [0, 1, 2] });
    other.breakUpstream(0);
    other.balancer.rest(1, 20_000, 0, "limited");
    other.balancer.rest(2, 40_000, 0, "limited");
    expect(other.unavailable()).toMatchObject({ reason: "broken", retryAtMs: 20_000 });
  });

  test("others take every chance first: broken for now, and nothing stays in flight", () => {
    const bench = new Bench([true, false], { strategy: "failover", members: [0] });
    bench.breakUpstream(0);
    bench.nowMs = 30_000;
    bench.memory.probes.claim = () => null;
    expect(bench.unavailable()).toEqual({ kind: "unavailable", reason: "broken", retryAtMs: 30_000 });
    expect(bench.status(0).inFlight).toBe(0);
  });

  test("only what the request did not try yet counts", () => {
    const bench = new Bench([false, false, false], { strategy: "failover", members: [0, 1, 2] });
    const trail = new Trail();
    bench.lease(trail).release(FAILURE, 0);
    bench.balancer.rest(0, 5_000, 0, "unavailable");
    bench.balancer.rest(1, 20_000, 0, "limited");
    bench.balancer.rest(2, 10_000, 0, "limited");
    expect(bench.unavailable(trail)).toMatchObject({ reason: "limited", retryAtMs: 10_000 });
  });
});

describe("a rest", () => {
  test("sends the requests to the others", () => {
    const bench = new Bench([false, false, false], { strategy: "roundrobin", members: [0, 1, 2] });
    bench.balancer.rest(1, 5_000, 0, "limited");
    const upstreams = Array.from({ length: 6 }, () => bench.lease().upstream);
    expect(upstreams).toEqual([0, 2, 0, 2, 0, 2]);
    expect(bench.status(1)).toMatchObject({ available: false, restingUntilMs: 5_000, restCause: "limited" });
    bench.nowMs = 5_000;
    expect(bench.status(1)).toMatchObject({ available: true, restingUntilMs: null });
  });

  test("lasts until the latest moment asked for, and ten minutes at most", () => {
    const bench = new Bench([false], { strategy: "roundrobin", members: [0] });
    bench.balancer.rest(0, 50_000, 0, "limited");
    bench.balancer.rest(0, 20_000, 0, "unavailable");
    expect(bench.status(0)).toMatchObject({ restingUntilMs: 50_000, restCause: "limited" });
    bench.balancer.rest(0, 86_400_000, 1_000, "unavailable");
    expect(bench.status(0)).toMatchObject({ restingUntilMs: 601_000, restCause: "unavailable" });
  });

  test("does not cut off a group of one", () => {
    const bench = new Bench([false, false], { strategy: "random", members: [1] });
    bench.balancer.rest(1, 20_000, 0, "limited");
    expect(bench.lease().upstream).toBe(1);
  });

  test("does not cut off the last member whose breaker lets calls pass, but two of them rest", () => {
    const members = [0, 1, 2];
    const bench = new Bench([true, true, true], { strategy: "roundrobin", members });
    bench.breakUpstream(0);
    bench.balancer.rest(1, 20_000, 0, "limited");
    bench.balancer.rest(2, 20_000, 0, "limited");
    expect(bench.unavailable().reason).toBe("broken");
    const other = new Bench([true, true, true], { strategy: "roundrobin", members });
    for (const upstream of [0, 1]) other.breakUpstream(upstream);
    other.balancer.rest(2, 20_000, 0, "limited");
    expect(other.lease().upstream).toBe(2);
  });

  test("does not cut off the last member that has not just failed this request", () => {
    const members = [0, 1];
    const bench = new Bench([false, false], { strategy: "failover", members });
    bench.balancer.rest(1, 20_000, 0, "limited");
    const trail = new Trail();
    bench.lease(trail).release(FAILURE, 0);
    expect(bench.lease(trail).upstream).toBe(1);
    // The one that was tried asked to be left alone too: that is no failure.
    const other = new Bench([false, false], { strategy: "failover", members });
    other.balancer.rest(1, 20_000, 0, "limited");
    const limited = new Trail();
    other.lease(limited).release(LIMITED, 0);
    other.balancer.rest(0, 5_000, 0, "limited");
    expect(other.unavailable(limited)).toMatchObject({ reason: "limited", retryAtMs: 20_000 });
  });

  test("leaves alone the last one that the request has tried already", () => {
    const bench = new Bench([true, true], { strategy: "failover", members: [0, 1] });
    bench.breakUpstream(0);
    const trail = new Trail();
    bench.lease(trail).release(LIMITED, 0);
    bench.balancer.rest(1, 20_000, 0, "limited");
    expect(bench.unavailable(trail)).toMatchObject({ reason: "broken", retryAtMs: 30_000 });
  });
});

describe("the outlook after an attempt", () => {
  const bench = (...breakers: readonly boolean[]) =>
    new Bench(breakers, { strategy: "failover", members: breakers.map((_, upstream) => upstream) });
  const outlook = (of: Bench, last: number, ...tried: readonly number[]) =>
    of.balancer.outlook(0, Bench.trail(...tried), last, of.nowMs);

  test("says whether there is a member that was not tried", () => {
    const free = bench(false, false);
    expect(outlook(free, 0, 0)).toEqual({ untried: true, last: 0, others: 0 });
    expect(outlook(free, 0, 0, 1)).toEqual({ untried: false, last: 0, others: 0 });
    expect(outlook(bench(false), 0, 0)).toEqual({ untried: false, last: 0, others: null });
  });

  test("says when the one tried last and the others are back from their rests", () => {
    const resting = bench(false, false, false);
    resting.nowMs = 1_000;
    resting.balancer.rest(0, 4_000, 0, "limited");
    resting.balancer.rest(1, 9_000, 0, "limited");
    resting.balancer.rest(2, 6_000, 0, "unavailable");
    expect(outlook(resting, 0, 0)).toEqual({ untried: false, last: 3_000, others: 5_000 });
    expect(outlook(resting, 1, 0, 1)).toEqual({ untried: false, last: 8_000, others: 3_000 });
  });

  test("leaves out those whose breakers are open, and asks nothing of them", () => {
    const broken = bench(true, true);
    broken.breakUpstream(1);
    const seen = broken.seen.length;
    expect(outlook(broken, 0, 0)).toEqual({ untried: false, last: 0, others: null });
    expect(outlook(broken, 1, 1)).toEqual({ untried: true, last: null, others: 0 });
    // Nobody was turned down, as no request was to go there.
    expect(broken.seen.length).toBe(seen);
    broken.nowMs = 30_000;
    expect(outlook(broken, 0, 0)).toEqual({ untried: true, last: 0, others: 0 });
    expect(broken.status(1).breaker!.state).toBe("open");
  });
});

describe("a broken upstream", () => {
  test("is broken in every group that uses it, and each request that passes it by counts once", () => {
    const bench = new Bench(
      [true, false, false],
      { strategy: "failover", members: [0, 1, 2] },
      { strategy: "failover", members: [0, 2] },
    );
    bench.breakUpstream(0);
    expect(bench.seen).toEqual([...new Array<string>(5).fill("0/0 failure"), "0/0 closed>open"]);
    bench.seen.length = 0;
    const trail = new Trail();
    expect([bench.lease(trail).upstream, bench.lease(trail).upstream]).toEqual([1, 2]);
    expect(bench.lease(new Trail(), 1).upstream).toBe(2);
    expect(bench.seen).toEqual(["0/0 rejected", "1/0 rejected"]);
  });

  test("is probed by one request after its cool-down, while the others take the rest", () => {
    const bench = new Bench([true, false], { strategy: "failover", members: [0, 1] });
    bench.breakUpstream(0);
    bench.nowMs = 30_000;
    const leases = [bench.lease(), bench.lease(), bench.lease()];
    expect(leases.map((lease) => [lease.upstream, lease.probe])).toEqual([
      [0, true],
      [1, false],
      [1, false],
    ]);
    leases[0]!.release(SUCCESS, bench.nowMs);
    expect(bench.lease()).toMatchObject({ upstream: 0, probe: false });
  });
});

test("after a change of its members a rotation begins anew, and the other groups go on", () => {
  const weighted = (...weights: readonly number[]): GroupSketch => ({
    strategy: "weighted_roundrobin",
    members: weights.map((weight, upstream) => ({ upstream, weight })),
  });
  const bench = new Bench([false, false], weighted(3, 1), weighted(3, 1));
  const next = (balancer: Balancer, group: number) =>
    (balancer.acquire(group, new Trail(), 0, 1_000) as Lease).upstream;
  expect([0, 1].map((group) => [next(bench.balancer, group), next(bench.balancer, group)])).toEqual([
    [0, 0],
    [0, 0],
  ]);
  const changed = sketchPlan([null, null], [weighted(1, 3), weighted(3, 1)]);
  const balancer = new Balancer(bench.memory, changed, 0);
  expect([0, 1].map((group) => Array.from({ length: 4 }, () => next(balancer, group)))).toEqual([
    [1, 0, 1, 1],
    [1, 0, 0, 0],
  ]);
});

test("an upstream whose slot was cleared has no history", () => {
  const bench = new Bench([true], { strategy: "roundrobin", members: [0] });
  bench.breakUpstream(0);
  bench.balancer.rest(0, 50_000, 0, "limited");
  bench.memory.clearUpstream(0);
  bench.memory.clearGroup(0);
  expect(bench.status(0)).toEqual({
    available: true,
    breaker: { state: "closed", openUntilMs: null, opened: 0, halfOpened: 0, closed: 0 },
    restingUntilMs: null,
    restCause: null,
    inFlight: 0,
    responseMs: null,
    successRate: null,
  });
});
