import { limitSamples, upstreamSamples } from "../admin/balancer-samples.ts";
import { readiness } from "../admin/readiness.ts";
import { serveAdmin } from "../admin/server.ts";
import { type AccessLogPlan, type AdminPlan, byId, type Plan } from "../config/plan.ts";
import { log } from "../observe/log.ts";
import { processSamples } from "../observe/process-samples.ts";
import { nowMs } from "../shared/clock.ts";
import { type AccessOutput, closeAccess, type Logs } from "./logs.ts";
import { StartError } from "./start-error.ts";
import type { Supervisor } from "./supervisor.ts";

type AdminServer = ReturnType<typeof serveAdmin>;

/** All that this process serves: the workers' listeners, the admin listener, the access log. */
export class Service {
  readonly supervisor: Supervisor;
  private readonly logs: Logs;
  private admin: AdminServer | null = null;

  constructor(supervisor: Supervisor, logs: Logs) {
    this.supervisor = supervisor;
    this.logs = logs;
    const { board, memory } = supervisor;
    board.addSource((add) => upstreamSamples(supervisor.plan, memory, nowMs(), add));
    board.addSource((add) => limitSamples(supervisor.generation, memory, nowMs(), add));
    board.addSource(processSamples);
    board.addSource(logs.samples);
  }

  get adminPort(): number {
    return this.admin?.port ?? this.supervisor.plan.admin.port;
  }

  /** Opens everything. Throws a `StartError`. */
  async start(): Promise<void> {
    const { admin, accessLog } = this.supervisor.plan;
    const access = this.openAccess(accessLog);
    if (access !== null) this.logs.useAccess(access);
    await this.supervisor.start();
    this.admin = this.openAdmin(admin);
  }

  /** Serves by another plan, with so many workers, or goes on as it is: then it throws a `StartError`. */
  async change(plan: Plan, workers: number): Promise<void> {
    const before = this.supervisor.plan;
    const access = this.openAccess(plan.accessLog);
    let admin: AdminServer | null = null;
    try {
      if (JSON.stringify(plan.admin) !== JSON.stringify(before.admin)) admin = this.openAdmin(plan.admin);
      await this.supervisor.change(plan, workers);
    } catch (error) {
      void admin?.stop(true);
      if (access !== null && !this.logs.uses(access)) void closeAccess(access);
      throw error;
    }
    if (access !== null) this.logs.useAccess(access);
    if (admin === null) return;
    void this.admin?.stop();
    this.admin = admin;
  }

  /** Logs what listens where. */
  announce(): void {
    const { plan, ports } = this.supervisor;
    const groups = byId(plan.groups);
    for (const forward of plan.forwards) {
      const { name, strategy, members } = groups[forward.group]!;
      const listener = { forward: forward.name, address: forward.address, port: ports[forward.id]! };
      log("info", "listening", { ...listener, group: name, strategy, upstreams: members.length });
    }
    log("info", "listening", { admin: true, address: plan.admin.address, port: this.adminPort });
  }

  private openAccess(plan: AccessLogPlan | null): AccessOutput | null {
    try {
      return plan === null ? null : this.logs.openAccess(plan);
    } catch (error) {
      throw new StartError(`the access log ${plan?.path} cannot be opened: ${codeOf(error)}`);
    }
  }

  private openAdmin(plan: AdminPlan): AdminServer {
    const { supervisor } = this;
    try {
      return serveAdmin(plan, {
        isServing: () => !supervisor.draining,
        readiness: () => {
          const { draining, serving } = supervisor.state();
          const { balancer } = supervisor.memory;
          return readiness(supervisor.plan, balancer, nowMs(), { draining, workers: serving.length });
        },
        metrics: () => supervisor.board.render(),
      });
    } catch (error) {
      throw StartError.cannotBind("admin", plan.address, plan.port, codeOf(error));
    }
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? "unknown");
}
