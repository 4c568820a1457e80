import { describe, expect, test } from "bun:test";

import { deadlineMark, deadlineMs, Deadlines } from "../../src/memory/deadline.ts";
import { InFlight } from "../../src/memory/in-flight.ts";
import { MovingAverages } from "../../src/memory/moving-average.ts";
import { Probes } from "../../src/memory/probes.ts";
import { Snapshots } from "../../src/memory/snapshots.ts";
import { stateOf, StateWords, tickOf } from "../../src/memory/state-word.ts";
import { msOf, tickAt, tickFrom, TICKS_MAX } from "../../src/memory/ticks.ts";
import { inFreshMemory } from "./setup.ts";

test("a moment rounded to ticks is never due early", () => {
  for (const ms of [0, 1, 99.9, 100, 100.1, 12_345.678]) {
    expect(msOf(tickFrom(ms))).toBeGreaterThanOrEqual(ms);
    expect(msOf(tickAt(ms))).toBeLessThanOrEqual(ms);
    expect(msOf(tickFrom(ms)) - ms).toBeLessThan(100);
  }
  expect(tickFrom(1e15)).toBe(TICKS_MAX);
  expect(tickAt(1e15)).toBe(TICKS_MAX);
});

describe("moving average", () => {
  const make = (bits: number) => inFreshMemory((region) => new MovingAverages(region, 2, bits));

  test("has no value before the first sample, which then is the average", () => {
    const averages = make(10);
    expect(averages.read(0)).toBeNull();
    averages.sample(0, 250.5);
    expect(averages.read(0)).toBe(250.5);
    expect(averages.read(1)).toBeNull();
  });

  test("moves by 0.15 of the difference with each sample", () => {
    const averages = make(10);
    averages.sample(0, 100);
    averages.sample(0, 200);
    expect(averages.read(0)).toBeCloseTo(115, 2);
    averages.sample(0, 0);
    expect(averages.read(0)).toBeCloseTo(97.75, 2);
  });

  test("tells an average of zero from no sample", () => {
    const averages = make(30);
    averages.sample(0, 0);
    expect(averages.read(0)).toBe(0);
  });

  test("may begin at a value that the first sample blends into", () => {
    const averages = make(30);
    averages.sample(0, 0, 1);
    expect(averages.read(0)).toBeCloseTo(0.85, 8);
    averages.restart(0, 0.25);
    expect(averages.read(0)).toBe(0.25);
    averages.clear(0);
    expect(averages.read(0)).toBeNull();
  });

  test("cuts samples that it has no room for: 20 minutes fit, an hour does not", () => {
    const averages = make(10);
    averages.sample(0, 1_200_000);
    expect(averages.read(0)).toBe(1_200_000);
    averages.restart(0, 3_600_000);
    expect(averages.read(0)).toBeGreaterThan(2_000_000);
    averages.restart(0, -5);
    expect(averages.read(0)).toBe(0);
  });
});

describe("state word", () => {
  test("moves only from the word that was read", () => {
    const words = inFreshMemory((region) => new StateWords(region, 1));
    const first = words.read(0);
    expect([stateOf(first), tickOf(first)]).toEqual([0, 0]);
    expect(words.move(0, first, 3, TICKS_MAX)).toBe(true);
    expect([stateOf(words.read(0)), tickOf(words.read(0))]).toEqual([3, TICKS_MAX]);
    expect(words.move(0, first, 1, 5)).toBe(false);
  });

  test("tells two visits to the same state apart by their tick", () => {
    const words = inFreshMemory((region) => new StateWords(region, 1));
    words.move(0, words.read(0), 1, 10);
    const earlier = words.read(0);
    words.move(0, earlier, 2, 20);
    words.move(0, words.read(0), 1, 30);
    expect(words.move(0, earlier, 0, 40)).toBe(false);
  });
});

