import { Balancer } from "../../src/balancer/balancer.ts";
import { GroupState } from "../../src/balancer/group-state.ts";
import { Failover } from "../../src/balancer/policies/failover.ts";
import type { Policy } from "../../src/balancer/policies/policy.ts";
import { Random } from "../../src/balancer/policies/random.ts";
import { ResponseAware } from "../../src/balancer/policies/response-aware.ts";
import { RoundRobin } from "../../src/balancer/policies/round-robin.ts";
import { WeightedRoundRobin } from "../../src/balancer/policies/weighted-round-robin.ts";
import { Trail } from "../../src/balancer/trail.ts";
import type { GroupPlan, Plan } from "../../src/config/plan.ts";
import { BalancerMemory } from "../../src/memory/balancer-memory.ts";
import type { Capacity } from "../../src/memory/capacity.ts";
import { Region } from "../../src/memory/region.ts";

declare const self: Worker;

/** What one thread is to measure. */
export interface Job {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: Capacity;
  readonly plan: Plan;
  readonly group: number;
  readonly worker: number;
  /** Counts the threads that are ready; all start when it reaches `threads`. */
  readonly gate: SharedArrayBuffer;
  readonly threads: number;
}

/** Nanoseconds for one choice alone, and for one request from acquire to release. */
export interface Timing {
  readonly chooseNs: number;
  readonly requestNs: number;
}

/** Timed in chunks, of which the median counts: a thread that is put to sleep spoils one chunk, not the result. */
const CHUNKS = 100;
const CHUNK_TIMES = 1_000;

self.onmessage = ({ data }: MessageEvent<Job>) => {
  const memory = new BalancerMemory(new Region(data.buffer), data.capacity);
  const plan = data.plan.groups[data.group]!;
  const state = new GroupState(memory, data.worker, plan.id, plan.members);
  const policy = makePolicy(plan, state);
  const balancer = new Balancer(memory, data.plan, data.worker);
  const everyone = plan.members.map((_, member) => member);

  const choose = () => {
    state.giveBack(policy.choose(everyone, 1_000));
  };
  const request = () => {
    const lease = balancer.acquire(plan.id, new Trail(), 1_000, 60_000);
    if (lease.kind === "lease") lease.release({ kind: "success", responseMs: 100 }, 1_100);
  };
  for (const run of [choose, request]) for (let i = 0; i < CHUNKS * CHUNK_TIMES; i++) run();

  const gate = new Int32Array(data.gate);
  const chooseNs = measure(choose, gate, data.threads);
  const requestNs = measure(request, gate, 2 * data.threads);
  postMessage({ chooseNs, requestNs } satisfies Timing);
};

function measure(run: () => void, gate: Int32Array, ready: number): number {
  Atomics.add(gate, 0, 1);
  while (Atomics.load(gate, 0) < ready);
  const chunks: number[] = [];
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const start = performance.now();
    for (let i = 0; i < CHUNK_TIMES; i++) run();
    chunks.push(((performance.now() - start) * 1e6) / CHUNK_TIMES);
  }
  return chunks.sort((a, b) => a - b)[CHUNKS / 2]!;
}

function makePolicy(plan: GroupPlan, state: GroupState): Policy {
  switch (plan.strategy) {
    case "roundrobin":
      return new RoundRobin(state, state, plan.members.length);
    case "weighted_roundrobin":
      return new WeightedRoundRobin(
        state,
        state,
        plan.members.map((member) => member.weight),
      );
    case "random":
      return new Random(state, Math.random);
    case "failover":
      return new Failover(state);
    case "response_aware":
      return new ResponseAware(state, plan.members.length);
  }
}
