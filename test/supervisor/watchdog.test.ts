import { expect, test } from "bun:test";

import { WorkerCells } from "../../src/memory/worker-cells.ts";
import { alignClock, nowMs } from "../../src/shared/clock.ts";
import { stuckWorker } from "../../src/supervisor/watchdog.ts";
import { inFreshMemory } from "../memory/setup.ts";

// As if this thread had been running for an hour: what never happened is long ago then.
alignClock(3_600_000);

/** Three workers, the time since whose last sign of life is given; null = there was none yet. */
function stateOf(silentMs: readonly (number | null)[], serving = [0, 1, 2]) {
  const cells = inFreshMemory((region) => new WorkerCells(region, 3));
  silentMs.forEach((ms, worker) => {
    if (ms !== null) cells.beat(worker, nowMs() - ms, 0);
  });
  return { draining: false, serving, deaths: 0, cells };
}

test("workers whose event loop turned lately are not stuck", () => {
  expect(stuckWorker(stateOf([0, 500, 9_000]), 10_000)).toBeNull();
});

test("a worker that has been silent for longer is named", () => {
  expect(stuckWorker(stateOf([0, 61_000, 0]), 30_000)).toBe("worker 1 has not answered for 61 s");
});

test("a worker that has not begun yet, or has ended, is not stuck", () => {
  expect(stuckWorker(stateOf([0, null, 90_000], [0, 1]), 10_000)).toBeNull();
});

test("a short watchdog does not take a busy machine for a stuck one", () => {
  expect(stuckWorker(stateOf([0, 1_500, 0]), 100)).toBeNull();
  expect(stuckWorker(stateOf([0, 3_500, 0]), 100)).toContain("worker 1");
});
