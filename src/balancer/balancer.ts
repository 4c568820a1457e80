import type { GroupPlan, Plan, UpstreamPlan } from "../config/plan.ts";
import type { BalancerMemory } from "../memory/balancer-memory.ts";
import { assert } from "../shared/assert.ts";
import { Breaker } from "./breaker.ts";
import { NO_EVENTS } from "./events.ts";
import type { BalancerEvents } from "./events.ts";
import { GroupState } from "./group-state.ts";
import { Group } from "./group.ts";
import type { Outlook, Unavailable } from "./group.ts";
import type { Lease } from "./lease.ts";
import { Member } from "./member.ts";
import { Failover } from "./policies/failover.ts";
import type { Policy } from "./policies/policy.ts";
import { Random } from "./policies/random.ts";
import { ResponseAware } from "./policies/response-aware.ts";
import { RoundRobin } from "./policies/round-robin.ts";
import { WeightedRoundRobin } from "./policies/weighted-round-robin.ts";
import type { Trail } from "./trail.ts";

/** An upstream is left alone for at most this long, whatever it asks for. */
export const REST_MS_MAX = 600_000;

/** Mark of a rest in shared memory: 1 for rate limiting. */
export type RestCause = "limited" | "unavailable";

/** Decides where requests go, and learns how they ended. One per worker and plan; all it knows is shared memory. */
export class Balancer {
  readonly #memory: BalancerMemory;
  readonly #worker: number;
  readonly #random: () => number;
  readonly #events: BalancerEvents;
  readonly #groups: Group[] = [];

  /** `worker` is the number of this thread, below the capacity's `workers`, used by no other thread alive. */
  constructor(
    memory: BalancerMemory,
    plan: Plan,
    worker: number,
    random: () => number = Math.random,
    events: BalancerEvents = NO_EVENTS,
  ) {
    this.#memory = memory;
    this.#worker = worker;
    this.#random = random;
    this.#events = events;
    const upstreams = new Map(plan.upstreams.map((upstream) => [upstream.id, upstream]));
    for (const group of plan.groups) this.#groups[group.id] = this.#makeGroup(group, upstreams);
  }

  /**
   * Chooses an upstream of the group for a request, and notes it in the request's trail. The lease must be released.
   * `leaseMs` bounds how long the request may be the probe of a half-open breaker.
   */
  acquire(group: number, trail: Trail, nowMs: number, leaseMs: number): Lease | Unavailable {
    return this.#group(group).acquire(trail, nowMs, leaseMs);
  }

  /** What the group still offers to a request whose last attempt was on this upstream. */
  outlook(group: number, trail: Trail, lastUpstream: number, nowMs: number): Outlook {
    return this.#group(group).outlook(trail, lastUpstream, nowMs);
  }

  /** The upstream asked to be left alone until then. The latest of such wishes counts; at most 10 minutes from now. */
  rest(upstream: number, untilMs: number, nowMs: number, cause: RestCause): void {
    const boundedMs = Math.min(untilMs, nowMs + REST_MS_MAX);
    if (boundedMs > nowMs) this.#memory.rests.extend(upstream, boundedMs, cause === "limited" ? 1 : 0);
  }

  #group(id: number): Group {
    const group = this.#groups[id];
    assert(group !== undefined, `no group ${id}`);
    return group;
  }

  #makeGroup(plan: GroupPlan, upstreams: ReadonlyMap<number, UpstreamPlan>): Group {
    const members = plan.members.map((member) => {
      const upstream = upstreams.get(member.upstream);
      assert(upstream !== undefined, `no upstream ${member.upstream}`);
      return this.#makeMember(plan.id, upstream, member.weight);
    });
    const state = new GroupState(this.#memory, this.#worker, plan.id, members);
    const policy = this.#makePolicy(plan, state);
    return new Group(members, this.#memory, state, policy, (upstream) =>
      this.#events.breakerCall(plan.id, upstream, "rejected"),
    );
  }

  #makeMember(group: number, upstream: UpstreamPlan, weight: number): Member {
    const events = this.#events;
    const breaker =
      upstream.breaker === null
        ? null
        : new Breaker(this.#memory, this.#worker, upstream.id, upstream.breaker, (from, to) =>
            events.breakerMoved(group, upstream.id, from, to),
          );
    return new Member(
      this.#memory,
      this.#worker,
      upstream.id,
      weight,
      breaker,
      upstream.inFlightMax,
      (result) => events.breakerCall(group, upstream.id, result),
    );
  }

  #makePolicy(plan: GroupPlan, state: GroupState): Policy {
    switch (plan.strategy) {
      case "roundrobin":
        return new RoundRobin(state, state, plan.members.length);
      case "weighted_roundrobin":
        return new WeightedRoundRobin(
          state,
          state,
          plan.members.map((member) => member.weight),
        );
      case "random":
        return new Random(state, this.#random);
      case "failover":
        return new Failover(state);
      case "response_aware":
        return new ResponseAware(state, plan.members.length);
    }
  }
}
