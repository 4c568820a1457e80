import { describe, expect, test } from "bun:test";

import { Balancer } from "../../src/balancer/balancer.ts";
import { Trail } from "../../src/balancer/trail.ts";
import type { Strategy } from "../../src/config/plan.ts";
import { makeMemory, seededRandom, sketchPlan } from "../balancer/setup.ts";

const WEIGHTS = [5, 1, 3, 1, 2];
const STRATEGIES: readonly Strategy[] = [
  "roundrobin",
  "weighted_roundrobin",
  "random",
  "failover",
  "response_aware",
];

/** Every non-empty set of members that may be used: the rest is excluded. */
const SUBSETS = Array.from({ length: 2 ** WEIGHTS.length - 1 }, (_, i) =>
  WEIGHTS.map((_, member) => member).filter((member) => ((i + 1) >> member) & 1),
);

/** A group of upstreams 0, 1, 2, ... that gives the upstream of each choice, and excludes those not in `subset`. */
function chooser(strategy: Strategy, weights: readonly number[] = WEIGHTS, seed = 1) {
  const members = weights.map((weight, upstream) => ({ upstream, weight }));
  const plan = sketchPlan(
    weights.map(() => null),
    [{ strategy, members }],
  );
  const balancer = new Balancer(makeMemory(plan), plan, 0, seededRandom(seed));
  return (subset: readonly number[], release = true): number => {
    const trail = new Trail();
    for (const { upstream } of members) if (!subset.includes(upstream)) trail.try(upstream);
    const lease = balancer.acquire(0, trail, 0, 1_000);
    if (lease.kind !== "lease") throw new Error("nobody was chosen");
    if (release) lease.release({ kind: "answered", error: "none" }, 0);
    return lease.upstream;
  };
}

function tally(choices: readonly number[]): number[] {
  const counts = WEIGHTS.map(() => 0);
  for (const upstream of choices) counts[upstream]!++;
  return counts;
}

function choices(choose: (subset: readonly number[]) => number, subset: readonly number[], count: number) {
  return Array.from({ length: count }, () => choose(subset));
}

describe.each(STRATEGIES)("%s", (strategy) => {
  test("never chooses an excluded member, and finds the last one left", () => {
    const choose = chooser(strategy);
    for (const subset of SUBSETS) {
      for (const upstream of choices(choose, subset, 20)) expect(subset).toContain(upstream);
    }
  });
});

describe.each([
  ["roundrobin", [1, 1, 1, 1, 1]],
  ["weighted_roundrobin", WEIGHTS],
] as const)("%s", (strategy, weights) => {
  test("gives exact shares over each cycle, with any members excluded", () => {
    for (const subset of SUBSETS) {
      const choose = chooser(strategy);
      const cycle = subset.reduce((sum, member) => sum + weights[member]!, 0);
      const share = weights.map((weight, member) => (subset.includes(member) ? weight : 0));
      for (let i = 0; i < 3; i++) expect(tally(choices(choose, subset, cycle))).toEqual(share);
    }
  });

  test("spreads turns evenly: at no point is a member two turns or more from its due", () => {
    for (const subset of SUBSETS) {
      const choose = chooser(strategy);
      const total = subset.reduce((sum, member) => sum + weights[member]!, 0);
      const counts = WEIGHTS.map(() => 0);
      for (let n = 1; n <= 3 * total; n++) {
        counts[choose(subset)]!++;
        for (const member of subset) {
          expect(Math.abs(counts[member]! - (n * weights[member]!) / total)).toBeLessThan(2);
        }
      }
    }
  });

  test("keeps exact shares in the long run after any history of exclusions", () => {
    const seed = 20_261;
    const random = seededRandom(seed);
    const choose = chooser(strategy);
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 20; i++) choose(SUBSETS[Math.floor(random() * SUBSETS.length)]!);
      const subset = SUBSETS[Math.floor(random() * SUBSETS.length)]!;
      const total = subset.reduce((sum, member) => sum + weights[member]!, 0);
      const counts = tally(choices(choose, subset, 50 * total));
      // What a member was owed or had drawn before is made up for once.
      for (const member of subset) {
        const off = Math.abs(counts[member]! - 50 * weights[member]!);
        expect(off, `seed ${seed} round ${round}`).toBeLessThanOrEqual(WEIGHTS.length);
      }
    }
  });
});

describe("roundrobin", () => {
  test("goes round in listed order", () => {
    expect(choices(chooser("roundrobin"), [0, 1, 2, 3, 4], 10)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    expect(choices(chooser("roundrobin"), [0, 2, 3], 7)).toEqual([0, 2, 3, 0, 2, 3, 0]);
  });
});

describe("weighted_roundrobin", () => {
  test("interleaves as nginx does", () => {
    const choose = chooser("weighted_roundrobin", [5, 1, 1]);
    expect(choices(choose, [0, 1, 2], 7)).toEqual([0, 0, 1, 0, 2, 0, 0]);
  });

  test("is the rotation when all weights are equal", () => {
    const choose = chooser("weighted_roundrobin", [7, 7, 7]);
    expect(choices(choose, [0, 1, 2], 6)).toEqual([0, 1, 2, 0, 1, 2]);
  });

  test("is exact with the largest weights", () => {
    const choose = chooser("weighted_roundrobin", [65_535, 1, 65_534]);
    expect(tally(choices(choose, [0, 1, 2], 131_070)).slice(0, 3)).toEqual([65_535, 1, 65_534]);
  });
});

describe("random", () => {
  test("is uniform over the members that may be used (chi-square, p > 0.001)", () => {
    const draws = 6_000;
    for (const [i, subset] of SUBSETS.entries()) {
      const counts = tally(choices(chooser("random", WEIGHTS, 1_000 + i), subset, draws));
      const expected = draws / subset.length;
      const chiSquare = subset.reduce((sum, member) => sum + (counts[member]! - expected) ** 2 / expected, 0);
      // Quantiles of the distribution at 0.999 for 0 to 4 degrees of freedom.
      expect(chiSquare, `seed ${1_000 + i}`).toBeLessThanOrEqual(
        [0, 10.83, 13.82, 16.27, 18.47][subset.length - 1]!,
      );
    }
  });
});

describe("failover", () => {
  test("takes the first in listed order, always", () => {
    const choose = chooser("failover");
    for (const subset of SUBSETS) {
      expect(new Set(choices(choose, subset, 5))).toEqual(new Set([Math.min(...subset)]));
    }
  });
});

describe("response_aware", () => {
  test("with nothing known shares out what is in flight evenly, with any members excluded", () => {
    for (const subset of SUBSETS) {
      const choose = chooser("response_aware");
      const counts = tally(Array.from({ length: 4 * subset.length }, () => choose(subset, false)));
      expect(counts).toEqual(WEIGHTS.map((_, member) => (subset.includes(member) ? 4 : 0)));
    }
  });

  test("equals take turns, with any members excluded", () => {
    for (const subset of SUBSETS) {
      const choose = chooser("response_aware");
      const counts = tally(choices(choose, subset, 4 * subset.length));
      expect(counts).toEqual(WEIGHTS.map((_, member) => (subset.includes(member) ? 4 : 0)));
    }
  });
});
