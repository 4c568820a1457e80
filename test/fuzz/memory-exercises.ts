import { Counters } from "../../src/memory/counter.ts";
import { deadlineMs, Deadlines } from "../../src/memory/deadline.ts";
import { InFlight } from "../../src/memory/in-flight.ts";
import { MovingAverages } from "../../src/memory/moving-average.ts";
import { Probes } from "../../src/memory/probes.ts";
import type { ProbeClaim } from "../../src/memory/probes.ts";
import { Region } from "../../src/memory/region.ts";
import { RetryBudget } from "../../src/memory/retry-budget.ts";
import { RollingWindows } from "../../src/memory/rolling-window.ts";
import { Snapshots } from "../../src/memory/snapshots.ts";
import { stateOf, StateWords, tickOf } from "../../src/memory/state-word.ts";
import { msOf } from "../../src/memory/ticks.ts";
import { seededRandom } from "../balancer/setup.ts";
import { meet, must } from "./exercise.ts";
import type { Exercise } from "./exercise.ts";

const WORKERS = 4;

/** A counter, and how often each of its numbers was given out. */
export const makeCounters = (region: Region) => ({
  counters: new Counters(region, 1),
  seen: region.int32(WORKERS * COUNTS),
});
export const makeAverages = (region: Region) => new MovingAverages(region, AVERAGES, 10);
export const makeWindows = (region: Region) => new RollingWindows(region, 1);
/** A state word, and how often each of its ticks was reached. */
export const makeStates = (region: Region) => ({
  states: new StateWords(region, 1),
  seen: region.int32(MOVES + 1),
});
export const makeDeadlines = (region: Region) => new Deadlines(region, 1);
export const makeInFlight = (region: Region) => new InFlight(region, WORKERS, UPSTREAMS);
export const makeProbes = (region: Region) => new Probes(region, WORKERS, 2, 4);
export const makeManyProbes = (region: Region) => new Probes(region, WORKERS, SLOTS, 1);
export const makeSnapshots = (region: Region) => new Snapshots(region, WORKERS, 2, ROW);
export const makeBudget = (region: Region) => new RetryBudget(region, BUDGETS);

export const COUNTS = 500_000;

export function count(exercise: Exercise): void {
  const { counters, seen } = makeCounters(new Region(exercise.buffer));
  meet(exercise);
  for (let i = 0; i < COUNTS; i++) Atomics.add(seen, counters.next(0), 1);
}

export const AVERAGES = 1_000;
export const SAMPLES = 24;
export const averageStart = (i: number) => 1_000_000 - 997 * i;
export const averageSample = (i: number) => 13 * i;

/** All threads put the same samples into the same average, so that their order does not matter, only their number. */
export function average(exercise: Exercise): void {
  const averages = makeAverages(new Region(exercise.buffer));
  for (let i = exercise.thread; i < AVERAGES; i += exercise.threads) averages.restart(i, averageStart(i));
  for (let i = 0; i < AVERAGES; i++) {
    meet(exercise);
    for (let sample = 0; sample < SAMPLES; sample++) averages.sample(i, averageSample(i));
  }
}

export const BUCKET_TURNS = 300;
export const BUCKET_MS = 1_000;

/** In each turn all threads turn the bucket over and count in it. Gives calls and failures of this thread, turn by turn. */
export function countInWindow(exercise: Exercise): { calls: number; failures: number }[] {
  const random = seededRandom(exercise.seed);
  const windows = makeWindows(new Region(exercise.buffer));
  const done: { calls: number; failures: number }[] = [];
  for (let turn = 0; turn < BUCKET_TURNS; turn++) {
    meet(exercise);
    const counted = { calls: 0, failures: 0 };
    for (let i = 0; i < 50; i++) {
      const failures = random() < 0.3 ? 1 : 0;
      windows.add(0, (turn + random()) * BUCKET_MS, 10 * BUCKET_MS, 1, failures);
      counted.calls++;
      counted.failures += failures;
    }
    done.push(counted);
  }
  return done;
}

export const MOVES = 500_000;

/** All threads move the word on by one tick at a time, until it is there. */
export function moveState(exercise: Exercise): void {
  const { states, seen } = makeStates(new Region(exercise.buffer));
  meet(exercise);
  for (;;) {
    const word = states.read(0);
    const tick = tickOf(word);
    must(stateOf(word) === tick % 3, "the state belongs to its tick");
    if (tick === MOVES) return;
    if (states.move(0, word, (tick + 1) % 3, tick + 1)) Atomics.add(seen, tick + 1, 1);
  }
}