describe("deadline", () => {
  test("moves to later only, and keeps the mark of the latest", () => {
    const deadlines = inFreshMemory((region) => new Deadlines(region, 1));
    expect(deadlineMs(deadlines.read(0))).toBe(0);
    deadlines.extend(0, 5_000, 1);
    deadlines.extend(0, 3_000, 0);
    expect([deadlineMs(deadlines.read(0)), deadlineMark(deadlines.read(0))]).toEqual([5_000, 1]);
    deadlines.extend(0, 5_050, 0);
    expect([deadlineMs(deadlines.read(0)), deadlineMark(deadlines.read(0))]).toEqual([5_100, 0]);
  });
});

describe("in-flight", () => {
  test("is claimed only on the count that was seen", () => {
    const inFlight = inFreshMemory((region) => new InFlight(region, 2, 1));
    inFlight.take(0, 0);
    expect(inFlight.takeIf(1, 0, 0)).toBe(false);
    expect(inFlight.takeIf(1, 0, 1)).toBe(true);
    expect(inFlight.read(0)).toBe(2);
  });

  test("gives back what a dead worker held, and what it gives back later counts no more", () => {
    const inFlight = inFreshMemory((region) => new InFlight(region, 2, 2));
    for (let i = 0; i < 3; i++) inFlight.take(0, 1);
    inFlight.take(1, 1);
    inFlight.giveBackAll(0);
    expect([inFlight.read(0), inFlight.read(1)]).toEqual([0, 1]);
    inFlight.giveBack(0, 1);
    expect(inFlight.read(1)).toBe(1);
    inFlight.giveBack(1, 1);
    expect(inFlight.read(1)).toBe(0);
  });
});

describe("probes", () => {
  const make = () => inFreshMemory((region) => new Probes(region, 2, 2, 4));

  test("no more are claimed at a time than allowed, per upstream", () => {
    const probes = make();
    const claims = [1, 2, 3].map(() => probes.claim(0, 1, 2, 1_000, 5_000));
    expect(claims.map((claim) => claim !== null)).toEqual([true, true, false]);
    expect(probes.free(1, 2, 1_000)).toBe(false);
    expect(probes.free(0, 2, 1_000)).toBe(true);
    probes.giveBack(0, claims[0]!);
    expect(probes.claim(1, 1, 2, 1_000, 5_000)).not.toBeNull();
  });

  test("a lease that ran out frees its slot, and giving it back then frees nobody else's", () => {
    const probes = make();
    const late = probes.claim(0, 0, 1, 0, 5_000)!;
    expect(probes.claim(1, 0, 1, 4_999, 5_000)).toBeNull();
    const successor = probes.claim(1, 0, 1, 5_000, 5_000)!;
    expect(successor).not.toBeNull();
    expect([probes.holds(late), probes.holds(successor)]).toEqual([false, true]);
    probes.giveBack(0, late);
    expect(probes.holds(successor)).toBe(true);
  });

  test("gives back what a dead worker held and nothing else", () => {
    const probes = make();
    const [mine, others] = [probes.claim(0, 0, 2, 0, 60_000)!, probes.claim(1, 0, 2, 0, 60_000)!];
    const expired = probes.claim(0, 1, 1, 0, 1_000)!;
    const successor = probes.claim(1, 1, 1, 2_000, 60_000)!;
    probes.giveBackAll(0);
    expect([mine, others, expired, successor].map((claim) => probes.holds(claim))).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });
});

describe("snapshots", () => {
  const make = () => inFreshMemory((region) => new Snapshots(region, 3, 2, 4));

  test("every worker goes on where the last one stopped", () => {
    const snapshots = make();
    const add = (row: Float64Array) => {
      for (let i = 0; i < 4; i++) row[i]! += i;
      return row[3]!;
    };
    const results = [0, 1, 1, 2, 0, 0, 0, 2, 1].map((worker) => snapshots.update(worker, 1, 9, 4, add));
    expect(results).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27]);
    expect(snapshots.update(0, 0, 9, 4, (row) => row[3]!)).toBe(0);
  });

  test("a row about something else counts as zero", () => {
    const snapshots = make();
    const count = (row: Float64Array) => ++row[0]!;
    snapshots.update(0, 0, 1, 4, count);
    expect(snapshots.update(1, 0, 1, 4, count)).toBe(2);
    expect(snapshots.update(1, 0, 2, 4, count)).toBe(1);
  });
});
