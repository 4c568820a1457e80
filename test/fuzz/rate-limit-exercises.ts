import { RateLimitRule, RateLimitTable, UNTRACKED } from "../../src/memory/rate-limit-table.ts";
import { Region } from "../../src/memory/region.ts";
import { seededRandom } from "../balancer/setup.ts";
import { meet, must } from "./exercise.ts";
import type { Exercise } from "./exercise.ts";

export interface Course {
  /** Clients that the table is made for. */
  readonly clients: number;
  readonly perSecond: number;
  readonly burst: number;
  readonly rounds: number;
  /** Clients that come in every round, and those that come in one round only. */
  readonly regulars: number;
  readonly strangers: number;
  /** Requests of each client in a round from each thread: in all more than it can get. */
  readonly asked: number;
  /** Longest step of time between two rounds. */
  readonly stepMsMax: number;
}

/** 16 slots and up to 14 clients that count, as those of two rounds do: nearly every entry takes somebody's slot. */
export const NARROW: Course = {
  clients: 8,
  perSecond: 1000,
  burst: 20,
  rounds: 800,
  regulars: 6,
  strangers: 4,
  asked: 10,
  stepMsMax: 24,
};

/** The same with entries that have all expired by the next round: those who come back race with those who take over. */
export const STALE: Course = { ...NARROW, rounds: 2_000, regulars: 8, strangers: 8, asked: 6, stepMsMax: 60 };

/** Many clients in a large table. */
export const WIDE: Course = {
  clients: 4096,
  perSecond: 700,
  burst: 90,
  rounds: 150,
  regulars: 15,
  strangers: 10,
  asked: 30,
  stepMsMax: 60,
};

export const courseOf = (name: keyof typeof COURSES): Course => COURSES[name];
const COURSES = { narrow: NARROW, stale: STALE, wide: WIDE };

export const makeTable = (course: Course) => (region: Region) => new RateLimitTable(region, course.clients);

/** The moment of each round, the same for all threads. */
export function momentsOf(course: Course, seed: number): number[] {
  const random = seededRandom(seed);
  let nowMs = 1_000 * random();
  return Array.from({ length: course.rounds }, () => (nowMs += course.stepMsMax * (0.45 + 0.55 * random())));
}

/** Clients of a round: regulars are numbered from 1, strangers behind all of them. */
export function clientsOf(course: Course, round: number): number[] {
  const first = course.regulars + 1 + round * course.strangers;
  return Array.from({ length: course.regulars + course.strangers }, (_, i) =>
    i < course.regulars ? i + 1 : first + i - course.regulars,
  );
}

export interface Admitted {
  /** By round, then by client in the order of `clientsOf`. */
  readonly admitted: number[][];
  readonly untracked: number;
  readonly decisions: number;
}

function run(course: Course, exercise: Exercise): Admitted {
  const table = makeTable(course)(new Region(exercise.buffer));
  const rule = new RateLimitRule(course.perSecond, course.burst);
  const random = seededRandom(exercise.seed);
  const moments = momentsOf(course, exercise.seed - exercise.thread);
  let [untracked, decisions] = [0, 0];
  const admitted = moments.map((nowMs, round) => {
    const clients = clientsOf(course, round);
    const counts = clients.map(() => 0);
    const left = clients.map(() => course.asked);
    const refused = clients.map(() => false);
    meet(exercise);
    // Everybody asks in an order of their own, and begins with the same client, so that all enter it at once.
    let place = 0;
    for (let open = clients.length; open > 0; place = Math.floor(random() * clients.length)) {
      if (left[place] === 0) continue;
      if (--left[place]! === 0) open--;
      const who = (place + round) % clients.length;
      const client = clients[who]!;
      const verdict = table.decide(exercise.thread, { high: 0, low: client }, rule, nowMs);
      decisions++;
      if (verdict === UNTRACKED) untracked++;
      else if (verdict < 0) refused[who] = true;
      else {
        counts[who]!++;
        // The clock stands still in a round, so what is given now was there already.
        must(!refused[who], `round ${round} client ${client}: was refused before all was given out`);
      }
    }
    // Nobody may be in the next round already while somebody asks in this one.
    meet(exercise);
    return counts;
  });
  return { admitted, untracked, decisions };
}

export const narrow = (exercise: Exercise): Admitted => run(NARROW, exercise);
export const stale = (exercise: Exercise): Admitted => run(STALE, exercise);
export const wide = (exercise: Exercise): Admitted => run(WIDE, exercise);

export const FREE = { perSecond: 5_000, burst: 300, clients: 3, decisions: 60_000, skewMs: 3 };

/** Requests at any moment, each thread by a clock of its own that is ahead or behind. Gives what each client got. */
export function free(exercise: Exercise): { admitted: number[]; firstMs: number; lastMs: number } {
  const region = new Region(exercise.buffer);
  const table = new RateLimitTable(region, 16);
  /** Microseconds since the start. */
  const clock = region.int32(1);
  const rule = new RateLimitRule(FREE.perSecond, FREE.burst);
  const random = seededRandom(exercise.seed);
  const admitted = new Array<number>(FREE.clients).fill(0);
  let [firstMs, lastMs] = [Infinity, 0];
  meet(exercise);
  for (let i = 0; i < FREE.decisions; i++) {
    const us = Atomics.add(clock, 0, Math.floor(random() * 20));
    const nowMs = 100 + us / 1000 + exercise.thread * FREE.skewMs;
    firstMs = Math.min(firstMs, nowMs);
    lastMs = Math.max(lastMs, nowMs);
    const client = i % FREE.clients;
    if (table.decide(exercise.thread, { high: 1, low: client }, rule, nowMs) === 0) admitted[client]!++;
  }
  return { admitted, firstMs, lastMs };
}

export const makeFree = (region: Region) => {
  void new RateLimitTable(region, 16);
  region.int32(1);
};
