import { Balancer } from "../../src/balancer/balancer.ts";
import { Breaker } from "../../src/balancer/breaker.ts";
import type { Admission, Verdict } from "../../src/balancer/breaker.ts";
import type { Lease } from "../../src/balancer/lease.ts";
import type { Outcome } from "../../src/balancer/outcome.ts";
import { Trail } from "../../src/balancer/trail.ts";
import type { BreakerPlan, Plan, Strategy } from "../../src/config/plan.ts";
import { BalancerMemory } from "../../src/memory/balancer-memory.ts";
import { proposeCapacity } from "../../src/memory/capacity.ts";
import { Region } from "../../src/memory/region.ts";
import { BREAKER, memoryBytes, seededRandom, sketchPlan } from "../balancer/setup.ts";
import { meet, must } from "./exercise.ts";
import type { Exercise } from "./exercise.ts";

export const STRATEGIES: readonly Strategy[] = [
  "roundrobin",
  "weighted_roundrobin",
  "random",
  "response_aware",
  "failover",
];
export const WEIGHTS = [5, 1, 3, 1, 2, 8, 1, 1];

const FAST_BREAKER: BreakerPlan = { ...BREAKER, cooldownMs: 1_000, windowMs: 2_000, halfOpenRequests: 2 };

/** The same eight upstreams in one group for each strategy. */
export function planOf(breaker: BreakerPlan | null): Plan {
  return sketchPlan(
    WEIGHTS.map(() => breaker),
    STRATEGIES.map((strategy) => ({
      strategy,
      members: WEIGHTS.map((weight, upstream) => ({ upstream, weight })),
    })),
  );
}

const capacity = proposeCapacity(planOf(FAST_BREAKER), 4);
export const BYTES = memoryBytes(capacity) + 64;

export const memoryOf = (buffer: SharedArrayBuffer) => new BalancerMemory(new Region(buffer), capacity);

/** A word behind the memory, for the exercise itself. */
const extraWord = (buffer: SharedArrayBuffer) => new Int32Array(buffer, BYTES - 64, 1);

export const CYCLES = 500;

/** Chooses many times from the rotating groups. Gives how often this thread got each upstream, group by group. */
export function rotate(exercise: Exercise): number[][] {
  const balancer = new Balancer(memoryOf(exercise.buffer), planOf(null), exercise.thread);
  return [8, 22].map((cycle, group) => {
    const counts = WEIGHTS.map(() => 0);
    meet(exercise);
    for (let i = 0; i < cycle * CYCLES; i++) {
      const lease = balancer.acquire(group, new Trail(), 0, 1_000) as Lease;
      counts[lease.upstream]!++;
      lease.release({ kind: "answered", error: "none" }, 0);
    }
    return counts;
  });
}

export const CLAIMS = 5_000;

/** All threads claim by score, and release nothing. */
export function claimByScore(exercise: Exercise): void {
  const balancer = new Balancer(memoryOf(exercise.buffer), planOf(null), exercise.thread);
  meet(exercise);
  for (let i = 0; i < CLAIMS; i++)
    balancer.acquire(STRATEGIES.indexOf("response_aware"), new Trail(), 0, 1_000);
}

export interface Move {
  readonly from: string;
  readonly to: string;
  readonly atMs: number;
}

const PHASES = 600;
const PHASE_MS = 250;
const PROBE_LEASE_MS = 1_500;

/** A call that was let in and has not ended. */
interface Call {
  readonly admission: Admission;
  readonly untilMs: number;
  readonly lost: boolean;
}

/**
 * All threads call one breaker's upstream, which fails now and then, phase by phase with the same time in each. Some probes
 * never end. Gives the transitions that this thread made.
 */
