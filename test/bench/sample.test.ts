import { expect, test } from "bun:test";

import { type Sample, sampleOfTurns } from "../../scripts/bench/sample.ts";

function turn(values: Sample["values"], worker: number, compiler: number | null): Sample {
  const threads = [{ name: "Worker", cores: worker }];
  if (compiler !== null) threads.push({ name: "JITWorker", cores: compiler });
  return { values, threads, loadCores: worker / 2, upstreamCores: worker / 4 };
}

test("the turns of a round give the middle of each value, all errors, and the middle share of a thread", () => {
  const whole = sampleOfTurns([
    turn({ cpuUs: 40, lagP99Us: 300, errors: 1 }, 0.2, 0.9),
    turn({ cpuUs: 30, lagP99Us: 9_000, errors: 0 }, 0.4, null),
    turn({ cpuUs: 20, lagP99Us: 200, errors: 2 }, 0.6, null),
  ]);
  expect(whole.values).toEqual({ cpuUs: 30, lagP99Us: 300, errors: 3 });
  expect(whole.threads.map(({ name }) => name)).toEqual(["Worker", "JITWorker"]);
  // A thread that came and went counts as nothing where it was not.
  expect(whole.threads.map(({ cores }) => cores)).toEqual([0.4, 0]);
  expect(whole.loadCores).toBe(0.2);
  expect(whole.upstreamCores).toBe(0.1);
});

test("what one turn alone had is there, and what none had is not made up", () => {
  const whole = sampleOfTurns([turn({ errors: 0 }, 0, null), turn({ p50Us: 7, errors: 0 }, 0, null)]);
  expect(whole.values).toEqual({ p50Us: 7, errors: 0 });
});