/** Extends to random moments, later and later. Gives the latest of them. */
export function extendDeadline(exercise: Exercise): number {
  const random = seededRandom(exercise.seed);
  const deadlines = makeDeadlines(new Region(exercise.buffer));
  let latest = 0;
  meet(exercise);
  for (let i = 0; i < 400_000; i++) {
    const before = deadlineMs(deadlines.read(0));
    const wanted = msOf(i + Math.floor(random() * 100));
    deadlines.extend(0, wanted, 0);
    latest = Math.max(latest, wanted);
    const after = deadlineMs(deadlines.read(0));
    must(after >= before && after >= wanted, "a deadline never moves to earlier");
  }
  return latest;
}

export const UPSTREAMS = 3;

/** Takes and gives back at random. Gives how many this thread still holds of each; half of the threads "die". */
export function takeAndGiveBack(exercise: Exercise): number[] {
  const random = seededRandom(exercise.seed);
  const inFlight = makeInFlight(new Region(exercise.buffer));
  const held = new Array<number>(UPSTREAMS).fill(0);
  const worker = exercise.thread;
  meet(exercise);
  for (let i = 0; i < 30_000; i++) {
    const upstream = Math.floor(random() * UPSTREAMS);
    const seen = inFlight.read(upstream);
    must(seen >= held[upstream]!, "the total is never below what one holds");
    if (held[upstream]! > 0 && random() < 0.5) {
      inFlight.giveBack(worker, upstream);
      held[upstream]!--;
    } else if (random() < 0.5) {
      inFlight.take(worker, upstream);
      held[upstream]!++;
    } else if (inFlight.takeIf(worker, upstream, seen)) held[upstream]!++;
  }
  return held;
}

export const PROBE_ROUNDS = 2_000;
export const PROBE_LIMIT = 3;

/**
 * In each round, at a moment of its own, all threads race for the slots and keep what they claim until a random later round
 * or until it expires. Gives for each round how many this thread claimed, and how many it gave back before.
 */
export function claimProbes(exercise: Exercise): { claimed: number[]; held: number[] } {
  const random = seededRandom(exercise.seed);
  const probes = makeProbes(new Region(exercise.buffer));
  const held = new Set<{ claim: ProbeClaim; untilMs: number; abandoned: boolean }>();
  const done: { claimed: number[]; held: number[] } = { claimed: [], held: [] };
  for (let round = 0; round < PROBE_ROUNDS; round++) {
    const nowMs = round * 100;
    for (const probe of held) {
      if (probe.untilMs <= nowMs) held.delete(probe);
      else if (!probe.abandoned && random() < 0.5) {
        probes.giveBack(exercise.thread, probe.claim);
        held.delete(probe);
      }
    }
    done.held.push(held.size);
    meet(exercise);
    let claimed = 0;
    for (let i = 0; i < 3; i++) {
      const claim = probes.claim(exercise.thread, 1, PROBE_LIMIT, nowMs, 500);
      if (claim === null) continue;
      claimed++;
      held.add({ claim, untilMs: nowMs + 500, abandoned: random() < 0.2 });
    }
    done.claimed.push(claimed);
    meet(exercise);
  }
  return done;
}

export const SLOTS = 200_000;
export const RACES = 5;

/** All threads race for the one slot of each upstream. Gives how many this thread got. */
export function raceForProbes(exercise: Exercise): number {
  const probes = makeManyProbes(new Region(exercise.buffer));
  let got = 0;
  for (let race = 0; race < RACES; race++) {
    meet(exercise);
    for (let slot = 0; slot < SLOTS; slot++) {
      // The leases of the race before have expired.
      if (probes.claim(exercise.thread, slot, 1, race * 1_000, 500) !== null) got++;
    }
  }
  return got;
}

export const ROW = 16;
export const UPDATES = 10_000;

/** Adds to every number of the row. Gives the values of the first one that this thread saw. */
export function updateRow({ buffer, ...exercise }: Exercise): number[] {
  const snapshots = makeSnapshots(new Region(buffer));
  const step = (row: Float64Array) => {
    for (let i = 0; i < ROW; i++) row[i]! += i + 1;
    return row[0]!;
  };
  meet({ buffer, ...exercise });
  return Array.from({ length: UPDATES }, () => snapshots.update(exercise.thread, 1, 7, ROW, step));
}

export const BUDGETS = 300;
export const requestsOf = (group: number) => 7 * group;

/** All threads claim as many retries as they get, group after group. Gives how many this thread got of each. */
export function claimRetries(exercise: Exercise): number[] {
  const budget = makeBudget(new Region(exercise.buffer));
  return Array.from({ length: BUDGETS }, (_, group) => {
    for (let i = exercise.thread; i < requestsOf(group); i += exercise.threads) budget.countRequest(group, i);
    meet(exercise);
    let got = 0;
    while (budget.mayRetry(group, 5_000, 0.1)) got++;
    return got;
  });
}
