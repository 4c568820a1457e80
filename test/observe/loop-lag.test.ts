import { expect, test } from "bun:test";

import { watchLoop } from "../../src/observe/loop-lag.ts";
import { eventually } from "../support/wait.ts";

test("a loop that was held up is told as late, and stays so for a while", async () => {
  const told: number[] = [];
  const stop = watchLoop((lagMs) => told.push(lagMs));
  await eventually("it tells", () => told.length > 0);
  const before = told.at(-1)!;
  const untilMs = performance.now() + 700;
  while (performance.now() < untilMs);
  await eventually("it tells of the delay", () => told.at(-1)! > Math.max(before, 400));
  const count = told.length;
  await eventually("it tells more", () => told.length > count + 1);
  expect(told.at(-1)).toBeGreaterThan(400);
  stop();
});
