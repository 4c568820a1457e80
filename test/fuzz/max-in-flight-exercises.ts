import { Balancer } from "../../src/balancer/balancer.ts";
import type { Lease } from "../../src/balancer/lease.ts";
import { Trail } from "../../src/balancer/trail.ts";
import type { Plan, Strategy } from "../../src/config/plan.ts";
import { BalancerMemory } from "../../src/memory/balancer-memory.ts";
import { proposeCapacity } from "../../src/memory/capacity.ts";
import { Region } from "../../src/memory/region.ts";
import { memoryBytes, seededRandom, sketchPlan } from "../balancer/setup.ts";
import { meet, must } from "./exercise.ts";
import type { Exercise } from "./exercise.ts";

export const BOUNDS = [3, 1, 4];
export const STEPS = 40_000;
const STRATEGIES: readonly Strategy[] = [
  "roundrobin",
  "weighted_roundrobin",
  "random",
  "failover",
  "response_aware",
];

const sketch = sketchPlan(
  BOUNDS.map(() => null),
  STRATEGIES.map((strategy) => ({ strategy, members: [0, 1, 2] })),
);
const PLAN: Plan = {
  ...sketch,
  upstreams: sketch.upstreams.map((upstream) => ({ ...upstream, inFlightMax: BOUNDS[upstream.id]! })),
};
const CAPACITY = proposeCapacity(PLAN, 4);
export const BYTES = memoryBytes(CAPACITY) + 64;

export const memoryOf = (buffer: SharedArrayBuffer) => new BalancerMemory(new Region(buffer), CAPACITY);

/** Takes leases and gives them back, counting in memory of its own how many are out for each upstream. */
export function fill(exercise: Exercise): { leases: number; refusals: number } {
  const memory = memoryOf(exercise.buffer);
  const out = new Int32Array(exercise.buffer, memoryBytes(CAPACITY), BOUNDS.length);
  const balancer = new Balancer(memory, PLAN, exercise.thread);
  const random = seededRandom(exercise.seed);
  const held: Lease[] = [];
  let [leases, refusals] = [0, 0];
  const release = () => {
    const [lease] = held.splice(Math.floor(random() * held.length), 1);
    if (lease === undefined) return;
    Atomics.sub(out, lease.upstream, 1);
    lease.release({ kind: "success", responseMs: 1 + random() }, 0);
  };
  meet(exercise);
  for (let step = 0; step < STEPS; step++) {
    if (random() < 0.5) {
      release();
      continue;
    }
    const lease = balancer.acquire(Math.floor(random() * STRATEGIES.length), new Trail(), 0, 1_000);
    if (lease.kind !== "lease") {
      refusals++;
      continue;
    }
    leases++;
    held.push(lease);
    const before = Atomics.add(out, lease.upstream, 1);
    must(before < BOUNDS[lease.upstream]!, `upstream ${lease.upstream} has ${before + 1} in flight`);
  }
  while (held.length > 0) release();
  return { leases, refusals };
}
