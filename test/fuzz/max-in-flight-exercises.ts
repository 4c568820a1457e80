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
/** Each thread goes on until it has had so many of both: how soon, is a matter of who runs while others hold leases. */
const ENOUGH = { leases: 8_000, refusals: 200 };
/** Far more than it takes, even where those who hold all leases are kept from running for long. */
const STEPS_MAX = 20_000_000;
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
export function fill(exercise: Exercise): void {
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
  for (let step = 0; leases < ENOUGH.leases || refusals < ENOUGH.refusals; step++) {
    must(step < STEPS_MAX, `only ${leases} leases and ${refusals} refusals in ${step} steps`);
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
}
