import { REST_MS_MAX, type RestCause } from "../balancer/balancer.ts";
import type { BalancerEvents, BreakerCall, BreakerState } from "../balancer/events.ts";
import { byId, type GroupPlan, type Plan, type UpstreamPlan } from "../config/plan.ts";
import { deadlineMs, type Deadlines } from "../memory/deadline.ts";
import { log } from "../observe/log.ts";
import type { ProxyMetrics } from "./metrics.ts";

/** What the balancer of one worker tells: counted, and where an operator should know of it, logged. */
export class ProxyEvents implements BalancerEvents {
  /** Code of the attempt that is being settled right now, which is why a breaker moves. */
  settling: string | null = null;
  private readonly upstreams: readonly UpstreamPlan[];
  private readonly groups: readonly GroupPlan[];
  private readonly metrics: ProxyMetrics;
  private readonly rests: Deadlines;
  private rejected: string[] | null = null;

  constructor(plan: Plan, metrics: ProxyMetrics, rests: Deadlines) {
    this.upstreams = byId(plan.upstreams);
    this.groups = byId(plan.groups);
    this.metrics = metrics;
    this.rests = rests;
  }

  breakerCall(group: number, upstream: number, result: BreakerCall): void {
    this.metrics.breakerCall(group, upstream, result);
    if (result === "rejected") (this.rejected ??= []).push(this.upstreams[upstream]!.name);
  }

  breakerMoved(group: number, upstream: number, from: BreakerState, to: BreakerState): void {
    this.metrics.breakerMoved(group, upstream, from, to);
    const { name, breaker } = this.upstreams[upstream]!;
    const where = { upstream: name, group: this.groups[group]!.name };
    if (to === "open") {
      const reason = from === "half_open" ? "the probe failed" : "the failure rate reached its threshold";
      log("warn", "circuit breaker opened", {
        ...where,
        reason,
        last_error: this.settling,
        cooldown_s: (breaker?.cooldownMs ?? 0) / 1000,
      });
    } else if (to === "half_open") {
      log("info", "circuit breaker is half-open", { ...where, reason: "the cool-down is over" });
    } else {
      log("info", "circuit breaker closed", { ...where, reason: "the probe succeeded" });
    }
  }

  /** Gives, once, the names of the upstreams that were passed by since the last call; null = none. */
  takeRejected(): string[] | null {
    const rejected = this.rejected;
    this.rejected = null;
    return rejected;
  }

  /** An upstream asks to be left alone. Called before the balancer takes note of it: only its beginning is logged. */
  rested(group: number, upstream: number, untilMs: number, nowMs: number, cause: RestCause): void {
    this.metrics.group(group).pair(upstream).rested(cause);
    if (untilMs <= nowMs || deadlineMs(this.rests.read(upstream)) > nowMs) return;
    log("warn", "upstream rests", {
      upstream: this.upstreams[upstream]!.name,
      group: this.groups[group]!.name,
      reason: cause === "limited" ? "status 429 with a time to wait" : "overloaded, with a time to wait",
      for_s: Math.round(Math.min(untilMs - nowMs, REST_MS_MAX)) / 1000,
    });
  }
}
