import { Balancer } from "../../src/balancer/balancer.ts";
import type { Lease } from "../../src/balancer/lease.ts";
import { Trail } from "../../src/balancer/trail.ts";
import type { Strategy } from "../../src/config/plan.ts";
import { makeMemory, seededRandom, sketchPlan } from "../../test/balancer/setup.ts";
import { EventQueue } from "./event-queue.ts";
import type { Behaviour, Scenario } from "./scenarios.ts";

/** Clients that send their next request as soon as the last one is over. */
const CLIENTS = 24;
/** Requests that an upstream works on at a time; the rest wait in order. */
const SLOTS = 8;
/** A request that takes longer fails, whatever became of its attempts. */
const TIMEOUT_MS = 30_000;

export interface Result {
  readonly answersPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  /** Part of all attempts that each upstream got, 0-1. */
  readonly shares: readonly number[];
}

/** An upstream with its waiting line. */
class Upstream {
  attempts = 0;
  readonly #behaviour: Behaviour;
  readonly #events: EventQueue;
  readonly #random: () => number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(behaviour: Behaviour, events: EventQueue, random: () => number) {
    this.#behaviour = behaviour;
    this.#events = events;
    this.#random = random;
  }

  /** Calls `ended` when the answer or the error is there; never when it hangs. */
  send(ended: (ok: boolean) => void): void {
    this.attempts++;
    const service = this.#behaviour(this.#events.nowMs, this.#random);
    if (service.result === "hang") return;
    // A refusal waits for nobody.
    if (service.result === "error") return this.#events.after(service.ms, () => ended(false));
    const work = () => {
      this.#busy++;
      this.#events.after(service.ms, () => {
        this.#busy--;
        this.#waiting.shift()?.();
        ended(true);
      });
    };
    if (this.#busy < SLOTS) work();
    else this.#waiting.push(work);
  }
}

/**
 * Runs clients against the upstreams of a scenario through a balancer, in virtual time and without breakers, so that the policy
 * alone decides. A request that got an error goes on to the next upstream that it has not tried; one that
 * is timed out fails. The same seed gives the same result.
 */
export function simulate(scenario: Scenario, strategy: Strategy, seed: number): Result {
  const random = seededRandom(seed);
  const events = new EventQueue();
  const upstreams = scenario.upstreams.map((behaviour) => new Upstream(behaviour, events, random));
  const members = scenario.weights.map((weight, upstream) => ({ upstream, weight }));
  const plan = sketchPlan(
    upstreams.map(() => null),
    [{ strategy, members }],
  );
  const balancer = new Balancer(makeMemory(plan), plan, 0, random);
  const latencies: number[] = [];
  let errors = 0;

  const request = () => {
    const startMs = events.nowMs;
    const trail = new Trail();
    let over = false;
    let lease: Lease | null = null;
    const finish = (ok: boolean) => {
      over = true;
      latencies.push(events.nowMs - startMs);
      if (!ok) errors++;
      request();
    };
    const attempt = () => {
      const acquired = balancer.acquire(0, trail, events.nowMs, TIMEOUT_MS);
      if (acquired.kind !== "lease") return finish(false);
      lease = acquired;
      const sentMs = events.nowMs;
      upstreams[acquired.upstream]!.send((ok) => {
        const responseMs = events.nowMs - sentMs;
        acquired.release(
          ok ? { kind: "success", responseMs } : { kind: "failure", error: "503" },
          events.nowMs,
        );
        if (over) return;
        if (ok) finish(true);
        else attempt();
      });
    };
    events.after(TIMEOUT_MS, () => {
      if (over) return;
      lease?.release({ kind: "failure", error: "timeout" }, events.nowMs);
      finish(false);
    });
    attempt();
  };
  for (let client = 0; client < CLIENTS; client++) events.after(client, request);
  events.runUntil(scenario.durationMs);

  latencies.sort((a, b) => a - b);
  const attempts = upstreams.reduce((sum, upstream) => sum + upstream.attempts, 0);
  return {
    answersPerSecond: ((latencies.length - errors) * 1000) / scenario.durationMs,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    errors,
    shares: upstreams.map((upstream) => upstream.attempts / attempts),
  };
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)] ?? 0;
}
