import type { BreakerPlan, GroupPlan, Plan, Strategy } from "../../src/config/plan.ts";
import { BalancerMemory } from "../../src/memory/balancer-memory.ts";
import { proposeCapacity } from "../../src/memory/capacity.ts";
import type { Capacity } from "../../src/memory/capacity.ts";
import { Region } from "../../src/memory/region.ts";

/** A group by its upstreams' ids, or by ids and weights. */
export interface GroupSketch {
  readonly strategy: Strategy;
  readonly members: readonly (number | { readonly upstream: number; readonly weight: number })[];
}

export const BREAKER: BreakerPlan = {
  threshold: 0.5,
  cooldownMs: 30_000,
  minRequests: 5,
  windowMs: 30_000,
  halfOpenRequests: 1,
};

/** A plan with one upstream for each entry of `breakers`, and groups over them. */
export function sketchPlan(breakers: readonly (BreakerPlan | null)[], groups: readonly GroupSketch[]): Plan {
  return {
    admin: { address: "127.0.0.1", port: 0, connectTimeoutMs: 10_000 },
    forwards: [],
    upstreams: breakers.map((breaker, id) => ({
      id,
      name: `upstream-${id}`,
      url: `http://127.0.0.1:${8000 + id}`,
      origin: `http://127.0.0.1:${8000 + id}`,
      basePath: "",
      baseQuery: "",
      authorization: null,
      headers: [],
      breaker,
      inFlightMax: null,
    })),
    groups: groups.map(sketchGroup),
    accessLog: null,
    bufferedBytesMax: null,
    workers: null,
  };
}

function sketchGroup(sketch: GroupSketch, id: number): GroupPlan {
  return {
    id,
    name: `group-${id}`,
    strategy: sketch.strategy,
    members: sketch.members.map((member) =>
      typeof member === "number" ? { upstream: member, weight: 1 } : member,
    ),
    client: {
      agent: "LLMProxy/1.0",
      transport: "auto",
      idleMax: 256,
      keepaliveMs: 60_000,
      stream: true,
      connectTimeoutMs: 10_000,
      requestTimeoutMs: 300_000,
      idleTimeoutMs: 60_000,
      retry: null,
      proxyUrl: null,
    },
  };
}

/** The bytes that a balancer memory of this capacity takes. */
export function memoryBytes(capacity: Capacity): number {
  return Region.measure((region) => new BalancerMemory(region, capacity));
}

/** A fresh memory for the plan. */
export function makeMemory(plan: Plan, workers = 1): BalancerMemory {
  const capacity = proposeCapacity(plan, workers);
  return new BalancerMemory(new Region(new SharedArrayBuffer(memoryBytes(capacity))), capacity);
}

/** Seeded random numbers from 0 up to but not including 1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
