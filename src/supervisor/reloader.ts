import type { LoadResult } from "../config/load.ts";
import type { Plan } from "../config/plan.ts";
import { formatProblem } from "../config/problem.ts";
import { log, logError } from "../observe/log.ts";
import { planDifference } from "./plan-difference.ts";
import type { ServiceManager } from "./sd-notify.ts";
import type { Service } from "./service.ts";
import { StartError } from "./start-error.ts";

/**
 * Reads the configuration again when it is asked to, one time after the other. A configuration is applied whole, or
 * refused whole, with all that is wrong with it in the log; then everything goes on by the one before.
 */
export class Reloader {
  private readonly service: Service;
  private readonly manager: ServiceManager;
  private readonly load: () => LoadResult;
  private readonly workersFor: (plan: Plan) => number;
  private running = false;
  private again: string | null = null;

  /** `load` reads the configuration; `workersFor` gives how many workers a plan is to have. */
  constructor(
    service: Service,
    manager: ServiceManager,
    load: () => LoadResult,
    workersFor: (plan: Plan) => number,
  ) {
    this.service = service;
    this.manager = manager;
    this.load = load;
    this.workersFor = workersFor;
  }

  /** Asks for it; `reason` is for the log. What is asked for while one is under way is one more after it. */
  request(reason: string): void {
    if (this.running) this.again = reason;
    else void this.run(reason);
  }

  private async run(reason: string): Promise<void> {
    this.running = true;
    for (let next: string | null = reason; next !== null; next = this.again) {
      this.again = null;
      if (this.service.supervisor.draining) break;
      this.manager.reloading();
      const status = await this.reload(next);
      // Draining has been told meanwhile, and is not to be taken back.
      if (!this.service.supervisor.draining) this.manager.ready(status);
    }
    this.running = false;
  }

  /** Gives a few words for the service manager. */
  private async reload(reason: string): Promise<string> {
    const loaded = this.load();
    if (!loaded.ok) {
      for (const problem of loaded.errors) log("error", formatProblem(problem));
      return refused(reason, `${loaded.errors.length} error${loaded.errors.length === 1 ? "" : "s"}`);
    }
    for (const warning of loaded.warnings) log("warn", formatProblem(warning));
    const { service } = this;
    const difference = planDifference(service.supervisor.plan, loaded.plan);
    try {
      await service.change(loaded.plan, this.workersFor(loaded.plan));
    } catch (error) {
      if (!(error instanceof StartError)) logError("the configuration could not be applied", {}, error);
      return refused(reason, error instanceof StartError ? error.message : "a failure in llmproxyd");
    }
    const changes = Object.keys(difference).length === 0 ? { changes: "none" } : difference;
    const workers = service.supervisor.state().serving.length;
    log("info", "configuration applied", { reason, ...changes, workers });
    if ("forwards" in difference || "settings" in difference) service.announce();
    return "serving";
  }
}

function refused(reason: string, why: string): string {
  log("error", "configuration refused, everything goes on as before", { reason, why });
  return `serving; the last configuration was refused: ${why}`;
}
