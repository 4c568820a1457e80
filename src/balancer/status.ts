import type { BreakerPlan } from "../config/plan.ts";
import type { BalancerMemory } from "../memory/balancer-memory.ts";
import { deadlineMark, deadlineMs } from "../memory/deadline.ts";
import { stateOf, tickOf } from "../memory/state-word.ts";
import { msOf } from "../memory/ticks.ts";
import { breakerState, refusedUntilMs } from "./breaker.ts";
import type { BreakerState } from "./events.ts";

/** One upstream as the balancers of all threads see it at one moment. */
export interface UpstreamStatus {
  /** True when a request could be sent to it now. */
  readonly available: boolean;
  /** Null without a breaker. */
  readonly breaker: BreakerStatus | null;
  /** Until when it asked to be left alone; null when it did not. */
  readonly restingUntilMs: number | null;
  readonly restCause: "limited" | "unavailable" | null;
  readonly inFlight: number;
  /** Moving averages; null without a sample. */
  readonly responseMs: number | null;
  readonly successRate: number | null;
}

export interface BreakerStatus {
  /** As the last call left it: an open breaker becomes half-open with the first call after its cool-down. */
  readonly state: BreakerState;
  /** End of the cool-down while it is open, else null. */
  readonly openUntilMs: number | null;
  /** Transitions since the start. */
  readonly opened: number;
  readonly halfOpened: number;
  readonly closed: number;
}

/** Reads the status of an upstream without changing anything. Moments are those of `nowMs()`. */
export function upstreamStatus(
  memory: BalancerMemory,
  upstream: {
    readonly id: number;
    readonly breaker: BreakerPlan | null;
    readonly inFlightMax?: number | null;
  },
  nowMs: number,
): UpstreamStatus {
  const { id, breaker, inFlightMax = null } = upstream;
  const rest = memory.rests.read(id);
  const resting = deadlineMs(rest) > nowMs;
  const refused = breaker !== null && refusedUntilMs(memory, id, breaker, nowMs) !== null;
  const full = inFlightMax !== null && memory.inFlight.read(id) >= inFlightMax;
  return {
    available: !resting && !refused && !full,
    breaker: breaker === null ? null : breakerStatus(memory, id),
    restingUntilMs: resting ? deadlineMs(rest) : null,
    restCause: resting ? (deadlineMark(rest) === 1 ? "limited" : "unavailable") : null,
    inFlight: memory.inFlight.read(id),
    responseMs: memory.responseMs.read(id),
    successRate: memory.successRate.read(id),
  };
}

function breakerStatus(memory: BalancerMemory, upstream: number): BreakerStatus {
  const state = breakerState(memory, upstream);
  const word = memory.breakers.read(upstream);
  return {
    state,
    openUntilMs: state === "open" && stateOf(word) !== 0 ? msOf(tickOf(word)) : null,
    opened: memory.opened.read(upstream),
    halfOpened: memory.halfOpened.read(upstream),
    closed: memory.closed.read(upstream),
  };
}
