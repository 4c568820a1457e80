// How each balancing policy fares against upstreams of unequal speed and health, in virtual time:
//   bun scripts/simulate.ts [seed]
import type { Strategy } from "../src/config/plan.ts";
import { scenarios } from "./simulate/scenarios.ts";
import { simulate } from "./simulate/simulation.ts";

const DURATION_MS = 600_000;
const STRATEGIES: readonly Strategy[] = [
  "roundrobin",
  "weighted_roundrobin",
  "random",
  "failover",
  "response_aware",
];

const seed = Number(process.argv[2] ?? 1);
console.log(
  `24 clients in a closed loop, ${DURATION_MS / 60_000} minutes of virtual time, no breakers, seed ${seed}`,
);
for (const scenario of scenarios(DURATION_MS)) {
  console.log(`\n${scenario.name}`);
  console.log(row(["", "answers/s", "p50 ms", "p99 ms", "errors", "share of each upstream"]));
  for (const strategy of STRATEGIES) {
    const { answersPerSecond, p50Ms, p99Ms, errors, shares } = simulate(scenario, strategy, seed);
    const cells = [answersPerSecond, p50Ms, p99Ms, errors].map((number) => number.toFixed(0));
    console.log(
      row([strategy, ...cells, shares.map((share) => `${(100 * share).toFixed(1)} %`.padStart(8)).join("")]),
    );
  }
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (i === 0 ? cell.padEnd(20) : i === 5 ? `  ${cell}` : cell.padStart(10)))
    .join("");
}
