import type { BreakerPlan } from "../config/plan.ts";
import type { BalancerMemory } from "../memory/balancer-memory.ts";
import type { ProbeClaim } from "../memory/probes.ts";
import { stateOf, tickOf } from "../memory/state-word.ts";
import { msOf, tickAt, tickFrom } from "../memory/ticks.ts";
import { assert } from "../shared/assert.ts";
import type { BreakerState } from "./events.ts";

/** As they stand in the state word. Fresh memory is closed. */
const CLOSED = 0;
const OPEN = 1;
const HALF_OPEN = 2;

const NAMES: readonly BreakerState[] = ["closed", "open", "half_open"];

/** A call that the breaker let pass. `word` is the visit to a state that it belongs to. */
export interface Admission {
  readonly word: number;
  readonly probe: ProbeClaim | null;
}

/** What a call that ended says about the upstream. */
export type Verdict = "success" | "failure" | "neutral";

/**
 * Circuit breaker of one upstream; its state lives in shared memory, for all threads and groups.
 *
 * - Closed: calls pass. With at least `minRequests` in the window and a failure rate of `threshold` it opens.
 * - Open: calls are refused until the cool-down is over; the first call after that makes it half-open.
 * - Half-open: `halfOpenRequests` probes at a time. A success closes it and clears the window, a failure
 *   opens it for another cool-down. A probe holds its slot no longer than its lease.
 *
 * The state word holds a tick beside the state: when it was closed, until when it is open, when it became half-open.
 * A cool-down lies between two visits to the same state, so no two visits have the same word. A call remembers
 * the word that it was let in under, and what it says counts only while that word stands: a
 * call from before neither opens nor closes a later state.
 */
export class Breaker {
  readonly #memory: BalancerMemory;
  readonly #worker: number;
  readonly #upstream: number;
  readonly #plan: BreakerPlan;
  readonly #moved: (from: BreakerState, to: BreakerState) => void;

  /** `moved` is called for each transition that this object makes. */
  constructor(
    memory: BalancerMemory,
    worker: number,
    upstream: number,
    plan: BreakerPlan,
    moved: (from: BreakerState, to: BreakerState) => void,
  ) {
    assert(plan.cooldownMs >= 1000, "a cool-down tells two visits to a state apart");
    this.#memory = memory;
    this.#worker = worker;
    this.#upstream = upstream;
    this.#plan = plan;
    this.#moved = moved;
  }

  /** See `refusedUntilMs` below. */
  refusedUntilMs(nowMs: number): number | null {
    return refusedUntilMs(this.#memory, this.#upstream, this.#plan, nowMs);
  }

  /** Lets a call pass, or gives null. A probe must be settled within `leaseMs`, or its slot goes to another one. */
  admit(nowMs: number, leaseMs: number): Admission | null {
    const { breakers, probes } = this.#memory;
    // Each further turn means that another thread has moved the word: there is progress.
    for (;;) {
      const word = breakers.read(this.#upstream);
      const state = stateOf(word);
      if (state === CLOSED) return { word, probe: null };
      if (state === OPEN) {
        if (tickOf(word) > tickAt(nowMs)) return null;
        this.#move(word, HALF_OPEN, Math.max(tickAt(nowMs), tickOf(word)));
        continue;
      }
      const limit = this.#plan.halfOpenRequests;
      const probe = probes.claim(this.#worker, this.#upstream, limit, nowMs, leaseMs);
      if (probe === null) return null;
      if (breakers.read(this.#upstream) === word) return { word, probe };
      probes.giveBack(this.#worker, probe);
    }
  }

  /** Takes in how an admitted call ended. Once per admission. */
  settle(admission: Admission, verdict: Verdict, nowMs: number): void {
    const { word, probe } = admission;
    if (probe === null) {
      if (verdict !== "neutral") this.#count(word, verdict, nowMs);
      return;
    }
    // The slot is given back last, so that its successor finds the state that this probe has led to.
    if (verdict !== "neutral" && this.#memory.probes.holds(probe)) {
      if (verdict === "success") this.#close(word, nowMs);
      else this.#open(word, nowMs);
    }
    this.#memory.probes.giveBack(this.#worker, probe);
  }

  #count(word: number, verdict: Verdict, nowMs: number): void {
    const { breakers, breakerCalls } = this.#memory;
    const { windowMs, minRequests, threshold } = this.#plan;
    if (breakers.read(this.#upstream) !== word) return;
    breakerCalls.add(this.#upstream, nowMs, windowMs, 1, verdict === "failure" ? 1 : 0);
    if (!breakerCalls.mayHaveFailures(this.#upstream)) return;
    const { calls, failures } = breakerCalls.sum(this.#upstream, nowMs, windowMs);
    // The quotient, as threshold x calls can round to just above the failures.
    if (calls >= minRequests && failures / calls >= threshold) this.#open(word, nowMs);
  }

  #open(word: number, nowMs: number): void {
    this.#move(word, OPEN, tickFrom(nowMs + this.#plan.cooldownMs));
  }

  #close(word: number, nowMs: number): void {
    // Cleared before it closes, when nobody counts yet, so that no count of the new state is lost.
    if (this.#memory.breakers.read(this.#upstream) === word) {
      this.#memory.breakerCalls.clear(this.#upstream);
      this.#move(word, CLOSED, tickAt(nowMs));
    }
  }

  #move(word: number, state: number, tick: number): void {
    const memory = this.#memory;
    if (!memory.breakers.move(this.#upstream, word, state, tick)) return;
    const counters = [memory.closed, memory.opened, memory.halfOpened];
    counters[state]!.next(this.#upstream);
    this.#moved(NAMES[stateOf(word)]!, NAMES[state]!);
  }
}

/**
 * Until when the breaker refuses calls: null when it does not, `nowMs` when all probes are under way, as each of them
 * may end at any moment. A question without side effects: an open breaker whose cool-down is over does not refuse.
 */
export function refusedUntilMs(
  memory: BalancerMemory,
  upstream: number,
  plan: BreakerPlan,
  nowMs: number,
): number | null {
  const word = memory.breakers.peek(upstream);
  const state = stateOf(word);
  if (state === CLOSED) return null;
  if (state === OPEN && tickOf(word) > tickAt(nowMs)) return msOf(tickOf(word));
  return memory.probes.free(upstream, plan.halfOpenRequests, nowMs) ? null : nowMs;
}

/** The state as it was left by the last call; an open breaker stays open until a call comes after the cool-down. */
export function breakerState(memory: BalancerMemory, upstream: number): BreakerState {
  return NAMES[stateOf(memory.breakers.read(upstream))]!;
}
