import type { BalancerMemory } from "../memory/balancer-memory.ts";
import { tickAt } from "../memory/ticks.ts";
import type { Admission, Breaker, Verdict } from "./breaker.ts";
import type { Outcome } from "./outcome.ts";

/** What the breaker makes of an outcome. */
const VERDICTS: { readonly [kind in Outcome["kind"]]: Verdict } = {
  success: "success",
  answered: "success",
  limited: "neutral",
  failure: "failure",
  abandoned: "neutral",
};

/** An upstream as a member of one group, seen from one worker. */
export class Member {
  readonly upstream: number;
  readonly weight: number;
  readonly breaker: Breaker | null;
  readonly #inFlightMax: number | null;
  readonly #memory: BalancerMemory;
  readonly #worker: number;
  readonly #callEnded: (result: "success" | "failure") => void;

  /** `inFlightMax`: null = no limit. `callEnded` is called for each call that counts for the breaker. */
  constructor(
    memory: BalancerMemory,
    worker: number,
    upstream: number,
    weight: number,
    breaker: Breaker | null,
    inFlightMax: number | null,
    callEnded: (result: "success" | "failure") => void,
  ) {
    this.#memory = memory;
    this.#worker = worker;
    this.upstream = upstream;
    this.weight = weight;
    this.breaker = breaker;
    this.#inFlightMax = inFlightMax;
    this.#callEnded = callEnded;
  }

  /** True when it has as many requests in flight as it may have. */
  get full(): boolean {
    return this.#inFlightMax !== null && this.#memory.inFlight.read(this.upstream) >= this.#inFlightMax;
  }

  /** True when there was room for a request that was taken with so many in flight before it. */
  hadRoom(inFlightBefore: number): boolean {
    return this.#inFlightMax === null || inFlightBefore < this.#inFlightMax;
  }

  /** Takes in how a request ended that was in flight here. Once per request. */
  settle(admission: Admission | null, review: boolean, outcome: Outcome, nowMs: number): void {
    this.#memory.inFlight.giveBack(this.#worker, this.upstream);
    this.#average(outcome, review, nowMs);
    if (this.breaker === null || admission === null) return;
    const verdict = VERDICTS[outcome.kind];
    if (verdict !== "neutral") this.#callEnded(verdict);
    this.breaker.settle(admission, verdict, nowMs);
  }

  #average(outcome: Outcome, review: boolean, nowMs: number): void {
    if (outcome.kind === "answered" || outcome.kind === "abandoned") return;
    const { responseMs, successRate, sampledTick } = this.#memory;
    const success = outcome.kind === "success";
    if (success && review) successRate.restart(this.upstream, 1);
    // The rate begins at 1, so that one failure at the start does not bar an upstream.
    else successRate.sample(this.upstream, success ? 1 : 0, 1);
    if (success && outcome.responseMs !== null) {
      if (review) responseMs.restart(this.upstream, outcome.responseMs);
      else responseMs.sample(this.upstream, outcome.responseMs);
    }
    sampledTick.write(this.upstream, tickAt(nowMs));
  }
}
