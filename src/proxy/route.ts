import type { Balancer } from "../balancer/balancer.ts";
import type { ForwardPlan, GroupPlan, UpstreamPlan } from "../config/plan.ts";
import type { ForwardLimits } from "../limits/forward-limits.ts";
import type { RetryBudget } from "../memory/retry-budget.ts";
import type { AccessLog } from "../observe/access-log.ts";
import type { ProxyEvents } from "./events.ts";
import type { ProxyMetrics } from "./metrics.ts";
import type { Transport } from "./transport/transport.ts";

/** Where the requests of one forward go, and all that it takes: made once per plan, shared by its requests. */
export interface Route {
  readonly forward: ForwardPlan;
  readonly limits: ForwardLimits;
  readonly group: GroupPlan;
  /** By id. */
  readonly upstreams: readonly UpstreamPlan[];
  readonly transport: Transport;
  readonly balancer: Balancer;
  readonly retryBudget: RetryBudget;
  readonly metrics: ProxyMetrics;
  readonly events: ProxyEvents;
  /** Null = there is no access log. */
  readonly accessLog: AccessLog | null;
}
