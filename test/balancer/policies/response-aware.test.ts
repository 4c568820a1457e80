import { describe, expect, test } from "bun:test";

import {
  ResponseAware,
  REVIEW_AFTER_MS,
  REVIEW_EVERY_CHOICES,
} from "../../../src/balancer/policies/response-aware.ts";
import type { Loads, ScoredMembers } from "../../../src/balancer/policies/response-aware.ts";

interface Load {
  inFlight?: number;
  responseMs?: number | null;
  successRate?: number;
  sampledMs?: number;
}

/** A group in plain memory. What is taken stays in flight until it is set otherwise. */
class FakeMembers implements ScoredMembers {
  readonly loads: Required<Load>[];
  readonly reviewed: number[] = [];
  readonly policy: ResponseAware;
  winner = -1;
  /** Called before each claim, to play the other thread. */
  beforeClaim: (() => void) | null = null;

  constructor(...loads: readonly Load[]) {
    this.loads = loads.map((load) => ({
      inFlight: 0,
      responseMs: null,
      successRate: 1,
      sampledMs: 0,
      ...load,
    }));
    this.policy = new ResponseAware(this, loads.length);
  }

  take(member: number): void {
    this.loads[member]!.inFlight++;
  }

  takeIf(member: number, seen: number): boolean {
    this.beforeClaim?.();
    if (this.loads[member]!.inFlight !== seen) return false;
    this.take(member);
    return true;
  }

  read(eligible: readonly number[], loads: Loads): void {
    for (const [place, member] of eligible.entries()) {
      const load = this.loads[member]!;
      loads.inFlight[place] = load.inFlight;
      loads.responseMs[place] = load.responseMs ?? -1;
      loads.successRate[place] = load.successRate;
    }
  }

  sampledMs = (member: number) => this.loads[member]!.sampledMs;
  lastTieWinner = () => this.winner;

  review(member: number, nowMs: number): void {
    this.reviewed.push(member);
    this.loads[member]!.sampledMs = nowMs;
  }

  tieWon(member: number): void {
    this.winner = member;
  }
}

function choose(members: FakeMembers, nowMs = 0): number {
  return members.policy.choose([...members.loads.keys()], nowMs);
}

describe("the score", () => {
  test.each<[string, Load[], number]>([
    ["faster wins", [{ responseMs: 200 }, { responseMs: 100 }], 1],
    [
      "less in flight wins",
      [
        { responseMs: 100, inFlight: 2 },
        { responseMs: 100, inFlight: 1 },
      ],
      1,
    ],
    ["in flight counts plus one", [{ responseMs: 300 }, { responseMs: 100, inFlight: 1 }], 1],
    ["in flight outweighs speed in the end", [{ responseMs: 300 }, { responseMs: 100, inFlight: 3 }], 0],
    ["failing divides", [{ responseMs: 100, successRate: 0.3 }, { responseMs: 300 }], 1],
    [
      "failing a little may still be worth it",
      [{ responseMs: 100, successRate: 0.4 }, { responseMs: 300 }],
      0,
    ],
    [
      "one that never works loses to any queue",
      [
        { responseMs: 1, successRate: 0 },
        { responseMs: 900, inFlight: 900 },
      ],
      1,
    ],
    [
      "when none works, speed decides",
      [
        { responseMs: 2, successRate: 0 },
        { responseMs: 1, successRate: 0 },
      ],
      1,
    ],
    ["no sample = mean of the others (250), too slow", [{}, { responseMs: 100 }, { responseMs: 400 }], 1],
    [
      "no sample = mean of the others (250), fast enough",
      [{}, { responseMs: 126, inFlight: 1 }, { responseMs: 374 }],
      0,
    ],
    [
      "no sample is not flooded",
      [{ inFlight: 3 }, { responseMs: 100, inFlight: 1 }, { responseMs: 100, inFlight: 2 }],
      1,
    ],
    [
      "no response but failures: the mean, divided",
      [{ successRate: 0.4 }, { responseMs: 100, inFlight: 1 }],
      1,
    ],
  ])("%s", (_, loads, winner) => {
    expect(choose(new FakeMembers(...loads))).toBe(winner);
  });

  test("of equals each has its turn, also when others lie between them", () => {
    const loads = [{ responseMs: 100 }, { responseMs: 900 }, { responseMs: 100 }, { responseMs: 100 }];
    const members = new FakeMembers(...loads);
    const winners = Array.from({ length: 6 }, () => {
      const winner = choose(members);
      members.loads[winner]!.inFlight = 0;
      return winner;
    });
    expect(winners).toEqual([0, 2, 3, 0, 2, 3]);
  });

  test("a choice on a count that another thread has changed is made again", () => {
    const members = new FakeMembers({ responseMs: 100 }, { responseMs: 150 });
    members.beforeClaim = () => {
      members.beforeClaim = null;
      members.take(0);
    };
    expect(choose(members)).toBe(1);
    expect(members.loads.map((load) => load.inFlight)).toEqual([1, 1]);
  });
});

describe("a review", () => {
  const NOW_MS = 100_000;
  const OLD_MS = NOW_MS - REVIEW_AFTER_MS;

  function dueNext(...loads: readonly Load[]): FakeMembers {
    const members = new FakeMembers(...loads);
    const before = structuredClone(members.loads);
    for (let i = 1; i < REVIEW_EVERY_CHOICES; i++) choose(members);
    members.loads.splice(0, before.length, ...before);
    members.winner = -1;
    return members;
  }

  test("goes to the member with the oldest samples, whatever its score", () => {
    const good = { responseMs: 100, sampledMs: NOW_MS };
    const bad = { responseMs: 5_000, successRate: 0, inFlight: 9 };
    const members = dueNext(
      good,
      { ...bad, sampledMs: OLD_MS },
      { ...bad, sampledMs: OLD_MS - 1 },
      bad,
      good,
    );
    members.loads[3]!.sampledMs = OLD_MS - 1;
    expect(choose(members, NOW_MS)).toBe(2);
    expect(members.reviewed).toEqual([2]);
    expect(members.loads[2]!.inFlight).toBe(10);
    expect(choose(members, NOW_MS)).toBe(0);
  });

  test("finds a member that has no samples yet", () => {
    const fast = { responseMs: 10, sampledMs: NOW_MS };
    expect(choose(dueNext(fast, { responseMs: 90, sampledMs: NOW_MS }, {}), NOW_MS)).toBe(2);
  });

  test("waits until the samples are old enough", () => {
    const members = dueNext(
      { responseMs: 100, sampledMs: NOW_MS },
      { responseMs: 5_000, sampledMs: OLD_MS + 1 },
    );
    expect(choose(members, NOW_MS)).toBe(0);
    expect(members.reviewed).toEqual([]);
  });

  test("comes once in so many choices of the group, however old the samples are", () => {
    const members = new FakeMembers({ responseMs: 100 }, { responseMs: 5_000 });
    const counts = [0, 0];
    for (let i = 0; i < 10 * REVIEW_EVERY_CHOICES; i++) {
      const nowMs = i * 10 * REVIEW_AFTER_MS;
      const winner = choose(members, nowMs);
      counts[winner]!++;
      members.loads[winner]!.inFlight = 0;
      if (winner === 0) members.loads[0]!.sampledMs = nowMs;
    }
    expect(counts).toEqual([10 * REVIEW_EVERY_CHOICES - 10, 10]);
  });
});
