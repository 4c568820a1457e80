import { Balancer } from "../../src/balancer/balancer.ts";
import type { BalancerEvents } from "../../src/balancer/events.ts";
import type { Unavailable } from "../../src/balancer/group.ts";
import type { Lease } from "../../src/balancer/lease.ts";
import type { Outcome } from "../../src/balancer/outcome.ts";
import { upstreamStatus } from "../../src/balancer/status.ts";
import { Trail } from "../../src/balancer/trail.ts";
import type { Plan } from "../../src/config/plan.ts";
import { BREAKER, makeMemory, sketchPlan } from "./setup.ts";
import type { GroupSketch } from "./setup.ts";

export const SUCCESS: Outcome = { kind: "success", responseMs: 100 };
export const FAILURE: Outcome = { kind: "failure", error: "connection_lost" };
export const LIMITED: Outcome = { kind: "limited", error: "http_429" };

/** A balancer over upstreams that have a breaker or not, and a clock to turn by hand. */
export class Bench {
  readonly plan: Plan;
  readonly memory;
  readonly balancer: Balancer;
  readonly seen: string[] = [];
  nowMs = 0;

  constructor(breakers: readonly boolean[], ...groups: readonly GroupSketch[]) {
    this.plan = sketchPlan(
      breakers.map((has) => (has ? BREAKER : null)),
      groups,
    );
    this.memory = makeMemory(this.plan, 2);
    const events: BalancerEvents = {
      breakerCall: (group, upstream, result) => this.seen.push(`${group}/${upstream} ${result}`),
      breakerMoved: (group, upstream, from, to) => this.seen.push(`${group}/${upstream} ${from}>${to}`),
    };
    this.balancer = new Balancer(this.memory, this.plan, 0, () => 0.5, events);
  }

  acquire(trail = new Trail(), group = 0): Lease | Unavailable {
    return this.balancer.acquire(group, trail, this.nowMs, 60_000);
  }

  lease(trail = new Trail(), group = 0): Lease {
    const acquired = this.acquire(trail, group);
    if (acquired.kind !== "lease") throw new Error(`unavailable: ${acquired.reason}`);
    return acquired;
  }

  unavailable(trail = new Trail(), group = 0): Unavailable {
    const acquired = this.acquire(trail, group);
    if (acquired.kind === "lease") throw new Error(`got ${acquired.upstream}`);
    return acquired;
  }

  /** A trail of a request that has tried these upstreams. */
  static trail(...tried: readonly number[]): Trail {
    const trail = new Trail();
    for (const upstream of tried) trail.try(upstream);
    return trail;
  }

  /** Fails until the upstream's breaker is open. */
  breakUpstream(upstream: number, group = 0): void {
    for (let i = 0; i < 5; i++) {
      const trail = new Trail();
      for (const other of this.plan.upstreams) if (other.id !== upstream) trail.try(other.id);
      this.lease(trail, group).release(FAILURE, this.nowMs);
    }
  }

  status(upstream: number) {
    return upstreamStatus(this.memory, this.plan.upstreams[upstream]!, this.nowMs);
  }
}
