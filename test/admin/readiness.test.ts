import { describe, expect, test } from "bun:test";

import { readiness } from "../../src/admin/readiness.ts";
import { Balancer } from "../../src/balancer/balancer.ts";
import { Trail } from "../../src/balancer/trail.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Plan } from "../../src/config/plan.ts";
import { BalancerMemory } from "../../src/memory/balancer-memory.ts";
import { proposeCapacity } from "../../src/memory/capacity.ts";
import { Region } from "../../src/memory/region.ts";
import { configOf, type Keys } from "../support/config.ts";

const SERVING = { draining: false, workers: 2 };
const BREAKER = { threshold: 0.5, min_requests: 1, cooldown: 10 };
const NOW = 1000;

function setup(groups: Readonly<Record<string, readonly string[]>>, breaker: Keys | null = BREAKER) {
  const url = "http://127.0.0.1:1";
  const config = configOf(
    Object.fromEntries(
      Object.entries(groups).map(([name, upstreams]) => [
        name,
        {
          strategy: "failover",
          upstreams: Object.fromEntries(
            upstreams.map((upstream) => [upstream, breaker === null ? url : { url, breaker }]),
          ),
        },
      ]),
    ),
  );
  const loaded = parseConfig(JSON.stringify(config), "test", {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  const { plan } = loaded;
  const capacity = proposeCapacity(plan, 1);
  const build = (region: Region) => new BalancerMemory(region, capacity);
  const memory = build(new Region(new SharedArrayBuffer(Region.measure((region) => void build(region)))));
  return { plan, memory, balancer: new Balancer(memory, plan, 0) };
}

/** Sends one request to a group, which fails. */
function fail(balancer: Balancer, group: number): void {
  const lease = balancer.acquire(group, new Trail(), NOW, 1000);
  if (lease.kind === "lease") lease.release({ kind: "failure", error: "status_500" }, NOW);
}

const idOf = (plan: Plan, name: string) => plan.upstreams.find((upstream) => upstream.name === name)!.id;

describe("the process is ready", () => {
  test("while every group has an upstream that takes requests", () => {
    const { plan, memory } = setup({ one: ["a", "b"], two: ["c"] });
    expect(readiness(plan, memory, NOW, SERVING)).toEqual({
      ready: true,
      draining: false,
      workers: 2,
      unavailable_groups: [],
      groups: [
        { name: "one", upstreams: 2, available: 2 },
        { name: "two", upstreams: 1, available: 1 },
      ],
    });
  });

  test("not while a breaker keeps the last upstream of a group, and again after its cool-down", () => {
    const { plan, memory, balancer } = setup({ one: ["a", "b"], two: ["c"] });
    fail(balancer, 0);
    expect(readiness(plan, memory, NOW, SERVING)).toMatchObject({ ready: true });
    fail(balancer, 0);
    expect(readiness(plan, memory, NOW, SERVING)).toMatchObject({
      ready: false,
      unavailable_groups: ["one"],
      groups: [{ available: 0 }, { available: 1 }],
    });
    expect(readiness(plan, memory, NOW + 11_000, SERVING)).toMatchObject({ ready: true });
  });

  test("not while all of several upstreams asked to be left alone", () => {
    const { plan, memory, balancer } = setup({ one: ["a", "b"] }, null);
    balancer.rest(idOf(plan, "a"), NOW + 500, NOW, "limited");
    expect(readiness(plan, memory, NOW, SERVING)).toMatchObject({ ready: true });
    balancer.rest(idOf(plan, "b"), NOW + 500, NOW, "unavailable");
    expect(readiness(plan, memory, NOW, SERVING)).toMatchObject({
      ready: false,
      unavailable_groups: ["one"],
    });
    expect(readiness(plan, memory, NOW + 600, SERVING)).toMatchObject({ ready: true });
  });

  test("while the only upstream rests, which is used all the same", () => {
    const { plan, memory, balancer } = setup({ one: ["a"] }, null);
    balancer.rest(idOf(plan, "a"), NOW + 500, NOW, "limited");
    expect(readiness(plan, memory, NOW, SERVING)).toMatchObject({ ready: true });
    expect(balancer.acquire(0, new Trail(), NOW, 1000).kind).toBe("lease");
  });

  test("exactly while a request would find an upstream, whatever is broken and rests", () => {
    const names = ["a", "b", "c"];
    for (let state = 0; state < 4 ** names.length; state++) {
      const { plan, memory, balancer } = setup({ one: names });
      const one = setup(Object.fromEntries(names.map((name) => [name, [name]])));
      // Broken by way of groups of their own, over the same memory.
      const single = new Balancer(memory, { ...one.plan, upstreams: plan.upstreams }, 0);
      names.forEach((name, i) => {
        const digit = Math.floor(state / 4 ** i) % 4;
        if ((digit & 1) !== 0) fail(single, i);
        if ((digit & 2) !== 0) balancer.rest(idOf(plan, name), NOW + 500, NOW, "limited");
      });
      const { ready } = readiness(plan, memory, NOW, SERVING);
      expect(ready).toBe(balancer.acquire(0, new Trail(), NOW, 1000).kind === "lease");
    }
  });

  test("not while draining, and not without a worker", () => {
    const { plan, memory } = setup({ one: ["a"] });
    expect(readiness(plan, memory, NOW, { draining: true, workers: 2 })).toMatchObject({
      ready: false,
      draining: true,
    });
    expect(readiness(plan, memory, NOW, { draining: false, workers: 0 })).toMatchObject({
      ready: false,
      workers: 0,
    });
  });
});
