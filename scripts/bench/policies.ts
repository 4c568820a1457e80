// What a choice among 16 upstreams costs, by one thread and by two that contend for the same group:
//   bun scripts/bench/policies.ts
import type { Strategy } from "../../src/config/plan.ts";
import { proposeCapacity } from "../../src/memory/capacity.ts";
import { BREAKER, memoryBytes, sketchPlan } from "../../test/balancer/setup.ts";
import type { Job, Timing } from "./policies-worker.ts";

const UPSTREAMS = 16;
const ROUNDS = 3;
const STRATEGIES: readonly Strategy[] = [
  "roundrobin",
  "weighted_roundrobin",
  "random",
  "failover",
  "response_aware",
];

const plan = sketchPlan(
  new Array(UPSTREAMS).fill(BREAKER),
  STRATEGIES.map((strategy) => ({
    strategy,
    members: Array.from({ length: UPSTREAMS }, (_, upstream) => ({ upstream, weight: 1 + (upstream % 5) })),
  })),
);
const capacity = proposeCapacity(plan, 2);

/** One round: all threads measure at the same time. Gives the slowest of them. */
async function round(group: number, threads: number): Promise<Timing> {
  const buffer = new SharedArrayBuffer(memoryBytes(capacity));
  const gate = new SharedArrayBuffer(4);
  const timings = await Promise.all(
    Array.from({ length: threads }, (_, worker) => {
      const thread = new Worker(new URL("./policies-worker.ts", import.meta.url));
      return new Promise<Timing>((resolve, reject) => {
        thread.onmessage = ({ data }: MessageEvent<Timing>) => {
          resolve(data);
          thread.terminate();
        };
        thread.onerror = (event) => reject(new Error(event.message));
        thread.postMessage({ buffer, capacity, plan, group, worker, gate, threads } satisfies Job);
      });
    }),
  );
  return {
    chooseNs: Math.max(...timings.map(({ chooseNs }) => chooseNs)),
    requestNs: Math.max(...timings.map(({ requestNs }) => requestNs)),
  };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

const timings = STRATEGIES.map(() => [[] as Timing[], [] as Timing[]]);
// Rounds alternate between the strategies, so that a disturbance hits all of them alike.
for (let i = 0; i < ROUNDS; i++) {
  for (const group of STRATEGIES.keys()) {
    for (const threads of [1, 2]) timings[group]![threads - 1]!.push(await round(group, threads));
  }
}

const ns = (list: readonly Timing[], key: keyof Timing) =>
  `${median(list.map((timing) => timing[key])).toFixed(0)} ns`.padStart(12);
console.log(
  `Median of ${ROUNDS} rounds, ${UPSTREAMS} upstreams with breakers; of two threads the slower one counts.`,
);
console.log(
  `${"".padEnd(20)} ${"choose".padStart(12)} ${"2 threads".padStart(12)} ${"request".padStart(12)} ${"2 threads".padStart(12)}`,
);
for (const [group, strategy] of STRATEGIES.entries()) {
  const [one, two] = timings[group]!;
  console.log(
    `${strategy.padEnd(20)} ${ns(one!, "chooseNs")} ${ns(two!, "chooseNs")} ${ns(one!, "requestNs")} ${ns(two!, "requestNs")}`,
  );
}
console.log("choose: the policy alone, in-flight claimed and given back. request: acquire to release.");
