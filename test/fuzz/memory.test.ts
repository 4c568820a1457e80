import { afterAll, expect, test } from "bun:test";

import { deadlineMs } from "../../src/memory/deadline.ts";
import { Region } from "../../src/memory/region.ts";
import { inFreshMemory } from "../memory/setup.ts";
import * as exercises from "./memory-exercises.ts";
import { SEED, Threads } from "./threads.ts";

const threads = new Threads(new URL("./memory-exercises.ts", import.meta.url));
afterAll(() => threads.stop());

/** Runs an exercise over one primitive, and gives that with what each thread returned. */
async function run<Primitive, Result>(
  make: (region: Region) => Primitive,
  exercise: keyof typeof exercises,
): Promise<[Primitive, Result[]]> {
  const bytes = Region.measure((region) => void make(region));
  const { results, buffer } = await threads.run<Result>(exercise, bytes);
  return [make(new Region(buffer)), results];
}

const sorted = (lists: readonly number[][]) => lists.flat().sort((a, b) => a - b);
const upTo = (count: number, first: number) => Array.from({ length: count }, (_, i) => first + i);
const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);

test("counter: every number is given out once", async () => {
  const [{ seen }] = await run(exercises.makeCounters, "count");
  expect(seen.every((times) => times === 1)).toBe(true);
});

test("moving average: no sample is lost and none counts twice", async () => {
  const [averages] = await run(exercises.makeAverages, "average");
  const alone = inFreshMemory(exercises.makeAverages);
  for (let i = 0; i < exercises.AVERAGES; i++) {
    alone.restart(i, exercises.averageStart(i));
    for (let n = 0; n < 4 * exercises.SAMPLES; n++) alone.sample(i, exercises.averageSample(i));
    expect(averages.read(i)).toBe(alone.read(i));
  }
});

test("rolling window: no count is lost, also while buckets are turned over", async () => {
  type Counts = { calls: number; failures: number };
  const [windows, counted] = await run<ReturnType<typeof exercises.makeWindows>, Counts[]>(
    exercises.makeWindows,
    "countInWindow",
  );
  const last = exercises.BUCKET_TURNS - 1;
  const kept = counted.flatMap((turns) => turns.slice(-10));
  expect(windows.sum(0, last * exercises.BUCKET_MS, 10 * exercises.BUCKET_MS), `FUZZ_SEED=${SEED}`).toEqual({
    calls: total(kept.map(({ calls }) => calls)),
    failures: total(kept.map(({ failures }) => failures)),
  });
});

test("state word: every transition is made once", async () => {
  const [{ seen }] = await run(exercises.makeStates, "moveState");
  expect(seen.subarray(1).every((times) => times === 1)).toBe(true);
});

test("deadline: the latest wins", async () => {
  const [deadlines, latest] = await run<ReturnType<typeof exercises.makeDeadlines>, number>(
    exercises.makeDeadlines,
    "extendDeadline",
  );
  expect(deadlineMs(deadlines.read(0)), `FUZZ_SEED=${SEED}`).toBe(Math.max(...latest));
});

test("in-flight: the total is what all hold, and what the dead held is given back", async () => {
  const [inFlight, held] = await run<ReturnType<typeof exercises.makeInFlight>, number[]>(
    exercises.makeInFlight,
    "takeAndGiveBack",
  );
  const totals = () => upTo(exercises.UPSTREAMS, 0).map((upstream) => inFlight.read(upstream));
  const sums = (workers: readonly number[]) =>
    upTo(exercises.UPSTREAMS, 0).map((upstream) => total(workers.map((worker) => held[worker]![upstream]!)));
  expect(totals(), `FUZZ_SEED=${SEED}`).toEqual(sums([0, 1, 2, 3]));
  inFlight.giveBackAll(2);
  inFlight.giveBackAll(0);
  expect(totals(), `FUZZ_SEED=${SEED}`).toEqual(sums([1, 3]));
  inFlight.giveBackAll(1);
  inFlight.giveBackAll(3);
  expect(totals()).toEqual([0, 0, 0]);
});

test("probes: every free slot is claimed, and none beyond the limit", async () => {
  const [, done] = await run<unknown, ReturnType<typeof exercises.claimProbes>>(
    exercises.makeProbes,
    "claimProbes",
  );
  for (let round = 0; round < exercises.PROBE_ROUNDS; round++) {
    const held = total(done.map((thread) => thread.held[round]!));
    const claimed = total(done.map((thread) => thread.claimed[round]!));
    expect(held + claimed, `FUZZ_SEED=${SEED} round ${round}`).toBe(exercises.PROBE_LIMIT);
  }
});

test("probes: a slot that all race for is claimed once", async () => {
  const [, got] = await run<unknown, number>(exercises.makeManyProbes, "raceForProbes");
  expect(total(got)).toBe(exercises.RACES * exercises.SLOTS);
});

test("snapshots: no update is lost, and no torn row is ever published", async () => {
  const [snapshots, seen] = await run<ReturnType<typeof exercises.makeSnapshots>, number[]>(
    exercises.makeSnapshots,
    "updateRow",
  );
  expect(sorted(seen)).toEqual(upTo(4 * exercises.UPDATES, 1));
  let row: number[] = [];
  snapshots.update(0, 1, 7, exercises.ROW, (numbers) => {
    row = [...numbers];
    return 0;
  });
  expect(row).toEqual(upTo(exercises.ROW, 1).map((step) => step * 4 * exercises.UPDATES));
});

test("retry budget: exactly the share is granted", async () => {
  const [, got] = await run<unknown, number[]>(exercises.makeBudget, "claimRetries");
  for (let group = 0; group < exercises.BUDGETS; group++) {
    const share = Math.max(10, Math.ceil(0.1 * exercises.requestsOf(group)));
    expect(total(got.map((thread) => thread[group]!)), `group ${group}`).toBe(share);
  }
});
