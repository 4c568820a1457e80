import { Balancer } from "../balancer/balancer.ts";
import { byId } from "../config/plan.ts";
import type { BodyBytes } from "../http/exchange.ts";
import { ForwardLimits } from "../limits/forward-limits.ts";
import type { SocketBudget } from "../limits/socket-budget.ts";
import { RateLimitTable } from "../memory/rate-limit-table.ts";
import type { SharedMemory } from "../memory/shared-memory.ts";
import { AccessLog } from "../observe/access-log.ts";
import type { LineBatcher } from "../observe/line-batcher.ts";
import type { Recorder } from "../observe/recorder.ts";
import { ProxyEvents } from "./events.ts";
import type { Generation } from "./generation.ts";
import { ProxyMetrics } from "./metrics.ts";
import type { Route } from "./route.ts";
import type { Transports } from "./transport/transports.ts";
import type { BoundedModels } from "./upstream-metrics.ts";

/** What a worker has whatever the configuration is. */
export interface WorkerParts {
  readonly memory: SharedMemory;
  /** Number of the worker. */
  readonly worker: number;
  readonly recorder: Recorder;
  readonly models: BoundedModels;
  readonly transports: Transports;
  readonly sockets: SocketBudget;
  readonly bodyBytes: BodyBytes;
  readonly accessLines: LineBatcher;
}

/** All that a worker has made of one configuration. Requests finish on the routes that they started with. */
export class Routes {
  readonly generation: Generation;
  readonly metrics: ProxyMetrics;
  readonly routes: readonly Route[];

  constructor(generation: Generation, parts: WorkerParts) {
    const { plan } = generation;
    this.generation = generation;
    this.metrics = new ProxyMetrics(parts.recorder, plan, parts.models);
    this.routes = makeRoutes(generation, this.metrics, parts);
  }

  /** Requests of which not all is known yet. */
  get unfinished(): number {
    return this.metrics.unfinished;
  }
}

function makeRoutes(
  { plan, rateLimits }: Generation,
  metrics: ProxyMetrics,
  { memory, worker, transports, sockets, accessLines }: WorkerParts,
): Route[] {
  const events = new ProxyEvents(plan, metrics, memory.balancer.rests);
  const balancer = new Balancer(memory.balancer, plan, worker, Math.random, events);
  const groups = byId(plan.groups);
  const upstreams = byId(plan.upstreams);
  const accessLog =
    plan.accessLog === null ? null : new AccessLog(accessLines, plan.accessLog.format, plan.accessLog.query);
  return plan.forwards.map((forward) => {
    const group = groups[forward.group]!;
    const rateLimit = rateLimits.get(forward.id);
    const table = rateLimit === undefined ? null : RateLimitTable.over(rateLimit);
    return {
      forward,
      limits: new ForwardLimits(forward, memory.limits, table, worker, sockets),
      group,
      upstreams,
      transport: transports.of(group),
      balancer,
      retryBudget: memory.balancer.retries,
      metrics,
      events,
      accessLog,
    };
  });
}
