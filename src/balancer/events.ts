export type BreakerState = "closed" | "open" | "half_open";

/** `success` and `failure` when a call ended, `rejected` once for a request that passed the upstream by. */
export type BreakerCall = "success" | "failure" | "rejected";

/**
 * What a balancer tells whoever counts, from within the thread where it happens. Each transition is told once in
 * all threads together, with the group whose request caused it.
 */
export interface BalancerEvents {
  /** Only for upstreams that have a breaker. */
  breakerCall(group: number, upstream: number, result: BreakerCall): void;
  breakerMoved(group: number, upstream: number, from: BreakerState, to: BreakerState): void;
}

export const NO_EVENTS: BalancerEvents = {
  breakerCall() {},
  breakerMoved() {},
};
