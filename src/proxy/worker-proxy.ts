import { Balancer } from "../balancer/balancer.ts";
import type { Plan } from "../config/plan.ts";
import type { HttpServer } from "../http/exchange.ts";
import { BodyBudget } from "../limits/body-budget.ts";
import { ForwardLimits } from "../limits/forward-limits.ts";
import { SocketBudget } from "../limits/socket-budget.ts";
import type { SharedMemory } from "../memory/shared-memory.ts";
import { accessLine } from "../observe/access-log.ts";
import type { Recorder } from "../observe/recorder.ts";
import { ProxyEvents } from "./events.ts";
import { handle } from "./handler.ts";
import { openListener } from "./listener.ts";
import { ProxyMetrics } from "./metrics.ts";
import { refuse } from "./refusal.ts";
import type { Route } from "./route.ts";
import { openTransport } from "./transport/choose.ts";

const VERDICT_WAIT_MS = 10;

/** A forward's address cannot be bound. */
export interface CannotListen {
  readonly forward: number;
  /** As the system names it: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`. */
  readonly code: string;
}

/** All that one worker thread does for clients: its listeners, and where their requests go. */
export class WorkerProxy {
  private readonly servers: HttpServer[] = [];
  private readonly routes: readonly Route[];
  private readonly metrics: ProxyMetrics;
  private readonly bodyBytes: BodyBudget;

  /** `writeAccessLine` takes whole lines, with their ends. */
  constructor(
    plan: Plan,
    memory: SharedMemory,
    worker: number,
    recorder: Recorder,
    writeAccessLine: (line: string) => void,
  ) {
    this.metrics = new ProxyMetrics(recorder, plan);
    this.bodyBytes = new BodyBudget(memory.limits.buffered, worker);
    this.routes = makeRoutes(plan, memory, worker, this.metrics, writeAccessLine);
  }

  /** Opens a listener for each forward. Gives the port of each, by id, or the first that failed. */
  open(ports: readonly number[]): readonly number[] | CannotListen {
    for (const route of this.routes) {
      const { forward } = route;
      try {
        const server = openListener(
          forward,
          ports[forward.id] ?? forward.port,
          route.limits.connections,
          this.bodyBytes,
          (exchange) => void handle(exchange, route),
          (exchange, status, message) => refuse(exchange, route, status, message),
        );
        this.servers.push(server);
      } catch (error) {
        for (const server of this.servers) server.close();
        return { forward: forward.id, code: String((error as { code?: unknown }).code ?? "unknown") };
      }
    }
    return this.servers.map((server) => server.port);
  }

  /** Closes connections that wait, as other workers have asked for. To be called now and then. */
  closeAsked(): void {
    for (const { limits } of this.routes) limits.connections.closeAsked();
  }

  /** Accepts nothing more; settles when the last request in progress is answered. */
  async drain(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    // The verdict on a compressed answer can come after its last byte.
    while (this.metrics.unfinished > 0) await Bun.sleep(VERDICT_WAIT_MS);
  }
}

function makeRoutes(
  plan: Plan,
  memory: SharedMemory,
  worker: number,
  metrics: ProxyMetrics,
  writeAccessLine: (line: string) => void,
): Route[] {
  const events = new ProxyEvents(plan, metrics, memory.balancer.rests);
  const balancer = new Balancer(memory.balancer, plan, worker, Math.random, events);
  const { accessLog } = plan;
  const sockets = new SocketBudget(memory.limits, worker);
  const transports = plan.groups.map((group) => openTransport(group.client, sockets));
  return plan.forwards.map((forward) => ({
    forward,
    limits: new ForwardLimits(forward, memory.limits, worker, sockets),
    group: plan.groups[forward.group]!,
    upstreams: plan.upstreams,
    transport: transports[forward.group]!,
    balancer,
    retryBudget: memory.balancer.retries,
    metrics,
    events,
    accessLog:
      accessLog === null
        ? null
        : (record) => writeAccessLine(accessLine(record, accessLog.format, accessLog.query)),
  }));
}
