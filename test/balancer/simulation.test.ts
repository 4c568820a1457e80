import { describe, expect, test } from "bun:test";

import { scenarios } from "../../scripts/simulate/scenarios.ts";
import { simulate } from "../../scripts/simulate/simulation.ts";

const DURATION_MS = 180_000;
const SEED = 7;

describe.each(scenarios(DURATION_MS))("$name", (scenario) => {
  const rotating = simulate(scenario, "roundrobin", SEED);
  const aware = simulate(scenario, "response_aware", SEED);

  test("response_aware has a better 99th percentile than roundrobin, and no fewer answers", () => {
    expect(aware.p99Ms).toBeLessThan(rotating.p99Ms);
    expect(aware.answersPerSecond).toBeGreaterThanOrEqual(rotating.answersPerSecond);
  });

  test("response_aware sends least to the third, which is slow or broken", () => {
    const [first, second, third] = aware.shares;
    expect(third!).toBeLessThan(Math.min(first!, second!));
  });
});

test("the fast failer gets next to nothing from response_aware, but is tried again now and then", () => {
  const failing = scenarios(DURATION_MS)[2]!;
  const share = simulate(failing, "response_aware", SEED).shares[2]!;
  expect(share).toBeGreaterThan(0);
  expect(share).toBeLessThan(0.01);
});

test("the same seed gives the same result, another one another", () => {
  const scenario = scenarios(10_000)[0]!;
  const once = simulate(scenario, "random", 1);
  expect(simulate(scenario, "random", 1)).toEqual(once);
  expect(simulate(scenario, "random", 2)).not.toEqual(once);
});