export function callThroughBreaker(exercise: Exercise): Move[] {
  const random = seededRandom(exercise.seed);
  const memory = memoryOf(exercise.buffer);
  const probing = extraWord(exercise.buffer);
  const moves: Move[] = [];
  let nowMs = 0;
  const breaker = new Breaker(memory, exercise.thread, 0, FAST_BREAKER, (from, to) =>
    moves.push({ from, to, atMs: nowMs }),
  );
  let calls: Call[] = [];
  const end = (call: Call, verdict: Verdict) => {
    if (call.admission.probe !== null) Atomics.sub(probing, 0, 1);
    breaker.settle(call.admission, verdict, nowMs);
  };
  for (let phase = 0; phase < PHASES; phase++) {
    nowMs = phase * PHASE_MS;
    meet(exercise);
    // Lost probes whose lease is over free their slots before anybody may claim them anew.
    for (const call of calls) if (call.untilMs <= nowMs) Atomics.sub(probing, 0, 1);
    calls = calls.filter((call) => call.untilMs > nowMs);
    meet(exercise);
    const failing = Math.floor(phase / 20) % 2 === 1 ? 0.9 : 0.1;
    for (let i = 0; i < 30; i++) {
      const admission = breaker.admit(nowMs, PROBE_LEASE_MS);
      if (admission !== null) {
        const probes = admission.probe === null ? 0 : Atomics.add(probing, 0, 1) + 1;
        must(probes <= FAST_BREAKER.halfOpenRequests, `${probes} probes at a time`);
        const lost = admission.probe !== null && random() < 0.1;
        calls.push({
          admission,
          untilMs: admission.probe === null ? Infinity : nowMs + PROBE_LEASE_MS,
          lost,
        });
      }
      const ended = calls.filter((call) => !call.lost && random() < 0.7);
      for (const call of ended) {
        const chance = random();
        end(call, chance < 0.1 ? "neutral" : chance < 0.1 + failing ? "failure" : "success");
      }
      calls = calls.filter((call) => !ended.includes(call));
    }
  }
  return moves;
}

export const SHARED_CALLS = 4_000;

export interface Seen {
  readonly moves: number;
  /** What this thread still has in flight when it "dies", upstream by upstream. */
  readonly held: number[];
}

const OUTCOMES: readonly Outcome[] = [
  { kind: "success", responseMs: 40 },
  { kind: "success", responseMs: null },
  { kind: "answered", error: "http_404" },
  { kind: "limited", error: "http_429" },
  { kind: "failure", error: "http_500" },
  { kind: "failure", error: "connection_lost" },
  { kind: "abandoned", error: "client_gone" },
];

/** All threads use all groups at once, with retries, rests, every outcome, and leases that are never released. */
export function useEverything(exercise: Exercise): Seen {
  const random = seededRandom(exercise.seed);
  const held = WEIGHTS.map(() => 0);
  let moves = 0;
  const balancer = new Balancer(memoryOf(exercise.buffer), planOf(FAST_BREAKER), exercise.thread, random, {
    breakerCall() {},
    breakerMoved: () => void moves++,
  });
  meet(exercise);
  const leases: Lease[] = [];
  for (let i = 0; i < SHARED_CALLS; i++) {
    const nowMs = i * 7;
    const trail = new Trail();
    for (let attempt = 0; attempt < 3; attempt++) {
      const acquired = balancer.acquire(i % STRATEGIES.length, trail, nowMs, 1_000);
      if (acquired.kind !== "lease") break;
      held[acquired.upstream]!++;
      leases.push(acquired);
      if (random() < 0.02) balancer.rest(acquired.upstream, nowMs + 300, nowMs, "limited");
      if (random() < 0.5) break;
    }
    while (leases.length > 5) {
      const [lease] = leases.splice(Math.floor(random() * leases.length), 1);
      const outcome = OUTCOMES[Math.floor(random() * OUTCOMES.length)]!;
      lease!.release(outcome, nowMs);
      lease!.release(outcome, nowMs);
      held[lease!.upstream]!--;
    }
  }
  return { moves, held };
}
